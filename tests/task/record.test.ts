import { expect, test } from "bun:test";
import { encodeTask } from "../../src/task/encoded.ts";
import { chatContent, createHead, encodeRecord, isoTime, roundMs } from "../../src/task/record.ts";
import type { Ending, Hop, Task } from "../../src/task/task.ts";
import { taskOf } from "../parts/task.ts";

const HOP: Hop = {
  hop: 0,
  role: "a",
  host: "h",
  at: "2026-01-01T00:00:00.000Z",
  queue_ms: 0.5,
  run_ms: 2,
  model: "gpt",
  usage: { requests: 1, prompt_tokens: 3, completion_tokens: 4 },
  cost: 0.25,
  result: { role: "assistant", content: "ä" },
};
const TASK = taskOf({
  rowId: "7",
  trial: 2,
  row: { q: "?" },
  seed: 11,
  attempt: 3,
  state: { n: 1 },
  history: [HOP],
  admittedAt: 5,
  trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
});
const ENDING: Ending = {
  status: "ok",
  stopReason: "agreed",
  score: 0.5,
  outcome: { answer: "A" },
  error: null,
};
const TIMES = { admittedAt: 1000, endedAt: 3500.1234 };

test("a record's head has every member of task and ending, in the order of the file", () => {
  const head = createHead(TASK, ENDING, TIMES);
  expect(Object.entries(head)).toEqual([
    ["format", "matrix-trajectory-1"],
    ["id", "7"],
    ["trial", 2],
    ["seed", 11],
    ["attempt", 3],
    ["status", "ok"],
    ["stop_reason", "agreed"],
    ["score", 0.5],
    ["outcome", { answer: "A" }],
    ["error", null],
    ["simulated", false],
    ["usage", { requests: 1, prompt_tokens: 3, completion_tokens: 4 }],
    ["cost", 0.25],
    [
      "timing",
      {
        admitted_at: "1970-01-01T00:00:01.000Z",
        ended_at: "1970-01-01T00:00:03.500Z",
        total_ms: 2500.123,
        queue_ms: 0.5,
        run_ms: 2,
      },
    ],
    ["trace_id", "0af7651916cd43dd8448eb211c80319c"],
  ]);
});

test("the head of a failed task has its error and no trace without tracing", () => {
  const error = { code: "agent_failed", message: "m", role: "a", hop: 0 };
  const head = createHead(
    { ...TASK, trace: null, history: [] },
    { status: "failed", stopReason: "error", score: null, outcome: null, error },
    TIMES,
  );
  expect(head).toMatchObject({ status: "failed", stop_reason: "error", error, trace_id: null });
  expect(head).toMatchObject({ cost: null, score: null, outcome: null });
});

test.each<[model: string | undefined, simulated: boolean]>([
  ["simulated:words", true],
  ["scripted:answers", true],
  ["my-simulated:model", false],
  ["simulated", false],
  [undefined, false],
])("a record whose model is %p is simulated: %p", (model, simulated) => {
  const { model: _, ...hop } = HOP;
  const history = [{ ...HOP, model: "gpt" }, model === undefined ? hop : { ...hop, model }];
  expect(createHead({ ...TASK, history }, ENDING, TIMES).simulated).toBe(simulated);
});

test("the line of a record is the same JSON for a task and for the same task encoded", () => {
  const text = (task: Task) =>
    encodeRecord(createHead(task, ENDING, TIMES), task)
      .map((part) => (typeof part === "string" ? part : new TextDecoder().decode(part)))
      .join("");
  const line = text(TASK);
  expect(text(encodeTask(TASK))).toBe(line);
  expect(JSON.parse(line)).toEqual({
    ...createHead(TASK, ENDING, TIMES),
    row: TASK.row,
    history: TASK.history,
  });
  expect(text(encodeTask({ ...TASK, history: [] }))).toEndWith('"row":{"q":"?"},"history":[]}');
});

test("times are RFC 3339 in UTC, whole milliseconds, each its own", () => {
  expect(isoTime(0)).toBe("1970-01-01T00:00:00.000Z");
  expect(isoTime(1.999)).toBe("1970-01-01T00:00:00.001Z");
  expect(isoTime(1.2)).toBe("1970-01-01T00:00:00.001Z");
  expect(isoTime(0.5)).toBe("1970-01-01T00:00:00.000Z");
  expect(isoTime(Date.UTC(2026, 10, 30, 12))).toBe("2026-11-30T12:00:00.000Z");
});

test.each([
  [1.23456, 1.235],
  [0.0004, 0],
  [0.0005, 0.001],
  [0, 0],
  [-3, 0],
  [12, 12],
])("%p ms is recorded as %p ms", (ms, recorded) => {
  expect(roundMs(ms)).toBe(recorded);
});

test.each<[result: unknown, text: string | null]>([
  [{ role: "assistant", content: "hi" }, "hi"],
  [{ content: "" }, ""],
  [{ role: "assistant", content: null }, null],
  [{ content: ["parts"] }, null],
  [{ text: "hi" }, null],
  ["hi", null],
  [null, null],
  [["content"], null],
])("the chat content of %j is %p", (result, text) => {
  expect(chatContent(result as never)).toBe(text);
});
