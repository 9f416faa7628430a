// The names of the columns of a file with a schema.

export interface NamedColumn {
  readonly name: string;
  /** The members of an object. */
  readonly parts: readonly NamedColumn[];
}

/**
 * Fails when two columns have one name, because a row could hold only one of them, and when a
 * column is missing that the recipe names.
 */
export function checkColumns(
  columns: readonly NamedColumn[],
  wanted: readonly string[] | null,
): void {
  refuseTwice(columns, null);
  const names = columns.map(({ name }) => name);
  const missing = wanted?.find((column) => !names.includes(column));
  if (missing !== undefined)
    throw new Error(`the file has no column "${missing}"; columns: ${names.join(", ")}`);
}

function refuseTwice(columns: readonly NamedColumn[], above: string | null): void {
  const names = columns.map(({ name }) => name);
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined)
    throw new Error(
      `${above === null ? "the file" : `"${above}"`} has the column "${twice}" more than once; ` +
        `columns: ${names.join(", ")}. Give each column a name of its own`,
    );
  for (const { name, parts } of columns)
    refuseTwice(parts, above === null ? name : `${above}.${name}`);
}
