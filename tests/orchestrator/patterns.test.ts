// The patterns, each driven by hand: roles answer from a script, and the route is what the README says.

import { describe, expect, test } from "bun:test";
import { nextMessage, type Rule, startTask } from "../../src/orchestrator/advance.ts";
import { createOrchestrator } from "../../src/orchestrator/create.ts";
import type { PatternConfig } from "../../src/recipe/orchestrator-schema.ts";
import type { Json } from "../../src/task/json.ts";
import type { Message } from "../../src/task/task.ts";

type Script = Readonly<Record<string, (turn: number) => Json>>;

const noModules = () => Promise.reject(new Error("no module in a pattern"));

async function ruleOf(config: PatternConfig, roles: readonly string[]): Promise<Rule> {
  return {
    orchestrator: await createOrchestrator(config, noModules, roles),
    roles: new Set(roles),
    maxHops: 50,
  };
}

/** Walks a task to its end; answers the roles in order and the ending. Branches are walked one after the other. */
async function walk(
  config: PatternConfig,
  script: Script,
  cut: (role: string, turn: number) => boolean = () => false,
): Promise<{ route: string[]; end: Extract<Message, { kind: "end" }> }> {
  const rule = await ruleOf(config, Object.keys(script));
  const route: string[] = [];
  const turns: Record<string, number> = {};
  let message = startTask(rule, {
    rowId: "1",
    trial: 0,
    row: { n: 3 },
    seed: 1,
    attempt: 1,
    admittedAt: 0,
    trace: null,
  });
  while (message.kind === "step") {
    const { task } = message;
    route.push(task.role);
    const turn = turns[task.role] ?? 0;
    turns[task.role] = turn + 1;
    const result = script[task.role]?.(turn) ?? null;
    const hop = {
      hop: task.history.length,
      role: task.role,
      host: "h",
      at: "",
      queue_ms: 0,
      run_ms: 0,
      result,
    };
    message = nextMessage(rule, task, hop, cut(task.role, turn) ? "cut" : null);
  }
  if (message.kind === "fork") throw new Error("a walk takes one way at a time");
  return { route, end: message };
}

describe("sequence", () => {
  test("runs its roles in order and ends with the last result as the outcome", async () => {
    const { route, end } = await walk(
      { pattern: "sequence", roles: ["a", "b"] },
      { a: () => 1, b: () => ({ score: 0.5, x: 1 }) },
    );
    expect(route).toEqual(["a", "b"]);
    expect(end.ending).toMatchObject({
      status: "ok",
      stopReason: "completed",
      score: 0.5,
      outcome: { score: 0.5, x: 1 },
    });
  });

  test("takes the checked answer of a model for the outcome", async () => {
    const message = { role: "assistant", content: '{"x": 1}', parsed: { x: 1 } };
    expect(
      (await walk({ pattern: "sequence", roles: ["a"] }, { a: () => message })).end.ending.outcome,
    ).toEqual({ x: 1 });
  });

  test("scores by its expression over row and results", async () => {
    const config: PatternConfig = {
      pattern: "sequence",
      roles: ["a", "b"],
      score: "results.a + row.n",
    };
    expect((await walk(config, { a: () => 2, b: () => "text" })).end.ending).toMatchObject({
      score: 5,
      outcome: { result: "text" },
    });
  });
});

describe("pipeline", () => {
  const config: PatternConfig = {
    pattern: "pipeline",
    stages: [{ role: "filter", keep: "result.keep" }, { role: "ask" }],
  };

  test("ends a task early at the stage that drops it, without a score", async () => {
    const { route, end } = await walk(config, {
      filter: () => ({ keep: false, why: "short", score: 1 }),
      ask: () => null,
    });
    expect(route).toEqual(["filter"]);
    expect(end.ending).toMatchObject({
      status: "ok",
      stopReason: "filtered",
      score: null,
      outcome: { filtered_by: "filter", why: "short" },
    });
  });

  test("runs every stage for a task that is kept", async () => {
    expect(
      (await walk(config, { filter: () => ({ keep: true }), ask: () => ({ q: 1 }) })).route,
    ).toEqual(["filter", "ask"]);
  });

  test("fails a task whose condition cannot be evaluated, and says which condition", async () => {
    const { end } = await walk(config, { filter: () => ({ kept: true }), ask: () => null });
    expect(end.ending).toMatchObject({
      status: "failed",
      stopReason: "error",
      error: { code: "orchestrator_failed", role: "filter", hop: 0 },
    });
    expect(end.ending.error?.message).toContain("result.keep");
  });
});

describe("dialogue", () => {
  const config: PatternConfig = {
    pattern: "dialogue",
    speakers: ["student", "teacher"],
    between: ["extractor", "matcher"],
    until: "results.matcher.agreed",
    max_turns: 3,
  };

  test("ends on agreement with the judge's result as the outcome", async () => {
    const { route, end } = await walk(config, {
      student: () => "A",
      teacher: () => "A",
      extractor: () => null,
      matcher: (turn) => ({ agreed: turn === 1, score: turn }),
    });
    expect(route).toEqual(["student", "extractor", "matcher", "teacher", "extractor", "matcher"]);
    expect(end.ending).toMatchObject({
      stopReason: "agreed",
      score: 1,
      outcome: { turns: 2, agreed: true },
    });
  });

  test("ends at max_turns when the speakers do not agree", async () => {
    const { route, end } = await walk(config, {
      student: () => "A",
      teacher: () => "B",
      extractor: () => 0,
      matcher: () => ({ agreed: false }),
    });
    expect(route.filter((role) => role === "student" || role === "teacher")).toEqual([
      "student",
      "teacher",
      "student",
    ]);
    expect(end.ending).toMatchObject({
      status: "ok",
      stopReason: "max_turns",
      score: null,
      outcome: { turns: 3, agreed: false },
    });
  });

  test("needs no judge: the condition may read what the speaker said", async () => {
    const alone: PatternConfig = {
      pattern: "dialogue",
      speakers: ["a", "b"],
      between: [],
      until: 'result.content.contains("bye")',
      max_turns: 9,
    };
    const { route } = await walk(alone, {
      a: () => ({ content: "hi" }),
      b: () => ({ content: "bye" }),
    });
    expect(route).toEqual(["a", "b"]);
  });
});

