// Differences of two recipes: what a continued run may change, may raise, and may not touch.

import { expect, test } from "bun:test";
import { recipeDifferences } from "../../src/recipe/difference.ts";
import { FREE_KEYS } from "../../src/recipe/keys.ts";
import type { JsonObject } from "../../src/task/json.ts";

const RECIPE = {
  name: "r",
  dataset: { path: "/d.jsonl" },
  models: { m: { kind: "simulated" } },
  roles: { a: { agent: "llm", model: "m", prompt: "/p.md" } },
  orchestrator: { pattern: "sequence", roles: ["a"] },
};
const kindsOf = (before: JsonObject, now: JsonObject) =>
  Object.fromEntries(recipeDifferences(before, now).map(({ key, kind }) => [key, kind]));
const withRun = (run: JsonObject) => ({ ...RECIPE, run });

test("a changed key is free, grows, or is a conflict", () => {
  const before = {
    run: { trials: 2, seed: 1, concurrency: 5 },
    dataset: { limit: 10 },
    models: { m: { headers: { a: "1" }, price: { prompt: 1 }, model: "x" } },
  };
  const now = {
    run: { trials: 3, seed: 2 },
    dataset: {},
    models: { m: { headers: { a: "2" }, price: { prompt: 2 }, model: "y" } },
  };
  expect(kindsOf(before, now)).toEqual({
    "run.trials": "grows",
    "run.seed": "conflict",
    "run.concurrency": "free",
    "dataset.limit": "grows",
    "models.m.headers.a": "free",
    "models.m.price.prompt": "free",
    "models.m.model": "conflict",
  });
});

test("a limit or a number of trials that gets smaller shrinks", () => {
  expect(kindsOf({ run: { trials: 3 } }, { run: { trials: 2 } })).toEqual({
    "run.trials": "shrinks",
  });
  expect(kindsOf({ dataset: { limit: 3 } }, { dataset: { limit: 2 } })).toEqual({
    "dataset.limit": "shrinks",
  });
});

test("an unset limit is infinite, and unset trials are one", () => {
  expect(kindsOf({ dataset: {} }, { dataset: { limit: 9 } })).toEqual({
    "dataset.limit": "shrinks",
  });
  expect(kindsOf({ run: {} }, { run: { trials: 2 } })).toEqual({ "run.trials": "grows" });
  expect(kindsOf({ run: { trials: 2 } }, { run: {} })).toEqual({ "run.trials": "shrinks" });
});

test("a difference holds both values as they were written", () => {
  expect(recipeDifferences({ a: { b: [1, 2] } }, { a: { b: [1, 3] }, c: 1 })).toEqual([
    { key: "a.b", before: [1, 2], now: [1, 3], kind: "conflict" },
    { key: "c", before: undefined, now: 1, kind: "conflict" },
  ]);
});

test("two ways to write the same value are no difference", () => {
  expect(kindsOf(withRun({ timeout: "90s" }), withRun({ timeout: "1.5m" }))).toEqual({});
  expect(kindsOf(withRun({ max_hops: 200 }), RECIPE)).toEqual({});
  expect(kindsOf(RECIPE, withRun({ max_hops: 200 }))).toEqual({});
  expect(kindsOf(withRun({ seed: 1, trials: 2 }), withRun({ trials: 2, seed: 1 }))).toEqual({});
  expect(kindsOf(withRun({ task_limit: { calls: 3 } }), RECIPE)).toEqual({
    "run.task_limit.calls": "free",
  });
  expect(kindsOf(withRun({ max_hops: 201 }), RECIPE)).toEqual({ "run.max_hops": "conflict" });
});

test("a table that is not a valid recipe is compared as it is written", () => {
  expect(kindsOf({ run: { timeout: "90s" } }, { run: { timeout: "1.5m" } })).toEqual({
    "run.timeout": "conflict",
  });
});

test("keys that are written alike are no difference beside a table that is not valid", () => {
  const valid = withRun({ timeout: "90s" });
  expect(kindsOf(valid, { ...valid, junk: 1 })).toEqual({ junk: "conflict" });
});

test("the keys that a continued run may change are these and no others", () => {
  expect([...FREE_KEYS].sort()).toEqual([
    "models.*.affinity_header",
    "models.*.api_key",
    "models.*.base_url",
    "models.*.concurrency",
    "models.*.connect_timeout",
    "models.*.deadline",
    "models.*.expect",
    "models.*.expect.*",
    "models.*.first_token_timeout",
    "models.*.headers",
    "models.*.journal",
    "models.*.price",
    "models.*.retries",
    "models.*.rpm",
    "models.*.timeout",
    "models.*.tls",
    "models.*.tpm",
    "python.command",
    "python.install",
    "python.processes",
    "python.timeout",
    "roles.*.concurrency",
    "roles.*.processes",
    "roles.*.python",
    "roles.*.retries",
    "run.budget",
    "run.cache",
    "run.concurrency",
    "run.fail_above",
    "run.grace",
    "run.output",
    "run.stop_after",
    "run.task_limit",
    "sandboxes.*.count",
    "sandboxes.*.cpus",
    "sandboxes.*.disk",
    "sandboxes.*.engine",
    "sandboxes.*.memory",
    "sandboxes.*.pids",
    "sandboxes.*.warm",
    "store.above",
    "store.enabled",
    "store.memory",
  ]);
});
