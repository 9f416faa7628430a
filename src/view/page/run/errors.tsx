// Errors, grouped by code and message, with examples.

import type { ErrorGroup, RunCard } from "../../api.ts";
import { href } from "../address.ts";
import { count, plural } from "../format.ts";
import { useLoaded } from "../loaded.ts";
import { Empty, When } from "../parts/states.tsx";
import { visibleText } from "../parts/visible.tsx";

export function ErrorsTab({ run, card }: { readonly run: string; readonly card: RunCard }) {
  const { failed, lost } = card.counts;
  const loaded = useLoaded(`errors ${run} ${failed} ${lost}`, (source) => source.errors(run, {}));
  return (
    <When loaded={loaded} what="The errors">
      {({ groups, more }) =>
        groups.length === 0 ? (
          <Empty title="Nothing has failed" icon="check" />
        ) : (
          <section class="card" aria-label="Errors">
            <ErrorGroups groups={groups} run={run} />
            {more > 0 && <p class="muted small">{plural(more, "error")} in smaller groups</p>}
          </section>
        )
      }
    </When>
  );
}

export function ErrorGroups({
  groups,
  run,
}: {
  readonly groups: readonly ErrorGroup[];
  readonly run: string;
}) {
  const most = Math.max(1, ...groups.map((group) => group.count));
  return (
    <ul class="errors">
      {groups.map((group) => (
        <li key={`${group.code} ${group.message}`} class="error-group">
          <span class="error-count number">
            {count(group.count)}
            <span class="error-bar" aria-hidden="true">
              <span class="fill-failed" style={{ width: `${(group.count / most) * 100}%` }} />
            </span>
          </span>
          <div class="error-text">
            <a
              class="error-code"
              href={href(["run", run, "records"], {
                error: encodeURIComponent(group.code),
                message: group.message,
              })}
            >
              {visibleText(group.code)}
            </a>
            <p class="error-message">{visibleText(group.message)}</p>
            <p class="error-examples">
              {group.examples.map(({ id, trial }) => (
                <a
                  key={`${id} ${trial}`}
                  class="chip"
                  href={href(["run", run, "record", id, trial])}
                >
                  {visibleText(id)} #{trial}
                </a>
              ))}
            </p>
          </div>
        </li>
      ))}
    </ul>
  );
}
