// A forecast as text: what the first prompts look like, which may be long; where the forecast is from and what it leaves out; what
// each role uses; and last, so that they stay on the screen, the totals with their ranges.

import { tokensOf } from "../driver/ledger.ts";
import type { Range } from "../run/forecast.ts";
import { type RunForecast, SELF } from "../run/forecast-run.ts";
import { renderPrompt } from "./check.ts";
import { formatDuration, grouped } from "./panel.ts";
import { renderTable } from "./table.ts";

export function renderForecast(result: RunForecast): string {
  const { name, simulated, tasks, recorded, cost, budget } = result;
  const title = `${name}: a forecast for ${grouped(tasks)} tasks${recorded > 0 ? `, ${grouped(recorded)} are recorded` : ""}`;
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
  for (const [what, { expected, low, high }, show] of ranges)
    lines.push(
      `${what.padEnd(10)}  ${show(expected)}${show(low) === show(high) ? "" : ` (${show(low)} to ${show(high)}, nine times of ten)`}`,
    );
  lines.push(`${"bound by".padEnd(10)}  ${result.bound_by}`);
  if (budget !== null) lines.push(`${"budget".padEnd(10)}  ${budgetLine(budget, result)}`);
  const leftOut = Object.keys(result.source.left_out);
  if (leftOut.length > 0)
    lines.push(
      `${"without".padEnd(10)}  ${leftOut.join(", ")} and what comes after: THESE FIGURES LEAVE IT OUT`,
    );
  return lines.join("\n");
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
      "  a token is taken to be four characters; what an answer says is drawn, so routes that go by it are guesses (better: --like DIR)",
    );
  for (const [role, count] of Object.entries(left_out))
    lines.push(
      `  LEFT OUT: ${role} runs in a sandbox, which was not started; what comes after it in ${grouped(count)} of the tasks is missing (better: --like DIR)`,
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
