import { expect, test } from "bun:test";
import { type Part, type Parts, suggestParts } from "../../src/export/parts.ts";
import { validateRecipe } from "../../src/recipe/validate.ts";
import type { JsonObject } from "../../src/task/json.ts";

const ASKING = { agent: "llm", model: "m", prompt: { text: "?" } };
const CODE = { agent: "c.ts" };

function suggested(
  roles: Readonly<Record<string, JsonObject>>,
  orchestrator: JsonObject,
): Omit<Parts, "parts"> & { parts: readonly (readonly [string, Part])[] } {
  const { recipe } = validateRecipe({
    name: "r",
    dataset: { path: "d.jsonl" },
    models: { m: { kind: "simulated" } },
    roles,
    orchestrator,
  });
  if (recipe === null) throw new Error("the recipe is not valid");
  const { parts, ...more } = suggestParts(recipe, "run");
  return { parts: [...parts], ...more };
}

const MODULE = { module: "route.ts" };

test("a dialogue is seen by its first speaker, with the other speakers as users", () => {
  const orchestrator = { pattern: "dialogue", speakers: ["b", "a"], between: ["judge"] };
  expect(suggested({ a: ASKING, b: ASKING, judge: ASKING }, orchestrator)).toEqual({
    parts: [
      ["b", "assistant"],
      ["a", "user"],
    ],
    lastAnswerOnly: false,
    ownView: null,
  });
});

test("a tool loop is seen by its speaker, with its tools as user", () => {
  const orchestrator = { pattern: "tool-loop", speaker: "s", tools: "t", reward: "r" };
  expect(suggested({ r: ASKING, s: ASKING, t: CODE }, orchestrator)).toEqual({
    parts: [
      ["s", "assistant"],
      ["t", "user"],
    ],
    lastAnswerOnly: false,
    ownView: null,
  });
});

test.each<[pattern: string, orchestrator: JsonObject, assistant: string]>([
  ["sequence", { pattern: "sequence", roles: ["a", "b", "c"] }, "b"],
  ["best-of-n", { pattern: "best-of-n", roles: ["a", "b", "c"], n: 2 }, "b"],
  ["pipeline", { pattern: "pipeline", stages: [{ role: "a" }, { role: "b" }, { role: "c" }] }, "b"],
  ["fan-out", { pattern: "fan-out", roles: ["a", "b"], after: ["c"] }, "b"],
])("a %s is seen by its last role that asks a model", (_, orchestrator, assistant) => {
  expect(suggested({ a: ASKING, b: ASKING, c: CODE }, orchestrator)).toEqual({
    parts: [[assistant, "assistant"]],
    lastAnswerOnly: true,
    ownView: null,
  });
});

test("the role after a fan-out is more likely the assistant than its branches", () => {
  const orchestrator = { pattern: "fan-out", roles: ["a", "b"], after: ["c"] };
  expect(suggested({ a: ASKING, b: ASKING, c: ASKING }, orchestrator).parts).toEqual([
    ["c", "assistant"],
  ]);
});

test("a role with the name assistant is the assistant", () => {
  expect(suggested({ a: ASKING, assistant: ASKING }, MODULE).parts).toEqual([
    ["assistant", "assistant"],
  ]);
});

test("the only role that asks a model is the assistant of any orchestrator", () => {
  expect(suggested({ a: CODE, b: ASKING }, MODULE).parts).toEqual([["b", "assistant"]]);
});

test.each([
  ["with a prompt", ASKING, true],
  ["without a prompt", { agent: "llm", model: "m", system: { text: "s" } }, false],
])("a role %s that a module or a graph routes to has its own view", (_, role, hasPrompt) => {
  for (const orchestrator of [MODULE, { graph: "graph.ts" }])
    expect(suggested({ a: role, b: CODE }, orchestrator)).toEqual({
      parts: [["a", "assistant"]],
      lastAnswerOnly: false,
      ownView: { hasPrompt },
    });
});

test("a role that sees no role, not even itself, has its last answer alone", () => {
  expect(suggested({ a: { ...ASKING, conversation: [] }, b: CODE }, MODULE)).toEqual({
    parts: [["a", "assistant"]],
    lastAnswerOnly: true,
    ownView: null,
  });
});

test("a role's own conversation decides whom it hears, and whether it hears itself", () => {
  const hears = (conversation: string[]) =>
    suggested({ a: { ...ASKING, conversation }, b: CODE, c: CODE }, MODULE);
  expect(hears(["b", "a"])).toEqual({
    parts: [
      ["a", "assistant"],
      ["b", "user"],
    ],
    lastAnswerOnly: false,
    ownView: null,
  });
  expect(hears(["c"])).toEqual({
    parts: [
      ["a", "assistant"],
      ["c", "user"],
    ],
    lastAnswerOnly: true,
    ownView: null,
  });
});

test("a recipe that does not tell who is the assistant is refused with its roles", () => {
  const refusal = {
    code: "usage",
    message: "run: its recipe does not tell which role is the assistant, or what it was shown",
    hint: "name the parts, for example --as NAME=assistant,NAME=user; roles: a, b",
  };
  const refused = (roles: Readonly<Record<string, JsonObject>>) => {
    try {
      return suggested(roles, MODULE);
    } catch (thrown) {
      return thrown;
    }
  };
  expect(refused({ a: ASKING, b: ASKING })).toMatchObject(refusal);
  expect(refused({ a: CODE, b: CODE })).toMatchObject(refusal);
  const unseen = { agent: "llm", model: "m", request: "request.ts" };
  expect(refused({ a: unseen, b: CODE })).toMatchObject(refusal);
  const silent = { agent: "llm", model: "m", system: { text: "s" }, conversation: [] };
  expect(refused({ a: silent, b: CODE })).toMatchObject(refusal);
  expect(refused({ assistant: CODE, b: CODE })).toMatchObject({ code: "usage" });
});
