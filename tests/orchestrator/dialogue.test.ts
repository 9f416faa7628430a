import { expect, test } from "bun:test";
import type { PatternConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import { walkPattern } from "./walk.ts";

const CONFIG: PatternConfig = {
  pattern: "dialogue",
  speakers: ["student", "teacher"],
  between: ["extractor", "matcher"],
  until: "results.matcher.agreed",
  max_turns: 3,
};

test("a dialogue ends as agreed with the last result and its turns as the outcome", async () => {
  const { route, state, ending } = await walkPattern(CONFIG, {
    student: () => "A",
    teacher: () => "A",
    extractor: () => null,
    matcher: (turn) => ({ agreed: turn === 1, score: turn }),
  });
  expect(route).toEqual(["student", "extractor", "matcher", "teacher", "extractor", "matcher"]);
  expect(state).toEqual({ turn: 1, step: 2 });
  expect(ending).toEqual({
    status: "ok",
    stopReason: "agreed",
    score: 1,
    outcome: { turns: 2, agreed: true, score: 1 },
    error: null,
  });
});

test("a dialogue ends at max_turns when the speakers do not agree", async () => {
  const { route, ending } = await walkPattern(CONFIG, {
    student: () => "A",
    teacher: () => "B",
    extractor: () => 0,
    matcher: () => ({ agreed: false }),
  });
  const speakers = route.filter((role) => role === "student" || role === "teacher");
  expect(speakers).toEqual(["student", "teacher", "student"]);
  expect(ending).toMatchObject({
    status: "ok",
    stopReason: "max_turns",
    score: null,
    outcome: { turns: 3, agreed: false },
  });
});

test("a dialogue that agrees in its last turn ends as agreed", async () => {
  const { ending } = await walkPattern(
    { pattern: "dialogue", speakers: ["a"], between: [], until: "turn == 2", max_turns: 2 },
    { a: () => 0 },
  );
  expect(ending).toMatchObject({ stopReason: "agreed", outcome: { turns: 2 } });
});

test("a dialogue counts its turns from 1 in until and score", async () => {
  const { route, ending } = await walkPattern(
    {
      pattern: "dialogue",
      speakers: ["a", "b", "c"],
      between: [],
      until: "turn == 5",
      score: "turn * 10",
      max_turns: 9,
    },
    { a: () => 0, b: () => 0, c: () => 0 },
  );
  expect(route).toEqual(["a", "b", "c", "a", "b"]);
  expect(ending).toMatchObject({ stopReason: "agreed", score: 50, outcome: { turns: 5 } });
});

test("a dialogue without until ends at max_turns", async () => {
  const { route, ending } = await walkPattern(
    { pattern: "dialogue", speakers: ["a", "b"], between: [], max_turns: 1 },
    { a: () => 0, b: () => 0 },
  );
  expect(route).toEqual(["a"]);
  expect(ending.stopReason).toBe("max_turns");
});

test("a dialogue's until may read the speaker's result, and holds only when true", async () => {
  const alone: PatternConfig = {
    pattern: "dialogue",
    speakers: ["a", "b"],
    between: [],
    until: 'result.content.contains("bye")',
    max_turns: 9,
  };
  const { route } = await walkPattern(alone, {
    a: () => ({ content: "hi" }),
    b: () => ({ content: "bye" }),
  });
  expect(route).toEqual(["a", "b"]);
  const truthy = await walkPattern(
    { ...alone, until: "1", max_turns: 2 },
    { a: () => 0, b: () => 0 },
  );
  expect(truthy.ending.stopReason).toBe("max_turns");
});
