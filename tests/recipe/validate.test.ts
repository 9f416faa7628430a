// Missing, unknown and wrong keys of a table, reported in words that a user can act on.

import { describe, expect, test } from "bun:test";
import { validateRecipe } from "../../src/recipe/validate.ts";
import type { JsonObject } from "../../src/task/json.ts";

const RECIPE = {
  name: "r",
  dataset: { path: "/d" },
  models: { m: { kind: "simulated" } },
  roles: { a: { agent: "llm", model: "m" } },
  orchestrator: { pattern: "sequence", roles: ["a"] },
};
/** Complaints about the recipe with some tables replaced, as lines. */
const complaintsOf = (tables: JsonObject) =>
  validateRecipe({ ...RECIPE, ...tables }).complaints.map(
    ({ key, message, suggestion }) =>
      `${key}: ${message}${suggestion === undefined ? "" : ` (${suggestion})`}`,
  );

test("a recipe without complaints is returned with its defaults", () => {
  const { recipe, complaints } = validateRecipe(RECIPE);
  expect(complaints).toEqual([]);
  expect(recipe?.run.concurrency).toBe(100);
});

describe("unknown keys", () => {
  test("an unknown key is reported with the keys of its table and the nearest one", () => {
    expect(complaintsOf({ store: { abov: "1B" } })).toEqual([
      'store.abov: unknown key "abov"; allowed: enabled, above, memory (above)',
    ]);
  });

  test("every unknown key is reported, and the recipe is refused", () => {
    const tables = { store: { x: 1, memry: 1 }, run: { sed: 1 } };
    expect(complaintsOf(tables).map((line) => line.split(":")[0])).toEqual([
      "run.sed",
      "store.x",
      "store.memry",
      "store.memry",
    ]);
    expect(validateRecipe({ ...RECIPE, store: { x: 1 } }).recipe).toBe(null);
  });

  test("a misspelt key is not also reported as missing", () => {
    expect(complaintsOf({ dataset: { pth: "/d" } })).toEqual([
      'dataset.pth: unknown key "pth"; allowed: path, format, csv, columns, id, limit, shuffle, filter, shard (path)',
    ]);
  });

  test("a wrong value in a table with an unknown key is reported too", () => {
    expect(complaintsOf({ run: { sed: 1, trials: 0 } })).toEqual([
      expect.stringContaining('run.sed: unknown key "sed"'),
      "run.trials: found 0; allowed: at least 1",
    ]);
  });

  test("the keys offered are those of the table's kind, also in lists, unions and patterns", () => {
    const allowed = (tables: JsonObject) =>
      /allowed: ([^(]*)/.exec(complaintsOf(tables)[0] ?? "")?.[1]?.trim();
    expect(allowed({ models: { m: { kind: "scripted", replies: "/r", x: 1 } } })).toBe(
      "kind, replies, latency, concurrency, price, journal",
    );
    expect(allowed({ orchestrator: { pattern: "sequence", roles: ["a"], x: 1 } })).toBe(
      "pattern, roles, score",
    );
    expect(allowed({ orchestrator: { module: "/m", x: 1 } })).toBe("module, with");
    expect(allowed({ orchestrator: { graph: "/m", x: 1 } })).toBe("graph, with, score");
    expect(allowed({ orchestrator: { pattern: "pipeline", stages: [{ role: "a", x: 1 }] } })).toBe(
      "role, keep",
    );
    expect(allowed({ roles: { a: { agent: "llm", prompt: { text: "t", x: 1 } } } })).toBe("text");
    expect(allowed({ models: { m: { kind: "openai", model: "x", base_url: { x: 1 } } } })).toBe(
      "file, dns",
    );
    const latency = { kind: "uniform", min: "1s", max: "2s", x: 1 };
    expect(allowed({ models: { m: { kind: "simulated", latency } } })).toBe("kind, min, max");
    expect(allowed({ run: { budget: { tokens: 1, x: 1 } } })).toBe("money, tokens");
    expect(allowed({ sandboxes: { s: { mounts: [{ source: "/a", target: "/b", x: 1 }] } } })).toBe(
      "source, target, writable",
    );
    expect(allowed({ x: 1 })).toBe(
      "name, dataset, run, store, models, sandboxes, python, roles, orchestrator",
    );
  });

  test("unknown keys of several elements of a list are all reported", () => {
    const stages = [{ role: "a", x: 1 }, { role: "a" }, { role: "a", y: 1 }];
    expect(complaintsOf({ orchestrator: { pattern: "pipeline", stages } })).toEqual([
      'orchestrator.stages.0.x: unknown key "x"; allowed: role, keep',
      'orchestrator.stages.2.y: unknown key "y"; allowed: role, keep',
    ]);
  });
});

describe("suggestions", () => {
  const suggestionFor = (key: string) =>
    validateRecipe({ ...RECIPE, run: { [key]: 1 } }).complaints[0]?.suggestion;

  test("a word is suggested when at most two letters, or a third of the word, would change", () => {
    expect(suggestionFor("sed")).toBe("seed");
    expect(suggestionFor("seedxx")).toBe("seed");
    expect(suggestionFor("seedxxx")).toBeUndefined();
    expect(suggestionFor("concurrencyxxx")).toBe("concurrency");
    expect(suggestionFor("concurrencyxxxxx")).toBe("concurrency");
    expect(suggestionFor("concurrencyxxxxxx")).toBeUndefined();
    expect(suggestionFor("zzzzz")).toBeUndefined();
  });
});

describe("values", () => {
  test("a missing key is reported by its own name", () => {
    const { name: _, ...rest } = RECIPE;
    expect(validateRecipe(rest).complaints).toEqual([
      { key: "name", message: "missing; it must be set" },
    ]);
    expect(complaintsOf({ models: { m: { kind: "openai" } } })).toEqual([
      "models.m.base_url: missing; it must be set",
      "models.m.model: missing; it must be set",
    ]);
  });

  test("a wrong choice is reported with all choices and the nearest one", () => {
    expect(complaintsOf({ run: { delivery: "rety" } })).toEqual([
      'run.delivery: found "rety"; allowed: retry, at-most-once (retry)',
    ]);
    expect(complaintsOf({ models: { m: { kind: "opnai" } } })).toEqual([
      'models.m.kind: found "opnai"; allowed: openai, simulated, scripted (openai)',
      "models.m.base_url: missing; it must be set",
      "models.m.model: missing; it must be set",
    ]);
    expect(complaintsOf({ orchestrator: { pattern: "seq" } })).toEqual([
      'orchestrator.pattern: found "seq"; allowed: sequence, pipeline, dialogue, tool-loop, best-of-n, fan-out',
    ]);
  });

  test("a value of another type is reported with what was found and what is allowed", () => {
    expect(complaintsOf({ run: { seed: 1.5 } })).toEqual([
      "run.seed: found 1.5; allowed: a whole number",
    ]);
    expect(complaintsOf({ run: { seed: {} } })).toEqual([
      "run.seed: found a table; allowed: a number",
    ]);
    expect(complaintsOf({ run: 7 })).toEqual(["run: found 7; allowed: a table"]);
    expect(complaintsOf({ roles: { a: { agent: "llm", conversation: "a" } } })).toEqual([
      'roles.a.conversation: found "a"; allowed: a list',
    ]);
    expect(complaintsOf({ roles: { a: { agent: "" } } })).toEqual([
      'roles.a.agent: found ""; allowed: a text that is not empty',
    ]);
    expect(complaintsOf({ run: { budget: { money: 0 } } })).toEqual([
      "run.budget.money: found 0; allowed: more than 0",
    ]);
    expect(complaintsOf({ dataset: { path: "/d", id: 7 } })).toEqual([
      "dataset.id: found 7; allowed: a text",
    ]);
    expect(complaintsOf({ run: { compress: "yes" } })).toEqual([
      'run.compress: found "yes"; allowed: true or false',
    ]);
    expect(complaintsOf({ run: { fail_above: 1.1 } })).toEqual([
      "run.fail_above: found 1.1; allowed: at most 1",
    ]);
  });

  test("a value that may be written in several ways is reported with all of them", () => {
    expect(complaintsOf({ roles: { a: { agent: "llm", prompt: 7 } } })).toEqual([
      'roles.a.prompt: found 7; allowed: a path, or { text = "…" }',
    ]);
    expect(complaintsOf({ dataset: { path: [] } })).toEqual([
      "dataset.path: found []; allowed: a path or several",
    ]);
  });

  test("inside a table of a union, the complaint is about the part that is wrong", () => {
    const latency = { kind: "uniform", min: "1s", max: 2 };
    expect(complaintsOf({ models: { m: { kind: "simulated", latency } } })).toEqual([
      'models.m.latency.max: found 2; allowed: a duration such as "90s", in ms, s, m, h or d',
    ]);
  });

  test("limits between keys are reported at their table", () => {
    expect(complaintsOf({ run: { budget: {} } })).toEqual([
      "run.budget: found a table; allowed: a table with money, tokens or both",
    ]);
    const both = { file: "/f", dns: "http://x/v1" };
    for (const base_url of [both, {}])
      expect(
        complaintsOf({ models: { m: { kind: "openai", model: "x", base_url } } }),
      ).toHaveLength(1);
    expect(complaintsOf({ roles: {} })).toEqual([
      "roles: found a table; allowed: at least one role",
    ]);
    expect(complaintsOf({ orchestrator: { pattern: "fan-out", roles: ["a", "a"] } })).toEqual([
      'orchestrator.roles: found ["a","a"]; allowed: each role once',
    ]);
  });

  test("the delimiter of CSV is text within a line", () => {
    const found = (delimiter: string) =>
      complaintsOf({ dataset: { path: "/d", csv: { delimiter } } });
    for (const delimiter of ["", "\n", "a\r"])
      expect(found(delimiter)).toEqual([
        `dataset.csv.delimiter: found ${JSON.stringify(delimiter)}; allowed: characters within a line`,
      ]);
    for (const delimiter of ["\t", "||"]) expect(found(delimiter)).toEqual([]);
  });

  test("the delimiter of CSV holds no quote, unless fields have none", () => {
    const found = (delimiter: string, quote?: string) => {
      const csv = quote === undefined ? { delimiter } : { delimiter, quote };
      return complaintsOf({ dataset: { path: "/d", csv } });
    };
    const refused = (delimiter: string) => [
      `dataset.csv.delimiter: found ${JSON.stringify(delimiter)}; allowed: characters without the quote`,
    ];
    expect(found('"')).toEqual(refused('"'));
    expect(found("';", "'")).toEqual(refused("';"));
    expect(found("'")).toEqual([]);
    expect(found('"', "")).toEqual([]);
  });

  test("a shard past the end is reported with the shards that there are", () => {
    expect(complaintsOf({ dataset: { path: "/d", shard: "4/4" } })).toEqual([
      'dataset.shard: found "4/4"; allowed: "0/4" to "3/4", counted from 0',
    ]);
    expect(complaintsOf({ dataset: { path: "/d", shard: "4" } })).toEqual([
      'dataset.shard: found "4"; allowed: a shard "INDEX/COUNT" with INDEX from 0, such as "0/4"',
    ]);
    expect(complaintsOf({ dataset: { path: "/d", shard: "3/4" } })).toEqual([]);
  });
});
