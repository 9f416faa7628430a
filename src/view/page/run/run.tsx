// One run: its head, and the tab that the address names.

import { useEffect, useState } from "preact/hooks";
import type { Live, RunAnswer, RunCard } from "../../api.ts";
import { go, href } from "../address.ts";
import { age, clock, compact, plural } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useLoaded, useSource } from "../loaded.ts";
import { SimulatedBadge, StateBadge } from "../parts/badge.tsx";
import { Empty, Note, Notes, When } from "../parts/states.tsx";
import { visibleText } from "../parts/visible.tsx";
import { RecordsTab } from "../records/records.tsx";
import { ErrorsTab } from "./errors.tsx";
import { LiveTab } from "./live.tsx";
import { Overview } from "./overview.tsx";
import { PeopleTab } from "./people.tsx";
import { RecipeTab } from "./recipe.tsx";

/** While a run goes on, its numbers are read again at most this often. */
const REFRESH_MS = 2500;

const TABS = [
  ["", "Overview"],
  ["records", "Records"],
  ["errors", "Errors"],
  ["people", "People"],
  ["recipe", "Recipe"],
  ["live", "Live"],
] as const;

export function RunView({ run, tab }: { readonly run: string; readonly tab: string }) {
  const loaded = useLoaded(`run ${run}`, (source) => source.run(run));
  useKeys([{ key: "u", does: "Back to all runs", act: () => go(href([])) }]);
  return (
    <div class="view">
      <When loaded={loaded} what="The run" lines={10}>
        {(answer) => <Loaded answer={answer} run={run} tab={tab} reload={loaded.reload} />}
      </When>
    </div>
  );
}

interface LoadedProps {
  readonly answer: RunAnswer;
  readonly run: string;
  readonly tab: string;
  readonly reload: () => void;
}

function Loaded({ answer, run, tab, reload }: LoadedProps) {
  const [live, isConnected] = useLive(answer.card, reload);
  const card = live?.card ?? answer.card;
  const isBroken = card.state === "broken";
  return (
    <>
      <Head card={card} answer={answer} />
      <nav class="tabs" aria-label="Views of the run">
        {TABS.filter(([name]) => hasTab(name, card, answer, tab)).map(([name, title]) => (
          <a
            key={name}
            href={href(["run", run, name].filter((part) => part !== ""))}
            aria-current={name === tab ? "page" : undefined}
          >
            {title}
            {name === "errors" && card.counts.failed > 0 && (
              <span class="tab-count number">{compact(card.counts.failed)}</span>
            )}
          </a>
        ))}
      </nav>
      {isBroken && (
        <Note tone="failed">{visibleText(card.problem ?? "The run directory is broken.")}</Note>
      )}
      <Notes notes={answer.notes} />
      <Tab {...{ answer, run, tab, live, isConnected, card }} />
    </>
  );
}

function hasTab(name: string, card: RunCard, answer: RunAnswer, open: string): boolean {
  if (name === open) return true;
  if (name === "live") return card.state === "running";
  return name !== "recipe" || answer.manifest !== null;
}

interface TabProps {
  readonly answer: RunAnswer;
  readonly run: string;
  readonly tab: string;
  readonly live: Live | null;
  readonly isConnected: boolean;
  readonly card: RunCard;
}

function Tab({ answer, run, tab, live, isConnected, card }: TabProps) {
  switch (tab) {
    case "":
      return <Overview answer={answer} card={card} run={run} />;
    case "records":
      return <RecordsTab answer={answer} card={card} run={run} />;
    case "errors":
      return <ErrorsTab run={run} card={card} />;
    case "people":
      return <PeopleTab run={run} answer={answer} />;
    case "recipe":
      return <RecipeTab run={run} answer={answer} />;
    case "live":
      return <LiveTab live={live} card={card} isConnected={isConnected} />;
    default:
      return <Empty title="There is no such view of a run" icon="help" />;
  }
}

function Head({ card, answer }: { readonly card: RunCard; readonly answer: RunAnswer }) {
  const facts = [
    card.orchestrator,
    ...card.models,
    answer.trials > 1 ? plural(answer.trials, "trial") : null,
    card.startedAt === null ? null : `started ${clock(card.startedAt)}`,
    card.updatedAt === null ? null : `updated ${age(card.updatedAt, Date.now())}`,
  ].filter((fact) => fact !== null);
  return (
    <header class="run-head">
      <div class="run-title">
        <h1>{visibleText(card.name)}</h1>
        <StateBadge state={card.state} />
        {card.simulated && <SimulatedBadge />}
      </div>
      <p class="run-facts">
        {facts.map((fact) => (
          <span key={fact}>{visibleText(fact)}</span>
        ))}
        <span class="run-path">{visibleText(card.path)}</span>
      </p>
      {card.problem !== null && card.state !== "broken" && <Note>{visibleText(card.problem)}</Note>}
    </header>
  );
}

/** The state of a run that goes on, as it comes. `changed` is called now and then meanwhile. */
function useLive(card: RunCard, changed: () => void): readonly [Live | null, boolean] {
  const source = useSource();
  const [live, setLive] = useState<Live | null>(null);
  const [isConnected, setConnected] = useState(true);
  const isRunning = card.state === "running";
  useEffect(() => {
    if (!isRunning) return;
    let last = Date.now();
    return source.live(card.key, {
      connected: setConnected,
      live: (next) => {
        setLive(next);
        const hasEnded = next.card.state !== "running";
        if (!hasEnded && Date.now() - last < REFRESH_MS) return;
        last = Date.now();
        changed();
      },
    });
  }, [source, card.key, isRunning]);
  return [live, isConnected];
}
