// The task as prompts see it: the same for each execution of the same steps.

import { expect, test } from "bun:test";
import { conversationOf } from "../../src/agent/conversation.ts";
import { promptTask } from "../../src/agent/prompt-task.ts";
import { createRequestWriter } from "../../src/agent/request.ts";
import { compileTemplate } from "../../src/agent/template.ts";
import type { Hop, Task } from "../../src/task/task.ts";

/** One execution: what differs from another one has other values. */
function execution(n: number): Task {
  const volatile = { host: `h${n}`, at: `2026-01-0${n}T00:00:00Z`, queue_ms: n, run_ms: 10 * n };
  const usage = { requests: n, prompt_tokens: n, completion_tokens: n };
  const history: Hop[] = [
    { hop: 0, role: "a", ...volatile, model: "x", usage, cost: n, result: { content: "said" } },
    { hop: 1, role: "b", branch: 2, ...volatile, result: [1] },
  ];
  return {
    ...{ rowId: "r", trial: 1, row: { q: "Q" }, seed: 7, role: "c", state: { s: 1 }, history },
    ...{ attempt: n, admittedAt: n, trace: `t${n}`, mayRepeat: n > 1 },
  };
}

test("a prompt sees of a task what its row, its seed and its results decide, and nothing else", () => {
  const seen = promptTask(execution(1));
  expect({ ...seen }).toEqual({
    ...{ rowId: "r", trial: 1, row: { q: "Q" }, seed: 7, role: "c", state: { s: 1 } },
    history: [
      { hop: 0, role: "a", model: "x", result: { content: "said" } },
      { hop: 1, role: "b", branch: 2, result: [1] },
    ],
  });
  expect({ ...promptTask(execution(2)) }).toEqual({ ...seen });
});

test("templates, request modules and conversations are the same for each execution", () => {
  const template = compileTemplate(
    "{% for hop in history %}{{ hop.hop }}{{ hop.role }}{{ hop.result }}{% endfor %}",
    "p",
  );
  const write = createRequestWriter(
    "request.ts",
    (task: unknown) => ({ messages: [{ role: "user", content: JSON.stringify(task) }] }),
    {},
  );
  const all = (task: Task) => [
    template({ ...promptTask(task) }),
    write(task),
    conversationOf(task.history, "a", new Set(["a", "b"])),
  ];
  expect(all(execution(2))).toEqual(all(execution(1)));
});

test.each(["host", "at", "run_ms"])(
  "a template that asks for %s of a step fails by name",
  (field) => {
    const template = compileTemplate(`{{ history[0].${field} }}`, "p");
    expect(() => template({ ...promptTask(execution(1)) })).toThrow(`history[0].${field}`);
  },
);
