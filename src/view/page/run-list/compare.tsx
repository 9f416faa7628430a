// Two or more runs beside each other: the first is the baseline.

import type { CompareAnswer, ComparePair, CompareRun, Estimate, Flip, RunCard } from "../../api.ts";
import { address, go, href } from "../address.ts";
import { count, duration, money, plural, score, signed } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useLoaded } from "../loaded.ts";
import { SimulatedBadge, StateBadge } from "../parts/badge.tsx";
import { CountsText } from "../parts/counts.tsx";
import { Interval } from "../parts/interval.tsx";
import { Shares } from "../parts/shares.tsx";
import { Empty, When } from "../parts/states.tsx";
import { numbers, TableHead } from "../parts/table-head.tsx";
import { visibleText } from "../parts/visible.tsx";
import { labelOf } from "./runs.tsx";
import { ValueChange } from "./value-change.tsx";

export function CompareView() {
  const given = address.value.query["runs"] ?? "";
  const keys = given.split(",").filter((key) => key !== "");
  useKeys([{ key: "u", does: "Back to all runs", act: () => go(href([])) }]);
  if (keys.length < 2)
    return (
      <Empty title="Choose two runs or more" icon="columns">
        <a href={href([])}>All runs</a>
      </Empty>
    );
  return <Comparison keys={keys} />;
}

function Comparison({ keys }: { readonly keys: readonly string[] }) {
  const loaded = useLoaded(`compare ${keys.join(",")}`, (source) => source.compare(keys));
  return (
    <div class="view">
      <div class="view-head">
        <h1 class="view-title">Comparison</h1>
      </div>
      <When loaded={loaded} what="The comparison" lines={10}>
        {(answer) => (
          <>
            <Measures answer={answer} />
            {answer.pairs.map((pair) => (
              <Pair
                key={pair.b}
                pair={pair}
                runs={answer.runs}
                isOnly={answer.pairs.length === 1}
              />
            ))}
            <StopReasons runs={answer.runs} />
          </>
        )}
      </When>
    </div>
  );
}

interface Measure {
  readonly name: string;
  readonly of: (run: CompareRun) => Estimate | null;
  readonly show: (value: number) => string;
}

const MEASURES: readonly Measure[] = [
  { name: "Score", of: ({ card }) => card.score, show: score },
  { name: "Cost per record", of: ({ cost }) => cost, show: money },
  { name: "Tokens per record", of: ({ tokens }) => tokens, show: (value) => count(value) },
  { name: "Latency", of: ({ latency }) => latency, show: duration },
  { name: "Turns", of: ({ turns }) => turns, show: (value) => value.toFixed(1) },
];

