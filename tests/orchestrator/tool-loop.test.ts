import { expect, test } from "bun:test";
import type { PatternConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import type { Json } from "../../src/task/json.ts";
import { walkPattern } from "./walk.ts";

const CALL: Json = {
  role: "assistant",
  content: null,
  tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
};
const WORD: Json = { role: "assistant", content: "done" };
const CONFIG: PatternConfig = { pattern: "tool-loop", speaker: "s", tools: "t", max_turns: 2 };

test("a tool loop alternates speaker and tools, then asks for the reward", async () => {
  const { route, state, ending } = await walkPattern(
    { ...CONFIG, reward: "r", max_turns: 9 },
    { s: (turn) => (turn < 2 ? CALL : WORD), t: () => [], r: () => ({ score: 1 }) },
  );
  expect(route).toEqual(["s", "t", "s", "t", "s", "r"]);
  expect(state).toEqual({ at: "reward", turn: 3, reason: "stopped" });
  expect(ending).toEqual({
    status: "ok",
    stopReason: "stopped",
    score: 1,
    outcome: { turns: 3, score: 1 },
    error: null,
  });
});

test("a tool loop ends at max_turns of the speaker, after its tools have answered", async () => {
  const { route, ending } = await walkPattern(CONFIG, { s: () => CALL, t: () => [] });
  expect(route).toEqual(["s", "t", "s", "t"]);
  expect(ending).toMatchObject({ stopReason: "max_turns", outcome: { turns: 2, result: [] } });
});

test("a tool loop that is cut off by max_turns still asks for its reward", async () => {
  const { route, ending } = await walkPattern(
    { ...CONFIG, reward: "r" },
    { s: () => CALL, t: () => [], r: () => ({ score: 0 }) },
  );
  expect(route.at(-1)).toBe("r");
  expect(ending).toMatchObject({ stopReason: "max_turns", score: 0, outcome: { turns: 2 } });
});

test.each<[after: string, until: string, route: string[]]>([
  ["the speaker", "turn == 1", ["s"]],
  ["the tools", "result == 'over'", ["s", "t"]],
])("a tool loop ends as stopped when until holds after %s", async (_, until, route) => {
  const walked = await walkPattern(
    { ...CONFIG, until, score: "turn" },
    { s: () => CALL, t: () => "over" },
  );
  expect(walked.route).toEqual(route);
  expect(walked.ending).toMatchObject({ stopReason: "stopped", score: 1, outcome: { turns: 1 } });
});

test.each<[answer: string, result: Json]>([
  ["text", "words"],
  ["a message without calls", WORD],
  ["a message with an empty list of calls", { role: "assistant", content: "", tool_calls: [] }],
  ["a message whose calls are not a list", { role: "assistant", content: "", tool_calls: "f" }],
])("%s ends a tool loop", async (_, result) => {
  const { route } = await walkPattern(CONFIG, { s: () => result, t: () => null });
  expect(route).toEqual(["s"]);
});
