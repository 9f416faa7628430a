// A table without what is wrong with it: words that were meant, values that were taken out, and
// what may still be said of the rest.

import { expect, test } from "bun:test";
import { Mending, Soundness } from "../../src/recipe/mending.ts";
import { checkReferences } from "../../src/recipe/references.ts";
import { validateRecipe } from "../../src/recipe/validate.ts";
import type { JsonObject } from "../../src/task/json.ts";

const RECIPE: JsonObject = {
  name: "r",
  dataset: { path: "/d" },
  models: { m: { kind: "simulated" } },
  roles: { a: { agent: "llm", model: "m", prompt: { text: "Q" } } },
  orchestrator: { pattern: "sequence", roles: ["a"] },
};

/** What the checks of names say of the sound part of a recipe. */
function namesIn(tables: JsonObject): readonly string[] {
  const { mended, soundness } = validateRecipe({ ...RECIPE, ...tables });
  return checkReferences(mended, soundness).map(({ key, message }) => `${key}: ${message}`);
}

test("a renamed key has its value under the key that was meant, and keeps its written name", () => {
  const mending = new Mending({ run: { sed: 7, x: { y: 1 } } });
  mending.rename(["run", "sed"], "seed");
  mending.rename(["run", "x"], "store");
  expect(mending.table).toEqual({ run: { seed: 7, store: { y: 1 } } });
  const { soundness } = mending;
  expect(soundness.writtenAs("run.seed")).toBe("run.sed");
  expect(soundness.writtenAs("run.store.y")).toBe("run.x.y");
  expect(soundness.writtenAs("run.trials")).toBe("run.trials");
  expect(soundness.isWhole("run.seed")).toBe(true);
});

test("the value of a renamed key is settled for the key that was meant", () => {
  const mending = new Mending({ dataset: { pth: "d.jsonl" } });
  mending.rename(["dataset", "pth"], "path", (value, key) => `${key}=${value}`);
  expect(mending.table).toEqual({ dataset: { path: "dataset.path=d.jsonl" } });
});

test("renamed tables inside of renamed tables keep both written names", () => {
  const mending = new Mending({ rune: { budgt: { tokens: 1 } } });
  mending.rename(["rune"], "run");
  mending.rename(["run", "budgt"], "budget");
  expect(mending.table).toEqual({ run: { budget: { tokens: 1 } } });
  expect(mending.soundness.writtenAs("run.budget.tokens")).toBe("rune.budgt.tokens");
});

test("an unknown key is left out when no other was meant, or when that one is set, too", () => {
  const mending = new Mending({ run: { sed: 7, seed: 1, zzz: 2 } });
  mending.rename(["run", "zzz"], undefined);
  expect(mending.soundness.isWhole("run")).toBe(true);
  mending.rename(["run", "sed"], "seed");
  expect(mending.table).toEqual({ run: { seed: 1 } });
  expect(mending.soundness.isSound("run.seed")).toBe(false);
});

test("a wrong word is replaced by the word that was meant, and any other value is taken out", () => {
  const mending = new Mending({ run: { delivery: "rety", seed: "x", trials: 1 } });
  mending.replace(["run", "delivery"], "retry");
  mending.replace(["run", "seed"], undefined);
  expect(mending.table).toEqual({ run: { delivery: "retry", trials: 1 } });
  const { soundness } = mending;
  expect(soundness.isSound("run.delivery")).toBe(true);
  expect(soundness.isSound("run.seed")).toBe(false);
  expect([soundness.isSound("run"), soundness.isWhole("run")]).toEqual([true, false]);
});

test("a value in a list takes the list along, so that the others keep their places", () => {
  const mending = new Mending({ roles: { a: { conversation: ["a", 7, "b"] } } });
  mending.takeOut(["roles", "a", "conversation", "1"]);
  expect(mending.table).toEqual({ roles: { a: {} } });
  expect(mending.soundness.isSound("roles.a.conversation.2")).toBe(false);
});

test("a required value gets a stand-in at first, and takes its table along later", () => {
  const mending = new Mending({ models: { m: { kind: "openai", base_url: 5 } } });
  // Two faults of one value take it out once.
  for (const _ of ["one", "two"]) mending.takeOut(["models", "m", "base_url"]);
  expect(mending.table).toMatchObject({ models: { m: { base_url: expect.any(String) } } });
  mending.beginRound();
  mending.takeOut(["models", "m", "base_url"]);
  expect(mending.table).toEqual({ models: { m: { kind: "openai" } } });
  mending.beginRound();
  mending.takeOut(["models", "m", "base_url"]);
  expect(mending.table).toEqual({ models: { m: { kind: "simulated" } } });
});

test("whatever is wrong with a table, a recipe is left of it", () => {
  const wrong: readonly JsonObject[] = [
    {},
    { name: 1, dataset: 2, run: 3, store: 4, models: 5, sandboxes: 6, roles: 7, orchestrator: 8 },
    { ...RECIPE, roles: {} },
    { ...RECIPE, models: { "a b": { kind: "simulated" }, c: 1 } },
    { ...RECIPE, orchestrator: { pattern: "dialogue", speakers: [1] } },
    { ...RECIPE, orchestrator: { pattern: "pipeline", stages: [{ role: 1 }, {}] } },
    { ...RECIPE, sandboxes: { s: { mounts: [{}, 1], image: "" } } },
  ];
  for (const table of wrong) {
    const { recipe, mended, complaints } = validateRecipe(table);
    expect(recipe).toBeNull();
    expect(complaints.length).toBeGreaterThan(0);
    expect(Object.keys(mended.roles).length).toBeGreaterThan(0);
  }
});

test("names are checked beside wrong values, and against what the user wrote", () => {
  const roles = { a: { agent: "llm", model: "none", prompt: { text: "Q" }, timeout: 5 } };
  expect(namesIn({ roles })).toEqual(['roles.a.model: no model is named "none"; models: m']);
  // The model is there, although it is wrong.
  expect(namesIn({ models: { m: { kind: "zzzzzzzz" } } })).toEqual([]);
});

test("nothing is said of what a wrong value may have caused", () => {
  const a = RECIPE["roles"] as JsonObject;
  // The model that the role lacks may be the value of a wrong type.
  expect(namesIn({ roles: { a: { agent: "llm", model: 5, prompt: { text: "Q" } } } })).toEqual([]);
  // The agent of the role is not known, so it is not known which keys it reads.
  expect(namesIn({ roles: { a: { command: ["x"], retries: 1 } } })).toEqual([]);
  // The section that would have the names is not there.
  expect(namesIn({ models: 5 })).toEqual([]);
  expect(namesIn({ roles: 5 })).toEqual([]);
  // The rule that would name the role is wrong.
  expect(
    namesIn({
      orchestrator: { pattern: "dialogue", speakers: ["a"], between: 5 },
      roles: { ...a, b: (a as JsonObject)["a"] ?? null },
    }),
  ).toEqual([]);
  // The role that would use the sandbox is wrong.
  const sandboxes = { box: { image: "ubuntu" } };
  expect(namesIn({ sandboxes, roles: { a: { agent: "x.py", sandbox: 5 } } })).toEqual([
    expect.stringContaining("roles.a.agent: no such file"),
  ]);
  expect(namesIn({ sandboxes })).toEqual(["sandboxes.box: no role uses this sandbox"]);
});

test("further unsound keys leave the others as they are", () => {
  const soundness = new Soundness(["a.b"]).without(["c"]);
  expect(["a", "a.b", "a.b.c", "c.d", "cd"].map((key) => soundness.isSound(key))).toEqual([
    true,
    false,
    false,
    false,
    true,
  ]);
});
