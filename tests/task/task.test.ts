import { expect, test } from "bun:test";
import { isUnanswered, STOP_REASONS, UNANSWERED } from "../../src/task/task.ts";

test("the list of stop reasons is a contract of the record", () => {
  expect([...STOP_REASONS]).toEqual([
    "completed",
    "agreed",
    "max_turns",
    "filtered",
    "stopped",
    "context_length",
    "refused",
    "content_filtered",
    "cut",
    "error",
    "timeout",
    "max_hops",
    "task_limit",
    "lost",
  ]);
});

test("exactly the four reasons of an answer that is not whole are unanswered", () => {
  expect(STOP_REASONS.filter(isUnanswered)).toEqual([...UNANSWERED]);
  expect(UNANSWERED).toHaveLength(4);
});
