// The run in numbers: the accounting, distributions, throughput, roles and models.

import type { RunAnswer, RunCard, UsageLine } from "../../api.ts";
import { href } from "../address.ts";
import { compact, count, duration, money, percent, score } from "../format.ts";
import { CountsBar, partsOf } from "../parts/counts.tsx";
import { Histogram } from "../parts/histogram.tsx";
import { Shares } from "../parts/shares.tsx";
import { Empty } from "../parts/states.tsx";
import { numbers, TableHead } from "../parts/table-head.tsx";
import { Throughput } from "../parts/throughput.tsx";
import { visibleText } from "../parts/visible.tsx";
import { ErrorGroups } from "./errors.tsx";

interface Props {
  readonly answer: RunAnswer;
  readonly card: RunCard;
  readonly run: string;
}

export function Overview({ answer, card, run }: Props) {
  const total = card.counts.ok + card.counts.failed + card.counts.lost;
  if (total === 0 && card.state === "broken") return null;
  return (
    <div class="overview">
      <Accounting answer={answer} card={card} run={run} />
      {total === 0 ? (
        <Empty title="No record has been written yet" icon="clock">
          {card.state === "running" ? "The first tasks are on their way." : "The run has ended."}
        </Empty>
      ) : (
        <>
          <Distributions answer={answer} run={run} />
          <div class="grid-figures">
            <section class="card" aria-label="Stop reasons">
              <h2 class="card-title">Stop reasons</h2>
              <Shares
                counts={answer.stopReasons}
                to={(stop) => href(["run", run, "records"], { stop: encodeURIComponent(stop) })}
                tone={toneOfStop}
              />
            </section>
            {answer.throughput !== null && (
              <section class="card" aria-label="Throughput">
                <h2 class="card-title">Records a second</h2>
                <Throughput line={answer.throughput} />
              </section>
            )}
          </div>
          {answer.errors.length > 0 && (
            <section class="card" aria-label="Errors">
              <h2 class="card-title">Errors</h2>
              <ErrorGroups groups={answer.errors.slice(0, 5)} run={run} />
              {answer.errors.length > 5 && (
                <a href={href(["run", run, "errors"])}>all {answer.errors.length} groups</a>
              )}
            </section>
          )}
          <UsageTable title="Roles" lines={answer.roles} sampled={answer.sampled} />
          <UsageTable title="Models" lines={answer.models} sampled={answer.sampled} />
        </>
      )}
    </div>
  );
}

const FAILED_STOPS: ReadonlySet<string> = new Set(["error", "timeout", "max_hops", "task_limit"]);

export function toneOfStop(stop: string): string {
  if (stop === "lost") return "lost";
  return FAILED_STOPS.has(stop) ? "failed" : "ok";
}

function Accounting({ answer, card, run }: Props) {
  const parts = partsOf(card.counts, card.expected);
  const total = card.counts.ok + card.counts.failed + card.counts.lost;
  const expected = card.expected ?? total;
  const shown = parts.filter(({ name, value }) => name !== "to do" || value > 0);
  return (
    <section class="card accounting" aria-label="Accounting">
      <div class="sum">
        <div class="sum-part">
          <span class="sum-value number">{count(expected)}</span>
          <span class="sum-name">{card.expected === null ? "records" : "expected"}</span>
        </div>
        {shown.map(({ name, value, tone }, index) => (
          <div key={name} class="sum-part">
            <span class="sum-sign" aria-hidden="true">
              {index === 0 ? "=" : "+"}
            </span>
            <span class={`sum-value number tone-${value > 0 ? tone : "none"}`}>{count(value)}</span>
            <span class="sum-name">
              {name === "to do" || value === 0 ? (
                name
              ) : (
                <a href={href(["run", run, "records"], { status: name })}>{name}</a>
              )}
            </span>
          </div>
        ))}
        <span class="grow" />
        <dl class="sum-facts">
          <Big name="score" value={card.score === null ? "–" : score(card.score.mean)}>
            {intervalOf(card)}
          </Big>
          <Big name="cost" value={money(card.cost)} />
          <Big name="tokens" value={compact(card.tokens)} />
        </dl>
      </div>
      <CountsBar counts={card.counts} expected={card.expected} />
      {answer.superseded > 0 && (
        <p class="muted small">Retries replaced {count(answer.superseded)} older records.</p>
      )}
    </section>
  );
}

function intervalOf({ score: estimate }: RunCard): string | undefined {
  if (estimate === null || estimate.low === null || estimate.high === null) return undefined;
  return `± ${score((estimate.high - estimate.low) / 2)}`;
}

function Big({
  name,
  value,
  children,
}: {
  readonly name: string;
  readonly value: string;
  readonly children?: string | undefined;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">
        {value}
        {children !== undefined && <span class="muted small"> {children}</span>}
      </dd>
    </div>
  );
}

function Distributions({ answer, run }: { readonly answer: RunAnswer; readonly run: string }) {
  const { score: scores, turns, tokens, latency, cost } = answer.distributions;
  const within = (name: string) => (from: number, to: number) =>
    href(["run", run, "records"], { [name]: `${from}..${to}` });
  const whole = (value: number) => (Number.isInteger(value) ? count(value) : value.toFixed(1));
  return (
    <section class="distributions" aria-label="Distributions">
      <Histogram title="Score" bins={scores} show={score} choose={within("score")} />
      <Histogram title="Turns" bins={turns} show={whole} choose={within("turns")} />
      <Histogram title="Tokens" bins={tokens} show={compact} choose={within("tokens")} />
      <Histogram title="Latency" bins={latency} show={duration} choose={within("ms")} />
      <Histogram title="Cost" bins={cost} show={money} choose={within("cost")} />
    </section>
  );
}

function UsageTable({
  title,
  lines,
  sampled,
}: {
  readonly title: string;
  readonly lines: readonly UsageLine[];
  readonly sampled: number | null;
}) {
  if (lines.length === 0) return null;
  const tokens = lines.reduce((sum, line) => sum + line.completion_tokens, 0);
  return (
    <section class="card" aria-label={title}>
      <h2 class="card-title">
        {title}
        {sampled !== null && (
          <span class="muted small"> from a sample of {count(sampled)} records</span>
        )}
      </h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys. */}
      <div class="scroll-x" tabIndex={0}>
        <table class="table">
          <TableHead
            columns={[
              "Name",
              ...numbers(
                "Steps",
                "Errors",
                "p50",
                "p95",
                "p99",
                "Tokens in",
                "out",
                "Share",
                "Cost",
              ),
            ]}
          />
          <tbody>
            {lines.map((line) => (
              <tr key={line.name}>
                <th scope="row">{visibleText(line.name)}</th>
                <td class="right number">{count(line.hops)}</td>
                <td class={`right number ${line.errors > 0 ? "tone-failed" : "muted"}`}>
                  {count(line.errors)}
                </td>
                <td class="right number">{duration(line.ms.p50)}</td>
                <td class="right number">{duration(line.ms.p95)}</td>
                <td class="right number">{duration(line.ms.p99)}</td>
                <td class="right number">{compact(line.prompt_tokens)}</td>
                <td class="right number">{compact(line.completion_tokens)}</td>
                <td class="right number muted">
                  {tokens === 0 ? "–" : percent(line.completion_tokens / tokens)}
                </td>
                <td class="right number">{money(line.cost)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
