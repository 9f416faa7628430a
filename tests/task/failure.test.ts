import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import { failTask, taskErrorOf } from "../../src/task/failure.ts";
import { taskOf } from "../parts/task.ts";

const TASK = taskOf({ rowId: "7" });

test.each<[code: string, stopReason: "timeout" | "max_hops" | "task_limit" | "error"]>([
  ["agent_timeout", "timeout"],
  ["task_timeout", "timeout"],
  ["model_timeout", "error"],
  ["max_hops", "max_hops"],
  ["task_limit", "task_limit"],
  ["agent_failed", "error"],
])(
  "a task that failed with %s ends with %s, its task and its error, and without a score",
  (code, stopReason) => {
    const error = { code, message: "m", role: "a", hop: 3 };
    expect(failTask(TASK, error)).toEqual({
      kind: "end",
      task: TASK,
      ending: { status: "failed", stopReason, score: null, outcome: null, error },
    });
  },
);

test("an error of user code has its message, its place and its stack", () => {
  const thrown = new TypeError("no such field");
  expect(taskErrorOf(thrown, "a", 3)).toEqual({
    code: "agent_failed",
    message: "no such field",
    role: "a",
    hop: 3,
    stack: expect.stringContaining("failure.test.ts"),
  });
});

test("an operating error tells its hint, for a record has no other place for it", () => {
  const thrown = new MatrixError("task_too_deep", "it is deep", { hint: "make it flat" });
  expect(taskErrorOf(thrown, "a", 3)).toEqual({
    ...{ code: "task_too_deep", message: "it is deep (make it flat)", role: "a", hop: 3 },
  });
});

test("a thrown value that is not an error has no stack", () => {
  expect(taskErrorOf("oh", null, null)).toEqual({
    code: "agent_failed",
    message: "oh",
    role: null,
    hop: null,
  });
});

test.each(["agent_failed", "orchestrator_failed"] as const)(
  "an operating error with the code %s has the stack of its cause",
  (code) => {
    const cause = new Error("inner");
    cause.stack = "the stack of the cause";
    expect(taskErrorOf(new MatrixError(code, "outer", { cause }), "a", 0)).toEqual({
      code,
      message: "outer",
      role: "a",
      hop: 0,
      stack: "the stack of the cause",
    });
  },
);

test("an operating error of the runtime has no stack", () => {
  const error = new MatrixError("model_lost", "gone", { cause: new Error("socket") });
  expect(taskErrorOf(error, "a", 0)).toEqual({
    code: "model_lost",
    message: "gone",
    role: "a",
    hop: 0,
  });
  expect(taskErrorOf(new MatrixError("agent_failed", "no cause"), "a", 0)).not.toHaveProperty(
    "stack",
  );
});

test("an error without a stack is recorded without one", () => {
  const thrown = new Error("bare");
  delete thrown.stack;
  expect(taskErrorOf(thrown, "a", 0)).not.toHaveProperty("stack");
});

test("a stack has no frames of the compiled program", () => {
  const error = new Error("boom");
  error.stack =
    "Error: boom\n    at a (/home/u/a.ts:1:2)\n    at #l (/$bunfs/root/matrix:9:1)\n    at /$bunfs/root/matrix:3:4\n    at b (/home/u/b.ts:3:4)";
  expect(taskErrorOf(error, "r", 0).stack).toBe(
    "Error: boom\n    at a (/home/u/a.ts:1:2)\n    at b (/home/u/b.ts:3:4)",
  );
});

test("a record keeps the first 12 lines of a stack", () => {
  const thrown = new Error("deep");
  const lines = Array.from({ length: 13 }, (_, i) => `line ${i}`);
  thrown.stack = lines.join("\n");
  expect(taskErrorOf(thrown, "a", 0).stack).toBe(lines.slice(0, 12).join("\n"));
});

test("a stack keeps its 12 innermost lines, and a traceback of Python its first and its last 24", () => {
  const stackOf = (stack: string) => {
    const cause = Object.assign(new Error("no"), { stack });
    return taskErrorOf(new MatrixError("agent_failed", "no", { cause }), "a", 0).stack;
  };
  const lines = (count: number) => Array.from({ length: count }, (_, n) => `  line ${n}`);
  expect(stackOf(lines(12).join("\n"))?.split("\n")).toEqual(lines(12));
  expect(stackOf(lines(13).join("\n"))?.split("\n")).toEqual(lines(12));
  const traceback = (count: number) => ["Traceback (most recent call last):", ...lines(count)];
  expect(stackOf(`${traceback(2).join("\n")}\n`)?.split("\n")).toEqual(traceback(2));
  expect(stackOf(`${traceback(24).join("\n")}\n`)?.split("\n")).toEqual(traceback(24));
  const [head = "", , ...last] = traceback(25);
  expect(stackOf(traceback(25).join("\n"))?.split("\n")).toEqual([head, ...last]);
  expect(stackOf("x".repeat(9000))).toHaveLength(8000);
  expect(stackOf(`Traceback \n${"x".repeat(9000)}y`)?.slice(-3)).toBe("xxy");
  expect(stackOf("")).toBeUndefined();
});

test("a message in a record is cut after 20,000 characters, and so is a traceback's first line", () => {
  const error = { code: "agent_failed", message: "m".repeat(20_000), role: "a", hop: 3 };
  expect(failTask(TASK, error).ending.error).toBe(error);
  const longer = { ...error, message: "m".repeat(20_001) };
  expect(failTask(TASK, longer).ending.error).toEqual({
    ...error,
    message: `${"m".repeat(20_000)}…`,
  });
  const thrown = new Error("x");
  thrown.stack = `Traceback ${"t".repeat(9000)}\nend`;
  expect(taskErrorOf(thrown, "a", 0).stack).toBe(`Traceback ${"t".repeat(7990)}\nend`);
});
