// Errors by code and message. Messages come without ids and long numbers (src/records/index), so
// that one fault makes one group.

import type { ErrorGroup, ErrorsAnswer } from "../api.ts";
import type { RunTable } from "../table/run-table.ts";

const GROUPS_MAX = 100;
const EXAMPLES_MAX = 5;

/** The groups among the records in `found`; the largest come first. */
export async function errorGroups(table: RunTable, found: Uint32Array): Promise<ErrorsAnswer> {
  const [codes, messages] = [await table.texts("error"), await table.texts("message")];
  const trials = await table.numbers("trial");
  const groups = new Map<string, { code: number; message: number; count: number; at: number[] }>();
  for (const n of found) {
    const [code = 0, message = 0] = [codes.codes[n], messages.codes[n]];
    if (codes.strings[code] === "") continue;
    const key = `${code}:${message}`;
    const group = groups.get(key) ?? { code, message, count: 0, at: [] };
    groups.set(key, group);
    group.count++;
    if (group.at.length < EXAMPLES_MAX) group.at.push(n);
  }
  const sorted = [...groups.values()].sort((a, b) => b.count - a.count);
  const listed = sorted.slice(0, GROUPS_MAX).map(
    ({ code, message, count, at }): ErrorGroup => ({
      code: codes.strings[code] ?? "",
      message: messages.strings[message] ?? "",
      count,
      examples: at.map((n) => ({ id: table.idAt(n), trial: trials[n] ?? 0 })),
    }),
  );
  const more = sorted.slice(GROUPS_MAX).reduce((sum, { count }) => sum + count, 0);
  return { groups: listed, more };
}