describe("best-of-n", () => {
  const config: PatternConfig = {
    pattern: "best-of-n",
    roles: ["solver", "judge"],
    n: 4,
    parallel: false,
  };
  const scores = [0.2, 0.7, 0.7, 0.4];
  const script: Script = {
    solver: (turn) => `s${turn}`,
    judge: (turn) => ({ score: scores[turn] ?? 0, says: turn }),
  };

  test("makes every candidate and chooses the first of the best, with all scores beside it", async () => {
    const { route, end } = await walk(config, script);
    expect(route).toEqual(Array(4).fill(["solver", "judge"]).flat());
    expect(end.ending).toMatchObject({ status: "ok", stopReason: "completed", score: 0.7 });
    expect(end.ending.outcome).toEqual({
      score: 0.7,
      says: 1,
      chosen: 1,
      candidates: scores.map((score) => ({ score, accepted: null })),
    });
    expect(end.task.history).toHaveLength(8);
  });

  test("stops at the candidate that is accepted, and makes no further one", async () => {
    const { route, end } = await walk(
      { ...config, accept: "score > 0.5 && results.solver == 's1' && candidate == 1" },
      script,
    );
    expect(route).toEqual(["solver", "judge", "solver", "judge"]);
    expect(end.ending).toMatchObject({
      stopReason: "completed",
      score: 0.7,
      outcome: { says: 1, chosen: 1 },
    });
    expect(end.ending.outcome?.["candidates"]).toEqual([
      { score: 0.2, accepted: false },
      { score: 0.7, accepted: true },
    ]);
  });

  test("ends with the best as max_turns when none is accepted", async () => {
    const { end } = await walk({ ...config, accept: "score > 0.9" }, script);
    expect(end.ending).toMatchObject({
      stopReason: "max_turns",
      score: 0.7,
      outcome: { chosen: 1 },
    });
  });

  test("goes on after a candidate that was cut, which has no score and is not chosen", async () => {
    const { route, end } = await walk(
      config,
      script,
      (role, turn) => role === "solver" && turn < 2,
    );
    // Its judge is not asked.
    expect(route).toEqual(["solver", "solver", "solver", "judge", "solver", "judge"]);
    expect(end.ending).toMatchObject({
      stopReason: "completed",
      score: 0.7,
      outcome: { says: 1, chosen: 3 },
    });
    expect(end.ending.outcome?.["candidates"]).toEqual([
      { score: null, accepted: null, stop_reason: "cut", hops: 1 },
      { score: null, accepted: null, stop_reason: "cut", hops: 1 },
      { score: 0.2, accepted: null },
      { score: 0.7, accepted: null },
    ]);
    const none = await walk(
      { ...config, accept: "score > 0" },
      script,
      (role) => role === "solver",
    );
    expect(none.end.ending).toMatchObject({
      status: "ok",
      stopReason: "cut",
      score: null,
      outcome: { chosen: 0 },
    });
  });

  test("scores by its expression, and takes an accepted candidate that has no score", async () => {
    const alone: PatternConfig = {
      pattern: "best-of-n",
      roles: ["a"],
      n: 3,
      parallel: false,
      score: "size(result) - row.n",
    };
    expect((await walk(alone, { a: (turn) => "x".repeat(turn + 1) })).end.ending).toMatchObject({
      score: 0,
      outcome: { result: "xxx", chosen: 2 },
    });
    const unscored: PatternConfig = {
      pattern: "best-of-n",
      roles: ["a"],
      n: 3,
      parallel: false,
      accept: "result == 1",
    };
    expect((await walk(unscored, { a: (turn) => turn })).end.ending).toMatchObject({
      score: null,
      outcome: { result: 1, chosen: 1 },
    });
  });
});

describe("tool-loop", () => {
  const call: Json = {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
  };
  const word: Json = { role: "assistant", content: "done" };

  test("alternates speaker and tools until the speaker calls none, then asks for the reward", async () => {
    const config: PatternConfig = {
      pattern: "tool-loop",
      speaker: "s",
      tools: "t",
      reward: "r",
      max_turns: 9,
    };
    const { route, end } = await walk(config, {
      s: (turn) => (turn < 2 ? call : word),
      t: () => [],
      r: () => ({ score: 1 }),
    });
    expect(route).toEqual(["s", "t", "s", "t", "s", "r"]);
    expect(end.ending).toMatchObject({ stopReason: "stopped", score: 1, outcome: { turns: 3 } });
  });

  test("stops at max_turns of the speaker, after its tools have answered", async () => {
    const config: PatternConfig = { pattern: "tool-loop", speaker: "s", tools: "t", max_turns: 2 };
    const { route, end } = await walk(config, { s: () => call, t: () => [] });
    expect(route).toEqual(["s", "t", "s", "t"]);
    expect(end.ending.stopReason).toBe("max_turns");
  });
});
