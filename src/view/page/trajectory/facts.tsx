// The facts of a record, beside its conversation.

import type { RecordAnswer, RecordHeadAnswer, RecordRef, Session } from "../../api.ts";
import { bytes, clock, count, duration, money, score } from "../format.ts";
import { useSource } from "../loaded.ts";
import { SimulatedBadge } from "../parts/badge.tsx";
import { CopyButton } from "../parts/copy.tsx";
import { Icon } from "../parts/icon.tsx";
import { visibleText } from "../parts/visible.tsx";
import { JsonTree } from "../text/json-tree.tsx";
import { Judge } from "./judge.tsx";

interface Props {
  readonly run: string;
  readonly reference: RecordRef;
  readonly session: Session;
  readonly record: RecordAnswer;
  readonly show: (index: number) => void;
}

export function Facts({ run, reference, session, record, show }: Props) {
  const source = useSource();
  const { head, row, hops } = record;
  const raw = source.rawAddress(run, reference);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys.
    <aside class="facts" aria-label="Facts" tabIndex={0}>
      <dl class="facts-big">
        <div>
          <dt>score</dt>
          <dd class="number">{score(head.score)}</dd>
        </div>
        <div>
          <dt>cost</dt>
          <dd class="number">{money(head.cost)}</dd>
        </div>
        <div>
          <dt>time</dt>
          <dd class="number">{duration(head.timing.total_ms)}</dd>
        </div>
      </dl>
      {head.error !== null && <ErrorFacts error={head.error} show={show} hops={hops} />}
      <Judge run={run} reference={reference} session={session} annotations={record.annotations} />
      {head.outcome.value !== null && (
        <section class="facts-part" aria-label="Outcome">
          <h2>Outcome</h2>
          <JsonTree value={head.outcome.value} open={1} />
        </section>
      )}
      <Tokens usage={head.usage} />
      <Timing timing={head.timing} />
      <section class="facts-part" aria-label="Identity">
        <h2>Identity {head.simulated && <SimulatedBadge />}</h2>
        <dl class="facts-list">
          <Fact name="seed" value={String(head.seed)} copy />
          <Fact name="attempt" value={String(head.attempt)} />
          {head.trace_id !== null && <Fact name="trace" value={head.trace_id} copy />}
          <Fact name="hosts" value={[...new Set(hops.map(({ host }) => host))].join(", ")} />
          <Fact name="size" value={bytes(row.bytes)} />
        </dl>
        {raw !== null && (
          <a class="button" href={raw} download>
            <Icon name="download" size={14} /> Raw JSON
          </a>
        )}
      </section>
    </aside>
  );
}

function Fact({
  name,
  value,
  copy = false,
}: {
  readonly name: string;
  readonly value: string;
  readonly copy?: boolean;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">
        <span class="fact-value" title={visibleText(value)}>
          {visibleText(value)}
        </span>
        {copy && <CopyButton text={value} what={name} />}
      </dd>
    </div>
  );
}

interface ErrorProps {
  readonly error: NonNullable<RecordHeadAnswer["error"]>;
  readonly show: (index: number) => void;
  readonly hops: RecordAnswer["hops"];
}

function ErrorFacts({ error, show, hops }: ErrorProps) {
  const { code, message, role, hop, stack } = error;
  const index = hops.findIndex((line) => line.hop === hop);
  return (
    <section class="facts-part facts-error" aria-label="Error">
      <h2>
        <Icon name="cross" size={14} /> {visibleText(code)}
      </h2>
      <p class="error-message">{visibleText(message)}</p>
      {role !== null && (
        <p class="small">
          in {visibleText(role)}
          {hop !== null && `, step ${hop}`}{" "}
          {index !== -1 && (
            <button type="button" class="button-link" onClick={() => show(index)}>
              show
            </button>
          )}
        </p>
      )}
      {stack !== undefined && (
        <details class="stack">
          <summary>Stack</summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys. */}
          <pre tabIndex={0}>{visibleText(stack)}</pre>
        </details>
      )}
    </section>
  );
}

function Tokens({ usage }: { readonly usage: RecordHeadAnswer["usage"] }) {
  const lines: readonly (readonly [string, number | undefined])[] = [
    ["requests", usage.requests],
    ["tokens in", usage.prompt_tokens],
    ["of them cached", usage.cached_tokens],
    ["tokens out", usage.completion_tokens],
    ["of them reasoning", usage.reasoning_tokens],
    ["failed requests", usage.failed_requests],
  ];
  return (
    <section class="facts-part" aria-label="Usage">
      <h2>Usage</h2>
      <dl class="facts-list">
        {lines.map(([name, value]) =>
          value === undefined || (value === 0 && name.startsWith("of")) ? null : (
            <div key={name}>
              <dt class={name.startsWith("of") ? "is-part" : ""}>{name}</dt>
              <dd class="number">{count(value)}</dd>
            </div>
          ),
        )}
      </dl>
    </section>
  );
}

function Timing({ timing }: { readonly timing: RecordHeadAnswer["timing"] }) {
  const { total_ms: total, queue_ms: queue, run_ms: run } = timing;
  const rest = Math.max(0, total - queue - run);
  const parts = [
    ["in agents", run, "plain"],
    ["in queues", queue, "queue"],
    ["elsewhere", rest, "rest"],
  ] as const;
  return (
    <section class="facts-part" aria-label="Time">
      <h2>Time</h2>
      <div class="counts-bar" aria-hidden="true">
        {parts.map(([name, value, tone]) => (
          <span key={name} class={`fill-${tone}`} style={{ flexGrow: value }} />
        ))}
      </div>
      <dl class="facts-list">
        {parts.map(([name, value, tone]) => (
          <div key={name}>
            <dt>
              <span class={`swatch fill-${tone}`} aria-hidden="true" /> {name}
            </dt>
            <dd class="number">{duration(value)}</dd>
          </div>
        ))}
        <div>
          <dt>admitted</dt>
          <dd class="number">{clock(timing.admitted_at)}</dd>
        </div>
        <div>
          <dt>ended</dt>
          <dd class="number">{clock(timing.ended_at)}</dd>
        </div>
      </dl>
    </section>
  );
}
