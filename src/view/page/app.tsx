// The frame around every view, and which view an address shows.

import { useEffect } from "preact/hooks";
import type { Session } from "../api.ts";
import { address, href } from "./address.ts";
import { nameInKey } from "./format.ts";
import { HelpDialog } from "./help.tsx";
import { helpIsOpen, useKeys } from "./keys.ts";
import { useLoaded } from "./loaded.ts";
import { Icon } from "./parts/icon.tsx";
import { Empty, Problem, Skeleton } from "./parts/states.tsx";
import { visibleText } from "./parts/visible.tsx";
import { RunView } from "./run/run.tsx";
import { CompareView } from "./run-list/compare.tsx";
import { RunsView } from "./run-list/runs.tsx";
import { type Choice, choice, choose } from "./theme.ts";
import { TrajectoryView } from "./trajectory/trajectory.tsx";
import { TrialsView } from "./trajectory/trials.tsx";

export function App() {
  const { path } = address.value;
  const session = useLoaded("session", (source) => source.session());
  useKeys([{ key: "?", does: "Show the keys", act: () => (helpIsOpen.value = true) }]);
  useEffect(() => {
    const named = path
      .filter((part) => part !== "run" && part !== "record")
      .map((part) => visibleText(nameInKey(part)));
    document.title = [...named.reverse(), "matrix view"].join(" · ");
  }, [path]);
  const only = session.value?.only ?? null;
  // The only run is what the user came for.
  useEffect(() => {
    if (path.length === 0 && only !== null) location.replace(href(["run", only]));
  }, [path.length, only]);
  return (
    <>
      <button type="button" class="skip" onClick={focusContent}>
        Skip to the content
      </button>
      <Bar path={path} session={session.value} />
      <main id="content" class="page" tabIndex={-1}>
        {session.problem !== null ? (
          <Problem
            title="The page has no data"
            error={session.problem}
            retry={() => session.reload()}
          />
        ) : session.value === null ? (
          <Skeleton />
        ) : (
          <View path={path} session={session.value} />
        )}
      </main>
      <HelpDialog />
    </>
  );
}

/** Moves the focus to the content. A link to it would change the view, which stands behind `#`. */
function focusContent(): void {
  document.getElementById("content")?.focus();
}

function View({ path, session }: { readonly path: readonly string[]; readonly session: Session }) {
  const [kind, key = "", tab = "", id = "", trial = ""] = path;
  if (kind === undefined) return <RunsView />;
  if (kind === "compare") return <CompareView />;
  if (kind === "run" && tab === "record" && trial !== "")
    return (
      <TrajectoryView
        key={`${key}/${id}/${trial}`}
        run={key}
        reference={{ id, trial: Number(trial) }}
        session={session}
      />
    );
  if (kind === "run" && tab === "row" && id !== "") return <TrialsView run={key} id={id} />;
  if (kind === "run" && key !== "") return <RunView key={key} run={key} tab={tab} />;
  return (
    <Empty title="There is no such view" icon="help">
      <a href={href([])}>All runs</a>
    </Empty>
  );
}

function Bar({
  path,
  session,
}: {
  readonly path: readonly string[];
  readonly session: Session | null;
}) {
  return (
    <header class="bar">
      <a class="brand" href={href([])} aria-label="matrix: all runs">
        <img src="icon.svg" alt="" width="22" height="22" />
        <span>matrix</span>
      </a>
      <Crumbs path={path} />
      <span class="grow" />
      {session?.from === "bundle" && <span class="badge badge-plain">static copy</span>}
      <ThemeButton />
      <button
        type="button"
        class="button-quiet"
        aria-label="Keys"
        title="Keys (?)"
        onClick={() => (helpIsOpen.value = true)}
      >
        <Icon name="help" />
      </button>
    </header>
  );
}

function Crumbs({ path }: { readonly path: readonly string[] }) {
  const [kind, key, tab, id, trial] = path;
  const crumbs: { readonly name: string; readonly to: string }[] = [];
  if (kind === "compare") crumbs.push({ name: "compare", to: href(path, address.value.query) });
  if (kind === "run" && key !== undefined) {
    crumbs.push({ name: nameInKey(key), to: href(["run", key]) });
    if (tab === "record" && id !== undefined)
      crumbs.push({ name: `${id} #${trial}`, to: href(path, address.value.query) });
    if (tab === "row" && id !== undefined)
      crumbs.push({ name: `${id}, all trials`, to: href(path, address.value.query) });
  }
  if (crumbs.length === 0) return null;
  return (
    <nav class="crumbs" aria-label="Place">
      <ol>
        {crumbs.map(({ name, to }, index) => (
          <li key={to}>
            <a href={to} aria-current={index === crumbs.length - 1 ? "page" : undefined}>
              {visibleText(name)}
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}

const NEXT: Readonly<Record<Choice, Choice>> = { system: "light", light: "dark", dark: "system" };
const SIGNS = { system: "auto", light: "sun", dark: "moon" } as const;

function ThemeButton() {
  const now = choice.value;
  const label = `Colours: ${now}`;
  return (
    <button
      type="button"
      class="button-quiet"
      aria-label={label}
      title={label}
      onClick={() => choose(NEXT[now])}
    >
      <Icon name={SIGNS[now]} />
    </button>
  );
}
