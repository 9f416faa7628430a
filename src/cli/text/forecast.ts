// A forecast as text: the first prompts, which may be long; what the forecast is based on and
// leaves out; what each role uses; and last, so that they stay on the screen, the totals with their
// ranges.

import { tokensOf } from "../../driver/ledger.ts";
import type { Range } from "../../run/forecast/forecast.ts";
import { type RunForecast, SELF } from "../../run/forecast/forecast-run.ts";
import { formatDuration, grouped } from "./figures.ts";
import { renderPrompt } from "./prompt.ts";
import { renderTable } from "./table.ts";

const LABEL_WIDTH = 10;

export function renderForecast(result: RunForecast): string {
  const { name, simulated, tasks, recorded, cost, budget } = result;
  const already = recorded > 0 ? `, ${grouped(recorded)} are recorded` : "";
  const title = `${name}: a forecast for ${grouped(tasks)} tasks${already}`;
  const lines: string[] = [];
  for (const [role, prompt] of Object.entries(result.first_prompts)) {
    if (prompt !== null)
      lines.push(`first prompt of ${role}, for the first row`, ...renderPrompt(prompt), "");
  }
  lines.push(
    `${title}${simulated ? " (simulated model)" : ""}; nothing was asked`,
    "",
    ...sourceLines(result.source),
    "",
  );
  if (result.roles.length > 0) lines.push(tableOf(result), "");
  const ranges: [string, Range, (value: number) => string][] = [
    ["requests", result.requests, grouped],
    ["tokens in", result.prompt_tokens, grouped],
    ["tokens out", result.completion_tokens, grouped],
    ...(cost === null ? [] : [["cost", cost, money] as [string, Range, typeof money]]),
    ["time", result.time_ms, formatDuration],
  ];
  for (const [what, range, show] of ranges) lines.push(labelled(what, rangeText(range, show)));
  lines.push(labelled("bound by", result.bound_by));
  if (budget !== null) lines.push(labelled("budget", budgetLine(budget, result)));
  const leftOut = Object.keys(result.source.left_out);
  if (leftOut.length > 0)
    lines.push(
      labelled("without", `${leftOut.join(", ")} and what comes after: THESE FIGURES LEAVE IT OUT`),
    );
  return lines.join("\n");
}

function labelled(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)}  ${text}`;
}

/** The range is shown when it is visible at the precision of `show`. */
function rangeText({ expected, low, high }: Range, show: (value: number) => string): string {
  if (show(low) === show(high)) return show(expected);
  return `${show(expected)} (${show(low)} to ${show(high)}, nine times of ten)`;
}

function sourceLines({
  kind,
  directory,
  samples,
  models,
  left_out,
}: RunForecast["source"]): string[] {
  if (kind === "records")
    return [`from ${grouped(samples)} records of ${directory}, at the prices of this recipe`];
  const lines = [
    `from ${grouped(samples)} tasks that were rehearsed by the recipe's own rule and code, with stand-ins for its models`,
  ];
  for (const [name, how] of Object.entries(models)) lines.push(`  ${name} answers: ${how}`);
  if (Object.values(models).some((how) => how !== SELF))
    lines.push(
      "  a token is taken to be four characters; the text of answers is drawn, so routes that depend on it are guesses (better: --like DIR)",
    );
  for (const [role, count] of Object.entries(left_out))
    lines.push(
      `  LEFT OUT: ${role} runs in a sandbox or was left out as code, and was not started; ${grouped(count)} tasks end there in this forecast (better: --like DIR)`,
    );
  return lines;
}

function tableOf({ roles }: RunForecast): string {
  const head = ["role", "requests", "tokens in", "tokens out", "cost"];
  const rows = roles.map(({ name, requests, prompt_tokens, completion_tokens, cost }) => [
    name,
    ...[requests, prompt_tokens, completion_tokens].map(grouped),
    cost === null ? "-" : money(cost),
  ]);
  return renderTable([head, ...rows]);
}

function budgetLine(
  { money: limit, tokens, spent, over }: NonNullable<RunForecast["budget"]>,
  { cost, tokens: forecast, source }: RunForecast,
): string {
  const parts = [
    ...(limit === undefined
      ? []
      : [`${money(spent.cost + (cost?.expected ?? 0))} of ${limit} in money`]),
    ...(tokens === undefined
      ? []
      : [`${grouped(tokensOf(spent) + forecast.expected)} of ${grouped(tokens)} tokens`]),
  ];
  return `${parts.join(", ")}: ${over === null ? verdictOf(source) : "NOT ENOUGH"}`;
}

function verdictOf({ assumes_length, left_out }: RunForecast["source"]): string {
  if (assumes_length) return "UNKNOWN (output_tokens assumed: set expect)";
  return Object.keys(left_out).length > 0 ? "UNKNOWN, for what is left out" : "enough";
}

function money(value: number): string {
  return value.toFixed(4);
}
