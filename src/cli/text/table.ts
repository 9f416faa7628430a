// A table in plain text, two spaces between columns that are as wide as their widest cell.

/**
 * `left` names the columns whose cells stand at the left, from 0; cells of others stand at the
 * right.
 */
export function renderTable(
  rows: readonly (readonly string[])[],
  left: (column: number) => boolean = (column) => column === 0,
): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
  const padded = (cell: string, column: number) =>
    left(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(padded).join("  ").trimEnd()).join("\n");
}
