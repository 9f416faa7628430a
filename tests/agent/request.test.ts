// A user's module or Python file that writes the request of an llm role.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promptTask } from "../../src/agent/prompt-task.ts";
import {
  createPythonRequestWriter,
  createRequestWriter,
  type RequestWriter,
} from "../../src/agent/request.ts";
import { PythonFiles } from "../../src/python/files.ts";
import { withFolder } from "../parts/folder.ts";
import { hopOf, taskOf } from "../parts/task.ts";

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

const withRequest = <T>(source: string, use: (write: RequestWriter) => Promise<T>): Promise<T> =>
  withFolder(async (folder) => {
    const path = join(folder, "ask.py");
    await writeFile(path, `from matrix_agent import request\n${source}`);
    const files = new PythonFiles({ processes: 1, say: () => undefined });
    const opened = await files.open({ kind: "request", path, settings: null });
    return use(createPythonRequestWriter("ask.py", opened, { tail: "!" }));
  });

test("a function of Python gets the task without its times, the last result, and the role's settings", () =>
  withRequest(
    `@request
def ask(task, settings):
    return {"messages": [{"role": "user", "content": str(sorted(task)) + settings["tail"]}],
            "tools": [task["row"], task["last"]], "sampling": {"top_p": task["history"][0]["hop"]}}
`,
    async (write) => {
      const history = [hopOf("b", { said: 1 }, { at: "now", run_ms: 5 })];
      const task = taskOf({ row: { q: 12345678901234567890n as never }, history });
      const keys = ["history", "id", "last", "role", "row", "seed", "state", "trial"];
      expect(await write(task)).toEqual({
        messages: [{ role: "user", content: `[${keys.map((key) => `'${key}'`).join(", ")}]!` }],
        tools: [{ q: 12345678901234567890n as never }, { said: 1 }],
        sampling: { top_p: 0 },
      });
    },
  ));

test("before the first step the last result is None, and a request may take the task alone", () =>
  withRequest(
    '@request\nasync def ask(task):\n    return {"messages": [], "last": repr(task["last"])}\n',
    async (write) => expect(await write(taskOf())).toEqual({ messages: [], last: "None" } as never),
  ));

test.each([
  ["raise KeyError('q')", "ask.py: KeyError: 'q'"],
  ["return []", "ask.py did not return { messages: […] }"],
  ["return {'messages': 'x'}", "ask.py did not return { messages: […] }"],
  [
    "return {'messages': [{'content': float('nan')}]}",
    "ask.py: TypeError: messages[0].content is nan, which JSON does not have",
  ],
  [
    "return {'messages': [], 'sampling': {'seed': 1}}",
    "ask.py returned sampling.seed, which matrix writes itself: ",
  ],
  ["import time; return {'messages': [time.time()]}", "ask.py: NotPure: ask.py, line 4 reads"],
] as const)("a request of Python that does %s fails as its task's prompt", (body, message) =>
  withRequest(`@request\ndef ask(task):\n    ${body}\n`, async (write) => {
    const error = await Promise.resolve(write(taskOf())).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "prompt_failed" });
    expect(error.message).toStartWith(message);
  }),
);
