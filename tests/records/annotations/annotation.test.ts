// What people say of records.

import { expect, test } from "bun:test";
import {
  Annotations,
  labelsOf,
  lineOf,
  parseStatement,
  type Statement,
  verdictOf,
} from "../../../src/records/annotations/annotation.ts";

const said = (more: Partial<Statement> = {}): Statement => ({
  at: "2026-11-24T00:00:00.000Z",
  who: "ann",
  id: "a",
  trial: 0,
  attempt: 1,
  ...more,
});

test("a statement is one line, and is read back", () => {
  const statement = said({ verdict: "accepted", labels: ["good"], comment: "line\nbreak" });
  const line = lineOf(statement);
  expect(line.endsWith("\n")).toBeTrue();
  expect(line.indexOf("\n")).toBe(line.length - 1);
  expect(JSON.parse(line)).toEqual({ format: "matrix-annotation-1", ...statement });
  expect(parseStatement(line)).toMatchObject({ ...statement });
});

test("a line of another kind is not a statement", () => {
  const line = JSON.parse(lineOf(said())) as object;
  const wrong = [
    { ...line, format: "other" },
    { ...line, who: " " },
    { ...line, who: "x".repeat(201) },
    { ...line, trial: -1 },
    { ...line, attempt: 0 },
    { ...line, verdict: "maybe" },
    { ...line, labels: ["x".repeat(201)] },
    { ...line, labels: Array.from({ length: 51 }, String) },
    { ...line, comment: "x".repeat(20_001) },
  ];
  for (const value of wrong)
    expect([value, parseStatement(JSON.stringify(value))]).toEqual([value, null]);
  expect(parseStatement("{")).toBeNull();
});

test("the latest statement counts for each member by itself", () => {
  const annotations = new Annotations();
  annotations.add(said({ verdict: "accepted", labels: ["x"], comment: "first" }));
  annotations.add(said({ at: "later", labels: [] }));
  const last = annotations.add(said({ at: "last", verdict: null }));
  expect(last).toEqual({
    ...{ who: "ann", id: "a", trial: 0, attempt: 1, at: "last" },
    ...{ verdict: null, labels: [], comment: "first" },
  });
  expect(annotations.of("a", 0)).toEqual([last]);
  expect([...annotations]).toEqual([last]);
  expect(annotations.of("a", 1)).toEqual([]);
});

test("people do not overwrite each other, and trials are apart", () => {
  const annotations = new Annotations();
  annotations.add(said({ verdict: "accepted" }));
  annotations.add(said({ who: "bob", verdict: "rejected" }));
  annotations.add(said({ trial: 1, verdict: "rejected" }));
  expect(annotations.of("a", 0).map(({ who, verdict }) => [who, verdict])).toEqual([
    ["ann", "accepted"],
    ["bob", "rejected"],
  ]);
  expect(annotations.of("a", 1).length).toBe(1);
});

test("an annotation of a record that a retry replaced does not count for the new one", () => {
  const annotations = new Annotations();
  annotations.add(said({ verdict: "rejected", labels: ["bad"], comment: "no" }));
  expect(annotations.add(said({ attempt: 2, verdict: "accepted" }))).toMatchObject({
    verdict: "accepted",
    labels: [],
    comment: "",
  });
});

test("the verdict of all people is theirs when they agree, and disputed when not", () => {
  const annotations = new Annotations();
  const one = annotations.add(said({ verdict: "accepted", labels: ["b", "a"] }));
  const two = annotations.add(said({ who: "bob", verdict: "rejected", labels: ["a"] }));
  const silent = annotations.add(said({ who: "eve", comment: "hm" }));
  expect(verdictOf([])).toBeNull();
  expect(verdictOf([silent])).toBeNull();
  expect(verdictOf([one, silent])).toBe("accepted");
  expect(verdictOf([one, two])).toBe("disputed");
  expect(labelsOf([one, two, silent])).toEqual(["a", "b"]);
});
