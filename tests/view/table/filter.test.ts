// The filter of a list of records, from the parameters of a URL.

import { expect, test } from "bun:test";
import { BadQuery, filtered, type Marks, type Parameters } from "../../../src/view/table/filter.ts";
import { type Row, tableOf } from "../parts/table.ts";

const UNMARKED: Marks = { judged: new Map(), matches: null };

async function passing(
  rows: readonly Row[],
  parameters: Parameters,
  marks: Marks = UNMARKED,
  own: readonly string[] = [],
): Promise<readonly number[]> {
  return [...(await filtered(tableOf(rows, own), parameters, marks))];
}

test("a filter without parameters lets every record pass", async () => {
  expect(await passing([{}, {}], {})).toEqual([0, 1]);
  expect(await passing([{}, {}], { status: "", id: undefined })).toEqual([0, 1]);
});

test("several values of a parameter are alternatives, and parameters add up", async () => {
  const rows = [
    { status: "ok", stop: "agreed" },
    { status: "failed", stop: "error" },
    { status: "lost", stop: "lost" },
    { status: "ok", stop: "max_turns" },
  ];
  expect(await passing(rows, { status: "failed,lost" })).toEqual([1, 2]);
  expect(await passing(rows, { status: "ok", stop: "agreed,error" })).toEqual([0]);
});

test("values are encoded one by one, so that a comma may be in them", async () => {
  const rows = [{ error: "a,b" }, { error: "a" }, {}];
  expect(await passing(rows, { error: "a%2Cb" })).toEqual([0]);
  expect(await passing(rows, { error: "none" })).toEqual([2]);
  await expect(passing(rows, { error: "%E0%A4%A" })).rejects.toThrow(BadQuery);
});

test("a message is taken whole, commas and percent signs included", async () => {
  const rows = [{ message: "50 %, or so" }, { message: "50" }];
  expect(await passing(rows, { message: "50 %, or so" })).toEqual([0]);
});

test("a range has both of its ends, and an open end has no limit", async () => {
  const rows = [{ score: 0 }, { score: 0.5 }, { score: 1 }, {}];
  expect(await passing(rows, { score: "0.5..1" })).toEqual([1, 2]);
  expect(await passing(rows, { score: "0.5.." })).toEqual([1, 2]);
  expect(await passing(rows, { score: "..0.5" })).toEqual([0, 1]);
  expect(await passing(rows, { score: "0.5" })).toEqual([1]);
  expect(await passing(rows, { score: ".." })).toEqual([0, 1, 2]);
  expect(await passing(rows, { score: "none" })).toEqual([3]);
});

test("every column of numbers can be limited", async () => {
  const rows = [
    { turns: 1, tokens: 1, cost: 1, ms: 1, ended: Date.parse("2026-11-24T00:00:01Z") },
    { turns: 2, tokens: 2, cost: 2, ms: 2, ended: Date.parse("2026-11-24T00:00:02Z") },
  ];
  for (const name of ["turns", "tokens", "cost", "ms"])
    expect([name, await passing(rows, { [name]: "2.." })]).toEqual([name, [1]]);
  expect(await passing(rows, { ended: "2026-11-24T00:00:02Z.." })).toEqual([1]);
  expect(await passing(rows, { ended: `..${Date.parse("2026-11-24T00:00:01Z")}` })).toEqual([0]);
});

test("a value that is not a range is refused with the name of its parameter", async () => {
  for (const text of ["abc", "1..b", "1..2..3"])
    await expect(passing([{}], { score: text })).rejects.toThrow(`score: ${text} is not a range`);
});

test("a part of an id is found in any case", async () => {
  const rows = [{ id: "Alpha-1" }, { id: "beta" }];
  expect(await passing(rows, { id: "ALPHA" })).toEqual([0]);
});

test("the filter of trials takes numbers alone", async () => {
  const rows = [{ trial: 0 }, { trial: 1 }, { trial: 2 }];
  expect(await passing(rows, { trial: "0,2" })).toEqual([0, 2]);
  await expect(passing(rows, { trial: "-1" })).rejects.toThrow(
    "trial: -1 is not a number of a trial",
  );
  await expect(passing(rows, { trial: "x" })).rejects.toThrow(BadQuery);
});

test("verdicts and labels are those of people; none finds the rest", async () => {
  const judged = new Map([
    [0, { verdict: "accepted" as const, labels: ["good", "short"] }],
    [1, { verdict: "disputed" as const, labels: [] }],
  ]);
  const marks = { judged, matches: null };
  const rows = [{}, {}, {}];
  expect(await passing(rows, { verdict: "accepted" }, marks)).toEqual([0]);
  expect(await passing(rows, { verdict: "disputed,none" }, marks)).toEqual([1, 2]);
  expect(await passing(rows, { label: "short" }, marks)).toEqual([0]);
  expect(await passing(rows, { label: "none" }, marks)).toEqual([1, 2]);
});

test("matches of a scan limit the list, and where and q do nothing by themselves", async () => {
  const marks = { judged: new Map(), matches: new Set([1]) };
  expect(await passing([{}, {}], { where: "true", q: "x" }, marks)).toEqual([1]);
  expect(await passing([{}, {}], { where: "true", q: "x" })).toEqual([0, 1]);
});

test("own columns are compared as texts, or as ranges of numbers", async () => {
  const rows = ["algebra", 3, 5, null, true].map((cell) => ({ cells: [cell] }));
  const passes = (value: string) => passing(rows, { "col.topic": value }, UNMARKED, ["topic"]);
  expect(await passes("algebra,5")).toEqual([0, 2]);
  expect(await passes("4..")).toEqual([2]);
  expect(await passes("3..5")).toEqual([1, 2]);
  expect(await passes("none")).toEqual([3]);
  expect(await passes("true")).toEqual([4]);
});

test("a parameter that no filter has is refused, and those of the page are not filters", async () => {
  await expect(passing([{}], { colour: "red" })).rejects.toThrow("there is no filter colour");
  await expect(passing([{}], { "col.x": "1" })).rejects.toThrow("the run has no column x");
  const page = { sort: "n", desc: "1", offset: "5", limit: "1", from: "0", count: "1", hop: "0" };
  expect(await passing([{}], { ...page, at: "/row" })).toEqual([0]);
});
