import { expect, test } from "bun:test";
import type { RecordQuery, RecordRow, RunAnswer } from "../../../src/view/api.ts";
import { chosenRows, errorGroups, snippetOf } from "../../../src/view/page/source/bundle-query.ts";

const row = (n: number, extra: Partial<RecordRow> = {}): RecordRow => ({
  ...{ n, id: `row-${n}`, trial: 0, status: "ok", stop: "completed", score: n / 10, error: null },
  ...{ turns: n, tokens: 100 - n, cost: null, ms: 10 * n, ended: 1000 * n, bytes: 1 },
  ...{ columns: [n % 2 === 0], verdict: null, labels: [], comments: 0 },
  ...extra,
});
const ROWS = [
  row(0),
  row(1, { status: "failed", stop: "error", error: "agent_failed", score: null }),
  row(2, { verdict: "accepted", labels: ["neat"] }),
  row(10, { id: "odd, name", trial: 1, stop: "agreed" }),
];
const RUN = {
  columns: [{ name: "even", source: "", type: "boolean" }],
  errors: [{ code: "agent_failed", message: "boom …", count: 1, examples: [] }],
} as unknown as RunAnswer;

const chosen = (query: RecordQuery, found?: Set<number>) =>
  chosenRows(RUN, ROWS, query, found).map(({ n }) => n);

test("filters of a bundle leave the rows that a server would leave", () => {
  expect(chosen({})).toEqual([0, 1, 2, 10]);
  expect(chosen({ status: "failed" })).toEqual([1]);
  expect(chosen({ status: "failed,ok" })).toEqual([0, 1, 2, 10]);
  expect(chosen({ stop: "agreed" })).toEqual([10]);
  expect(chosen({ error: "none" })).toEqual([0, 2, 10]);
  expect(chosen({ verdict: "accepted" })).toEqual([2]);
  expect(chosen({ verdict: "none" })).toEqual([0, 1, 10]);
  expect(chosen({ label: "neat" })).toEqual([2]);
  expect(chosen({ id: "row-" })).toEqual([0, 1, 2]);
  expect(chosen({ trial: "1" })).toEqual([10]);
  expect(chosen({ "col.even": "false" })).toEqual([1]);
});

test("ranges hold both of their ends, and may be open", () => {
  expect(chosen({ turns: "1..2" })).toEqual([1, 2]);
  expect(chosen({ turns: "2.." })).toEqual([2, 10]);
  expect(chosen({ turns: "..1" })).toEqual([0, 1]);
  expect(chosen({ score: "0..9" })).toEqual([0, 2, 10]);
  expect(chosen({ score: "none" })).toEqual([1]);
  expect(chosen({ ended: "1970-01-01T00:00:02Z.." })).toEqual([2, 10]);
});

test("rows without the value come last in both directions", () => {
  expect(chosen({ sort: "score" })).toEqual([0, 2, 10, 1]);
  expect(chosen({ sort: "score", desc: "1" })).toEqual([10, 2, 0, 1]);
  expect(chosen({ sort: "id" })).toEqual([10, 0, 1, 2]);
  expect(chosen({ sort: "tokens" })).toEqual([10, 2, 1, 0]);
});

test("a search leaves what it has found so far", () => {
  expect(chosen({ q: "x" })).toEqual([]);
  expect(chosen({ q: "x" }, new Set([2, 10]))).toEqual([2, 10]);
});

test("errors of a filter are grouped by their code", () => {
  expect(errorGroups(RUN, ROWS, {})).toEqual({ groups: RUN.errors, more: 0 });
  expect(errorGroups(RUN, ROWS, { status: "ok" })).toEqual({ groups: [], more: 0 });
});

test("a snippet has the text around the first match, in any case", () => {
  expect(snippetOf(`${"a".repeat(100)}Find me${"b".repeat(100)}`, "find ME")).toEqual({
    ...{ text: `${"a".repeat(80)}Find me${"b".repeat(80)}`, from: 80, to: 87 },
  });
  expect(snippetOf("short", "sho")).toEqual({ text: "short", from: 0, to: 3 });
  expect(snippetOf("short", "long")).toBeNull();
});
