// Two runs side by side: what their records say, which rows changed, and how their recipes differ.

import type { Counts, Difference, Estimate } from "../../view/api.ts";
import type { RunPair } from "../show/run-pair.ts";
import { formatDuration, grouped } from "./figures.ts";
import { renderTable } from "./table.ts";

const ROWS_SHOWN = 10;
const VALUE_SHOWN = 40;

export function renderRunPair({ runs, pair }: RunPair): string {
  const cells = (of: (run: RunPair["runs"][number]) => string) => runs.map(of);
  const table = [
    ["", ...cells(({ card }) => card.path), "difference"],
    ["records", ...cells(({ card }) => countsText(card.counts)), rowsText(pair.rows)],
    ["score", ...cells(({ card }) => estimate(card.score)), difference(pair.score)],
    ["cost a row", ...cells(({ cost }) => estimate(cost)), difference(pair.cost)],
    ["tokens a row", ...cells(({ tokens }) => (tokens === null ? "–" : grouped(tokens.mean))), ""],
    ["turns", ...cells(({ turns }) => estimate(turns)), ""],
    [
      "took",
      ...cells(({ latency }) => (latency === null ? "–" : formatDuration(latency.mean))),
      "",
    ],
    ["ended", ...cells(({ stopReasons }) => stopReasons.map(named).join(", ")), ""],
  ];
  const { up, down, same, rows } = pair.flips;
  const lines = [
    renderTable(table, () => true),
    `scores of rows: ${grouped(up)} up, ${grouped(down)} down, ${grouped(same)} the same`,
  ];
  for (const { id, a, b } of rows.slice(0, ROWS_SHOWN))
    lines.push(`  ${id}: ${number(a)} → ${number(b)}`);
  if (pair.recipe.length > 0) {
    const changes = pair.recipe.map(({ key, a, b }) => [key, short(a), "→", short(b)]);
    lines.push(
      "",
      "recipes differ in",
      renderTable(changes, () => true),
    );
  }
  return lines.join("\n");
}

function countsText({ ok, failed, lost }: Counts): string {
  return `ok ${grouped(ok)}, failed ${grouped(failed)}, lost ${grouped(lost)}`;
}

function rowsText({ both, onlyA, onlyB }: RunPair["pair"]["rows"]): string {
  return `${grouped(both)} rows in both, ${grouped(onlyA)} and ${grouped(onlyB)} in one`;
}

function named({ name, count }: { readonly name: string; readonly count: number }): string {
  return `${name} ${grouped(count)}`;
}

function estimate(value: Estimate | null): string {
  return value === null ? "–" : `${number(value.mean)}${interval(value.low, value.high)}`;
}

function difference(value: Difference | null): string {
  if (value === null) return "–";
  const sign = value.delta > 0 ? "+" : "";
  return `${sign}${number(value.delta)}${interval(value.low, value.high)}`;
}

function interval(low: number | null, high: number | null): string {
  return low === null || high === null ? "" : ` [${number(low)}, ${number(high)}]`;
}

function number(value: number | null): string {
  return value === null ? "–" : String(Number(value.toPrecision(4)));
}

function short(text: string | null): string {
  if (text === null) return "unset";
  return text.length <= VALUE_SHOWN ? text : `${text.slice(0, VALUE_SHOWN - 1)}…`;
}
