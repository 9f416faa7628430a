// A user's module that writes the request of an llm role.

import { expect, test } from "bun:test";
import { promptTask } from "../../src/agent/prompt-task.ts";
import { createRequestWriter } from "../../src/agent/request.ts";
import { taskOf } from "../parts/task.ts";

test("the module's function gets the task and the role's settings, and its request is taken whole", () => {
  const seen: unknown[] = [];
  const written = { messages: [], tools: [{ a: 1 }], sampling: { top_p: 1 } };
  const write = createRequestWriter(
    "r.ts",
    (...given: unknown[]) => {
      seen.push(...given);
      return written;
    },
    { k: 1 },
  );
  const task = taskOf();
  expect(write(task)).toBe(written as never);
  expect(seen).toEqual([promptTask(task), { settings: { k: 1 } }]);
});

test.each([undefined, null, {}, "text", 5])("a module that exports %p is refused", (exported) => {
  expect(() => createRequestWriter("r.ts", exported, {})).toThrow(
    expect.objectContaining({
      code: "module_invalid",
      message: "r.ts does not export a request function",
      hint: expect.stringContaining("export default request("),
    }),
  );
});

test("an error of the module is reported with its file and its cause", () => {
  const cause = new TypeError("x is not a function");
  const write = createRequestWriter(
    "r.ts",
    () => {
      throw cause;
    },
    {},
  );
  expect(() => write(taskOf())).toThrow(
    expect.objectContaining({ code: "prompt_failed", message: "r.ts: x is not a function", cause }),
  );
});

test.each([[undefined], [null], ["text"], [[]], [{}], [{ messages: "x" }], [{ message: [] }]])(
  "a module that returns %j is told what to return",
  (written) => {
    const write = createRequestWriter("r.ts", () => written, {});
    expect(() => write(taskOf())).toThrow(
      expect.objectContaining({
        code: "prompt_failed",
        message: "r.ts did not return { messages: […] }",
      }),
    );
  },
);
