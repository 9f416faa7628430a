// All runs below the folders that the user named.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { RunCard, RunsAnswer } from "../../api.ts";
import { address, go, href, setQuery } from "../address.ts";
import { age, bytes, clock, compact, money, plural, score } from "../format.ts";
import { useKeys } from "../keys.ts";
import { type Loaded, useLoaded } from "../loaded.ts";
import { SimulatedBadge, StateBadge } from "../parts/badge.tsx";
import { CountsBar, CountsText } from "../parts/counts.tsx";
import { Icon } from "../parts/icon.tsx";
import { Empty, Note, When } from "../parts/states.tsx";
import { numbers, TableHead } from "../parts/table-head.tsx";
import { visibleText } from "../parts/visible.tsx";

const REFRESH_MS = 3000;
/** The pause before a list is read again while the server still computes scores. */
const SCORE_MS = 400;
const SCORE_TRIES = 4;

export function RunsView() {
  const loaded = useLoaded("runs", (source) => source.runs());
  useRefresh(loaded);
  return (
    <div class="view">
      <h1 class="visually-hidden">Runs</h1>
      <When loaded={loaded} what="The runs" lines={8}>
        {(answer) => <Runs answer={answer} />}
      </When>
    </div>
  );
}

/** Reads the list again while a run goes on, and soon after scores are still being computed. */
function useRefresh({ value, reload }: Loaded<RunsAnswer>): void {
  const tries = useRef(0);
  useEffect(() => {
    if (value === null) return;
    const isLive = value.runs.some(({ state }) => state === "running");
    const misses = value.runs.some(({ score: own, counts }) => own === null && counts.ok > 0);
    if (!isLive && (!misses || tries.current >= SCORE_TRIES)) return;
    const wait = isLive ? REFRESH_MS : SCORE_MS * 2 ** tries.current++;
    const timer = setTimeout(reload, wait);
    return () => clearTimeout(timer);
  }, [value]);
}

function Runs({ answer }: { readonly answer: RunsAnswer }) {
  const { query } = address.value;
  const wanted = (query["name"] ?? "").toLowerCase();
  const runs = answer.runs.filter((run) =>
    `${run.name} ${run.path} ${run.models.join(" ")}`.toLowerCase().includes(wanted),
  );
  const chosen = (query["choose"] ?? "").split(",").filter((key) => key !== "");
  const choose = (key: string) => {
    const isChosen = chosen.includes(key);
    const next = isChosen ? chosen.filter((one) => one !== key) : [...chosen, key];
    setQuery({ choose: next.join(",") });
  };
  const at = useSelection(runs);
  if (answer.runs.length === 0)
    return (
      <Empty title="There are no runs here yet">
        <p>
          Start one with <code>matrix drive coral</code>, and reload this page. To see a file of
          records, run <code>matrix view FILE.jsonl</code>.
        </p>
      </Empty>
    );
  return (
    <>
      <div class="view-head">
        <p class="view-title">{plural(answer.runs.length, "run")}</p>
        <span class="grow" />
        <SearchField />
      </div>
      {answer.left > 0 && (
        <Note>{plural(answer.left, "folder")} were not looked into: name a folder below.</Note>
      )}
      <RunTable runs={runs} chosen={chosen} choose={choose} at={at} />
      {runs.length === 0 && <Empty title="No run has this text in its name, path or models" />}
      <CompareBar runs={answer.runs} chosen={chosen} />
    </>
  );
}

function SearchField() {
  return (
    <label class="field">
      <Icon name="search" size={14} />
      <span class="visually-hidden">Filter by name, path or model</span>
      <input
        id="filter"
        type="search"
        placeholder="Name, path or model"
        value={address.value.query["name"] ?? ""}
        onInput={(event) => setQuery({ name: event.currentTarget.value })}
      />
    </label>
  );
}

/** The run that the keys have reached. */
function useSelection(runs: readonly RunCard[]): number {
  const [at, setAt] = useState(-1);
  const move = (by: number) => {
    const next = Math.max(0, Math.min(runs.length - 1, at + by));
    setAt(next);
    document.querySelector(`[data-run="${next}"]`)?.scrollIntoView({ block: "nearest" });
  };
  const open = () => {
    const run = runs[at];
    if (run !== undefined) go(href(["run", run.key]));
  };
  useKeys([
    { key: "j", does: "Next run", act: () => move(1) },
    { key: "k", does: "Previous run", act: () => move(-1) },
    { key: "l", does: "Open the run", act: open },
    { key: "Enter", does: "Open the run", act: open },
    { key: "/", does: "Filter", act: () => document.getElementById("filter")?.focus() },
  ]);
  return at;
}