function Measures({ answer }: { readonly answer: CompareAnswer }) {
  const cards = answer.runs.map(({ card }) => card);
  return (
    <section class="card scroll-x" aria-label="Measures of the runs">
      <table class="table measures">
        <thead>
          <tr>
            <th scope="col">Mean ± 95 % interval</th>
            {answer.runs.map(({ card }, index) => (
              <th key={card.key} scope="col" class="right">
                <a href={href(["run", card.key])}>{visibleText(labelOf(card, cards))}</a>
                <span class="sub">
                  {index === 0 ? "baseline" : ""} {card.simulated && <SimulatedBadge />}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">State</th>
            {answer.runs.map(({ card }) => (
              <td key={card.key} class="right">
                <StateBadge state={card.state} />
              </td>
            ))}
          </tr>
          <tr>
            <th scope="row">Records</th>
            {answer.runs.map(({ card }) => (
              <td key={card.key} class="right">
                <CountsText counts={card.counts} expected={card.expected} />
              </td>
            ))}
          </tr>
          {MEASURES.map(({ name, of, show }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {answer.runs.map((run) => (
                <td key={run.card.key} class="right">
                  <EstimateText estimate={of(run)} show={show} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function EstimateText({
  estimate,
  show,
}: {
  readonly estimate: Estimate | null;
  readonly show: (value: number) => string;
}) {
  if (estimate === null) return <span class="muted">–</span>;
  const { mean, low, high } = estimate;
  return (
    <span class="number">
      {show(mean)}
      {low !== null && high !== null && <span class="muted"> ± {show((high - low) / 2)}</span>}
    </span>
  );
}

interface PairProps {
  readonly pair: ComparePair;
  readonly runs: readonly CompareRun[];
  readonly isOnly: boolean;
}

function Pair({ pair, runs, isOnly }: PairProps) {
  const cardOf = (key: string) => runs.find(({ card }) => card.key === key)?.card;
  const [a, b] = [cardOf(pair.a), cardOf(pair.b)];
  if (a === undefined || b === undefined) return null;
  return (
    <section class="section" aria-label={`${b.name} against ${a.name}`}>
      <h2 class="section-title">
        {isOnly ? "Difference" : `${visibleText(b.path)} against the baseline`}
      </h2>
      <div class="grid-3">
        <Delta title="Score" difference={pair.score} show={score} scale={1} />
        <Delta title="Cost per record" difference={pair.cost} show={money} scale={null} />
        <FlipCounts pair={pair} />
      </div>
      <div class="grid-2">
        <Flips pair={pair} a={a} b={b} />
        <RecipeChanges pair={pair} />
      </div>
    </section>
  );
}

function Delta({
  title,
  difference,
  show,
  scale,
}: {
  readonly title: string;
  readonly difference: ComparePair["score"];
  readonly show: (value: number) => string;
  readonly scale: number | null;
}) {
  const reach = (one: NonNullable<ComparePair["score"]>) =>
    Math.max(Math.abs(one.delta), Math.abs(one.low ?? 0), Math.abs(one.high ?? 0));
  return (
    <div class="card">
      <h3 class="card-title">Δ {title}</h3>
      {difference === null ? (
        <p class="muted">No row has this value in both runs.</p>
      ) : (
        <>
          <Interval
            difference={difference}
            scale={Math.min(scale ?? Number.POSITIVE_INFINITY, reach(difference) * 1.4)}
            show={show}
          />
          <p class="muted small">
            {isSure(difference)
              ? "The interval excludes zero."
              : "The interval includes zero: no clear difference."}
            , {plural(difference.rows, "row")}
          </p>
        </>
      )}
    </div>
  );
}

function isSure({ low, high }: { readonly low: number | null; readonly high: number | null }) {
  return low !== null && high !== null && (low > 0 || high < 0);
}

function FlipCounts({ pair: { flips, rows } }: { readonly pair: ComparePair }) {
  return (
    <div class="card">
      <h3 class="card-title">Rows</h3>
      <dl class="facts-line">
        <div>
          <dt>better</dt>
          <dd class="number tone-ok">▲ {count(flips.up)}</dd>
        </div>
        <div>
          <dt>worse</dt>
          <dd class="number tone-failed">▼ {count(flips.down)}</dd>
        </div>
        <div>
          <dt>same</dt>
          <dd class="number">{count(flips.same)}</dd>
        </div>
      </dl>
      <p class="muted small">
        {plural(rows.both, "row")} in both
        {rows.onlyA > 0 && `, ${count(rows.onlyA)} only in the baseline`}
        {rows.onlyB > 0 && `, ${count(rows.onlyB)} only in the other`}
      </p>
    </div>
  );
}

function Flips({
  pair,
  a,
  b,
}: {
  readonly pair: ComparePair;
  readonly a: RunCard;
  readonly b: RunCard;
}) {
  const { flips } = pair;
  const changed = flips.rows.length;
  return (
    <div class="card">
      <h3 class="card-title">Rows that changed</h3>
      {changed === 0 ? (
        <p class="muted">No row changed its score.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys.
        <div class="scroll-y" tabIndex={0}>
          <table class="table">
            <TableHead columns={["Row", ...numbers("Baseline", "Other", "Change")]} />
            <tbody>
              {flips.rows.map((flip) => (
                <FlipRow key={flip.id} flip={flip} a={a} b={b} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {flips.up + flips.down > changed && (
        <p class="muted small">The {count(changed)} largest changes.</p>
      )}
    </div>
  );
}

function FlipRow({
  flip,
  a,
  b,
}: {
  readonly flip: Flip;
  readonly a: RunCard;
  readonly b: RunCard;
}) {
  const change = flip.a === null || flip.b === null ? null : flip.b - flip.a;
  return (
    <tr>
      <th scope="row" class="cell-id">
        {visibleText(flip.id)}
      </th>
      <td class="right number">
        <a href={href(["run", a.key, "row", flip.id])}>{score(flip.a)}</a>
      </td>
      <td class="right number">
        <a href={href(["run", b.key, "row", flip.id])}>{score(flip.b)}</a>
      </td>
      <td class={`right number ${(change ?? 0) > 0 ? "tone-ok" : "tone-failed"}`}>
        {change === null ? "–" : `${change > 0 ? "▲" : "▼"} ${signed(change, score)}`}
      </td>
    </tr>
  );
}

function RecipeChanges({ pair: { recipe } }: { readonly pair: ComparePair }) {
  return (
    <div class="card">
      <h3 class="card-title">Recipe</h3>
      {recipe.length === 0 ? (
        <p class="muted">The resolved recipes are the same.</p>
      ) : (
        <dl class="changes">
          {recipe.map((change) => (
            <div key={change.key}>
              <dt>{visibleText(change.key)}</dt>
              <dd>
                <ValueChange a={change.a} b={change.b} />
              </dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

function StopReasons({ runs }: { readonly runs: readonly CompareRun[] }) {
  const cards = runs.map(({ card }) => card);
  return (
    <section class="section" aria-label="Stop reasons">
      <h2 class="section-title">Stop reasons</h2>
      <div class="grid-2">
        {runs.map(({ card, stopReasons }) => (
          <div key={card.key} class="card">
            <h3 class="card-title">{visibleText(labelOf(card, cards))}</h3>
            <Shares
              counts={stopReasons}
              to={(stop) => href(["run", card.key, "records"], { stop: encodeURIComponent(stop) })}
            />
          </div>
        ))}
      </div>
    </section>
  );
}
