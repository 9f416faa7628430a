// The output of every bench: a head that names machine, date and seed, and tables.

import { cpus, loadavg, totalmem } from "node:os";

const CELL_CHARACTERS = 12;
/** Load average of the last minute above which other programs are at work on the machine. */
const IDLE_LOAD = 0.5;

export function printHead(bench: string, seed: string): void {
  const [load = 0] = loadavg();
  const machine = `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB`;
  console.log(
    `${bench}\n${machine}, bun ${Bun.version}, ${new Date().toISOString()}, seed ${seed}`,
  );
  if (load > IDLE_LOAD)
    console.log(
      `the machine was not idle before this bench (load ${load.toFixed(1)}): rates are lower than on an idle one`,
    );
}

/**
 * A label and its cells. A number is printed with the digits of its column, a text as it is, and
 * null as an empty cell.
 */
export type TableRow = readonly [label: string, ...cells: readonly (number | string | null)[]];

/** A column's head, and the number of digits after the point (default 0). */
export type Column = string | readonly [head: string, digits: number];

export function printTable(
  title: string,
  columns: readonly Column[],
  rows: readonly TableRow[],
): void {
  const heads = columns.map((column) => (typeof column === "string" ? column : column[0]));
  const lines = rows.map(([label, ...cells]) => [
    label,
    ...cells.map((cell, i) => textOf(cell, columns[i] ?? "")),
  ]);
  const labelWidth = Math.max(16, ...rows.map(([label]) => label.length + 1));
  const widths = heads.map(
    (head, i) =>
      2 +
      Math.max(CELL_CHARACTERS - 2, head.length, ...lines.map((line) => line[i + 1]?.length ?? 0)),
  );
  console.log(`\n${title}`);
  for (const [label = "", ...cells] of [["", ...heads], ...lines]) {
    console.log(
      label.padEnd(labelWidth) + cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join(""),
    );
  }
}

function textOf(cell: number | string | null, column: Column): string {
  if (typeof cell !== "number") return cell ?? "";
  return cell.toFixed(typeof column === "string" ? 0 : column[1]);
}

/** A quantile of sorted values; 0 when there are none. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.floor(q * (sorted.length - 1))] ?? 0;
}

export function sorted(values: Iterable<number>): number[] {
  return [...values].sort((a, b) => a - b);
}

export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