interface TableProps {
  readonly runs: readonly RunCard[];
  readonly chosen: readonly string[];
  readonly choose: (key: string) => void;
  readonly at: number;
}

function RunTable({ runs, chosen, choose, at }: TableProps) {
  const now = useMemo(() => Date.now(), [runs]);
  if (runs.length === 0) return null;
  return (
    <table class="table runs">
      <TableHead
        columns={[
          { name: "Compare", label: <span class="visually-hidden">Compare</span> },
          "Run",
          "State",
          ...numbers("Records", "Score", "Cost", "Tokens"),
          "Models",
          ...numbers("Updated"),
        ]}
      />
      <tbody>
        {runs.map((run, index) => (
          <RunRow
            key={run.key}
            {...{ run, index, now, choose }}
            isChosen={chosen.includes(run.key)}
            isAt={index === at}
          />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  readonly run: RunCard;
  readonly index: number;
  readonly now: number;
  readonly isChosen: boolean;
  readonly isAt: boolean;
  readonly choose: (key: string) => void;
}

function RunRow({ run, index, now, isChosen, isAt, choose }: RowProps) {
  return (
    <tr data-run={index} class={`${isAt ? "is-at" : ""}${isChosen ? " is-chosen" : ""}`}>
      <td class="cell-choose">
        <label class="choose">
          <input type="checkbox" checked={isChosen} onChange={() => choose(run.key)} />
          <span class="visually-hidden">Compare {run.name}</span>
        </label>
      </td>
      <td class="cell-name">
        <a class="run-name" href={href(["run", run.key])}>
          {visibleText(run.name)}
        </a>
        <span class="sub" title={run.path}>
          {visibleText(run.path)}
        </span>
      </td>
      <td class="cell-state" data-label="State">
        <StateBadge state={run.state} />
        {run.problem !== null && <span class="sub">{visibleText(run.problem)}</span>}
      </td>
      <td class="cell-records right" data-label="Records">
        <CountsText counts={run.counts} expected={run.expected} />
        <CountsBar counts={run.counts} expected={run.expected} />
      </td>
      <td class="right" data-label="Score">
        <ScoreCell run={run} />
      </td>
      <td class="right number" data-label="Cost">
        {money(run.cost)}
      </td>
      <td class="right number" data-label="Tokens">
        {compact(run.tokens)}
      </td>
      <td class="cell-models" data-label="Models">
        <span class="models">{run.models.map(visibleText).join(", ") || "–"}</span>
        {(run.orchestrator !== null || run.simulated) && (
          <span class="sub">
            {run.orchestrator !== null && visibleText(run.orchestrator)}{" "}
            {run.simulated && <SimulatedBadge />}
          </span>
        )}
      </td>
      <td class="right" data-label="Updated">
        <time
          class="number"
          dateTime={run.updatedAt ?? ""}
          title={run.updatedAt === null ? "" : clock(run.updatedAt)}
        >
          {age(run.updatedAt, now)}
        </time>
        <span class="sub number">{bytes(run.bytes)}</span>
      </td>
    </tr>
  );
}

function ScoreCell({ run }: { readonly run: RunCard }) {
  if (run.score === null) return <span class="muted">–</span>;
  const { mean, low, high } = run.score;
  return (
    <>
      <span class="number">{score(mean)}</span>
      {low !== null && high !== null && (
        <span class="sub number" title="95 % confidence interval, over rows">
          ± {score((high - low) / 2)}
        </span>
      )}
    </>
  );
}

/** The name of a run, or its path where another one has the same name. */
export function labelOf(run: RunCard, runs: readonly RunCard[]): string {
  return runs.filter(({ name }) => name === run.name).length > 1 ? run.path : run.name;
}

function CompareBar({
  runs,
  chosen,
}: {
  readonly runs: readonly RunCard[];
  readonly chosen: readonly string[];
}) {
  if (chosen.length === 0) return null;
  const names = chosen.map((key) => {
    const run = runs.find((one) => one.key === key);
    return run === undefined ? key : labelOf(run, runs);
  });
  const isEnough = chosen.length >= 2;
  return (
    <section class="compare-bar" aria-label="Comparison">
      <span class="compare-names">
        {names.map((name, index) => (
          <span key={chosen[index]} class="chip">
            {index === 0 ? "baseline: " : ""}
            {visibleText(name)}
          </span>
        ))}
      </span>
      {!isEnough && <span class="muted">Choose another run to compare with.</span>}
      <button type="button" class="button" onClick={() => setQuery({ choose: "" })}>
        Clear
      </button>
      {isEnough && (
        <a class="button button-main" href={href(["compare"], { runs: chosen.join(",") })}>
          Compare {chosen.length}
        </a>
      )}
    </section>
  );
}
