// The exec agent over plain processes: its results, the tools of a model, and its limits.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Agent } from "../../src/agent/contract.ts";
import { createExecAgent } from "../../src/agent/exec.ts";
import type { SandboxedRole } from "../../src/agent/sandboxed.ts";
import type { RoleConfig } from "../../src/recipe/schema/schema.ts";
import { Lease } from "../../src/sandbox/lease.ts";
import { ProcessSandboxes } from "../../src/sandbox/process.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import type { Hop, Task } from "../../src/task/task.ts";
import { agentContext } from "../parts/agent-context.ts";
import { poolOver } from "../parts/sandbox-pool.ts";
import { SPEC } from "../parts/sandbox-spec.ts";
import { hopOf, taskOf } from "../parts/task.ts";

let root: string;
let lease: Lease;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "matrix-exec-"));
  lease = await Lease.take({ run: "exec", host: "test" }, { root });
});
afterAll(async () => {
  await lease.release();
  await rm(root, { recursive: true, force: true });
});

const signal = new AbortController().signal;

async function withAgent(
  use: (run: (task: Task) => Promise<Json>, calls: readonly { digest: string }[]) => Promise<void>,
  settings: JsonObject = {},
  timeoutMs = 20_000,
): Promise<void> {
  const { pool, calls } = poolOver(() => new ProcessSandboxes(lease).start(SPEC), {
    watches: true,
  });
  await using _pool = pool;
  const config = { with: settings } as unknown as RoleConfig;
  const role = {
    name: "x",
    config,
    neighbours: new Set(["x"]),
    cwd: null,
    program: null,
    python: null,
    timeoutMs,
    attemptsMax: 3,
    pool,
  };
  const agent = createExecAgent(role);
  await use(async (task) => (await agent.run(task, agentContext(signal))).result, calls);
}

let rows = 0;
const asking = (exec: Json, more: Partial<Task> = {}) =>
  taskOf({ rowId: `row${rows++}`, state: { exec }, ...more });
const calling = (...calls: readonly (readonly [name: string, args: string])[]) => {
  const tool_calls = calls.map(([name, args], index) => ({
    id: `c${index}`,
    function: { name, arguments: args },
  }));
  return taskOf({
    rowId: `row${rows++}`,
    history: [hopOf("model", { content: null, tool_calls })],
  });
};

test("a command's whole outcome is the result", () =>
  withAgent(async (run) => {
    const result = await run(
      asking({ command: 'echo "$A"; cat >&2; exit 4', stdin: "ünd", env: { A: "1" } }),
    );
    expect(result).toEqual({
      ending: "exit",
      exit_code: 4,
      stdout: "1\n",
      stderr: "ünd",
      dropped_bytes: 0,
    });
  }));

test("a command given as words runs without a shell, in its folder", () =>
  withAgent(async (run) => {
    expect(await run(asking({ command: ["echo", "$A *"] }))).toMatchObject({ stdout: "$A *\n" });
    expect(await run(asking({ command: "pwd", cwd: "/usr" }))).toMatchObject({ stdout: "/usr\n" });
  }));

test("a request without a command reads and writes files alone", () =>
  withAgent(async (run) => {
    const files = { "a b/c": "text ü", raw: { base64: "/wD+" } };
    expect(await run(asking({ files, download: ["raw", "a b/c"] }))).toEqual({
      files: { raw: { base64: "/wD+" }, "a b/c": "text ü" },
    });
    expect(await run(asking({}))).toEqual({});
  }));

test("text that begins with a byte order mark keeps it", () =>
  withAgent(async (run) => {
    const result = await run(asking({ files: { a: "\ufeffx" }, download: ["a"] }));
    expect(result).toEqual({ files: { a: "\ufeffx" } });
  }));

test("changes are those of the whole task, also when it is asked for them late", () =>
  withAgent(async (run) => {
    const row = { rowId: "changing" };
    const next = (hops: number, exec: Json) =>
      asking(exec, { ...row, history: Array.from({ length: hops }, () => hopOf("x", null)) });
    await run(
      next(0, { files: { a: "1\n" }, command: "mkdir __pycache__; touch __pycache__/a.pyc" }),
    );
    await run(next(1, { command: "echo 2 > b; echo 3 >> a" }));
    const asked = await run(next(2, { changes: true }));
    expect(asked).toEqual({
      changes: [
        { path: "a", change: "added" },
        { path: "b", change: "added" },
      ],
      patch: expect.stringMatching(
        /^diff --git a\/a b\/a\nnew file .*\+1\n\+3\ndiff --git a\/b b\/b\nnew file .*\+2\n$/s,
      ),
    });
    // The changes of a step are those after its command.
    const after = await run(next(3, { command: "rm a b", changes: true }));
    expect(after).toMatchObject({ exit_code: 0, changes: [], patch: "" });
  }));

test("changes include the work of every role of the sandbox, from the first call on", async () => {
  const { pool } = poolOver(() => new ProcessSandboxes(lease).start(SPEC), { watches: true });
  await using _pool = pool;
  const roleOf = (name: string): SandboxedRole => ({
    name,
    config: { with: {} } as unknown as RoleConfig,
    neighbours: new Set(["first", "second"]),
    cwd: null,
    program: null,
    python: null,
    timeoutMs: 20_000,
    attemptsMax: 3,
    pool,
  });
  const [first, second] = ["first", "second"].map((name) => createExecAgent(roleOf(name)));
  const step = (agent: Agent | undefined, exec: Json, history: readonly Hop[] = []) =>
    agent?.run(asking(exec, { rowId: "shared", history }), agentContext(signal));
  await step(first, { command: "echo 1 > a" });
  const worked = hopOf("first", null);
  expect(await step(second, { command: "echo 2 > b", changes: true }, [worked])).toMatchObject({
    result: {
      changes: [
        { path: "a", change: "added" },
        { path: "b", change: "added" },
      ],
    },
  });
});

test("a patch is as long as the role or the request allows", () =>
  withAgent(
    async (run) => {
      const left_out = "the patch would be longer than 10 bytes";
      const files = { a: "1\n" };
      expect(await run(asking({ files, changes: true }))).toEqual({
        changes: [{ path: "a", change: "added", left_out }],
        patch: "",
      });
      const [written, changes] = (await run(
        calling(["write_file", '{"path": "a", "content": "1"}'], ["changes", "{}"]),
      )) as readonly { content: string }[];
      expect(written?.content).toBe("ok");
      expect(JSON.parse(changes?.content ?? "").changes).toMatchObject([{ left_out }]);
      expect(await run(asking({ files, changes: true, patch_bytes: 1000 }))).toMatchObject({
        changes: [{ path: "a", change: "changed" }],
        patch: expect.stringContaining("+1\n"),
      });
    },
    { patch_bytes: 10 },
  ));

test.each([
  ["50ms", 20_000],
  ["10m", 50],
  [undefined, 50],
])("with a timeout of %p over %d ms, a slow command ends in time", (timeout, timeoutMs) =>
  withAgent(
    async (run) => {
      const exec = {
        command: "echo begun; sleep 600",
        ...(timeout === undefined ? {} : { timeout }),
      };
      expect(await run(asking(exec))).toMatchObject({ ending: "timeout", exit_code: 137 });
    },
    {},
    timeoutMs,
  ),
);

test("a timeout that is not a duration is refused", () =>
  withAgent(async (run) => {
    await expect(run(asking({ command: "true", timeout: "soon" }))).rejects.toMatchObject({
      code: "agent_failed",
      message: 'timeout "soon" is not a duration such as "90s"',
    });
  }));

test("output past output_bytes is dropped and counted", () =>
  withAgent(async (run) => {
    const exec = { command: "printf 12345678901", output_bytes: 10 };
    expect(await run(asking(exec))).toMatchObject({
      stdout: "12345\n[1 byte of output is left out here]\n78901",
      dropped_bytes: 1,
    });
  }));

test("a file larger than 16 MiB is not read", () =>
  withAgent(async (run) => {
    const command = "head -c 16777217 /dev/zero > big; head -c 16777216 /dev/zero > most";
    await expect(run(asking({ command, download: ["big"] }))).rejects.toThrow(
      "cannot read big: it is larger than 16777216 bytes",
    );
    await run(asking({ download: ["most"] }));
  }));

test("the same step is done once", () =>
  withAgent(async (run, calls) => {
    const task = asking({ command: "echo x >> count; wc -l < count" });
    const [first, second] = await Promise.all([run(task), run(task)]);
    expect(first).toMatchObject({ stdout: expect.stringMatching(/^\s*1\n$/) });
    expect(second).toEqual(first as never);
    expect(new Set(calls.map(({ digest }) => digest)).size).toBe(1);
  }));

test("a model's tools answer its calls in order", () =>
  withAgent(
    async (run) => {
      const messages = (await run(
        calling(
          ["write_file", '{"path": "notes.txt", "content": "one\\n"}'],
          ["run", '{"command": "cat notes.txt; echo $A; exit 2"}'],
          ["read_file", '{"path": "notes.txt"}'],
          ["changes", ""],
          ["write_file", '{"path": "empty", "content": ""}'],
        ),
      )) as readonly { role: string; tool_call_id: string; content: string }[];
      expect(messages.map(({ role, tool_call_id: id }) => `${role} ${id}`)).toEqual([
        "tool c0",
        "tool c1",
        "tool c2",
        "tool c3",
        "tool c4",
      ]);
      const contents = messages.map(({ content }) => content);
      expect([contents[0], contents[4]]).toEqual(["ok", "ok"]);
      expect(JSON.parse(contents[1] ?? "")).toMatchObject({ exit_code: 2, stdout: "one\nset\n" });
      expect(JSON.parse(contents[2] ?? "")).toEqual({ files: { "notes.txt": "one\n" } });
      expect(Object.keys(JSON.parse(contents[3] ?? ""))).toEqual(["changes", "patch"]);
    },
    { env: { A: "set" } },
  ));

test("a model reads the same of the same calls in another sandbox, at another time", async () => {
  const calls = [
    ["run", '{"command": "sleep 0.0$X; echo out; exit 3"}'],
    ["write_file", '{"path": "a/b", "content": "x"}'],
    ["read_file", '{"path": "a/b"}'],
    ["read_file", '{"path": "missing"}'],
    ["write_file", '{"path": "a/b/c", "content": "x"}'],
    ["changes", "{}"],
    ["run", '{"command": ["no-such-program"]}'],
  ] as const;
  const answers: Json[] = [];
  for (const X of ["1", "5"])
    await withAgent(async (run) => void answers.push(await run(calling(...calls))), { env: { X } });
  expect(answers[1]).toEqual(answers[0] ?? null);
  expect(answers[0]).toHaveLength(calls.length);
});

test.each([
  ["read_file", '{"path": "missing.txt"}', "Error: cannot read missing.txt: there is no such file"],
  ["read_file", "{}", "Error: path is missing: it must be a text"],
  ["read_file", '{"path": ""}', "Error: path is missing: it must be a text"],
  ["write_file", '{"path": "a"}', "Error: content is missing: it must be a text"],
  ["write_file", '{"path": 1, "content": "x"}', "Error: path is missing: it must be a text"],
  ["run", "{not json", "Error: the arguments are not JSON: "],
  [
    "run",
    `{"command":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
    "Error: the argument is nested more than 256 levels deep",
  ],
  ["run", "[1]", "Error: the arguments are not a JSON object"],
  [
    "run",
    '{"command": "ls", "cmd": 1}',
    "Error: the request cannot be read: cmd: there is no such key; the keys are files, command, ",
  ],
  ["run", '{"comand": "ls"}', "Error: command is missing: it must be a line for the shell"],
  ["run", "{}", "Error: command is missing: it must be a line for the shell"],
  ["read_file", '{"path": "."}', "Error: cannot read .: it is a folder"],
  [
    "read_file",
    '{"path": "/dev/zero"}',
    "Error: cannot read /dev/zero: it is a pipe, a socket or a",
  ],
  ["write_file", '{"path": "/dev/full", "content": ""}', "Error: cannot write /dev/full: it is a"],
  ["fly", "{}", 'Error: no tool is named "fly"; there are run, read_file, write_file and changes'],
])("a model that calls %s with %s hears of its mistake", (name, args, answer) =>
  withAgent(async (run) => {
    const [message] = (await run(calling([name, args]))) as readonly { content: string }[];
    expect(message?.content).toStartWith(answer);
  }),
);

test("a sandbox that cannot be started is not an answer to a model", async () => {
  const { pool } = poolOver(() => Promise.reject(new Error("no engine")));
  await using _pool = pool;
  const config = { with: {} } as unknown as RoleConfig;
  const role = {
    name: "x",
    config,
    neighbours: new Set<string>(),
    cwd: null,
    program: null,
    python: null,
    timeoutMs: 1,
    attemptsMax: 3,
    pool,
  };
  const task = calling(["run", '{"command": "ls"}']);
  await expect(
    Promise.resolve(createExecAgent(role).run(task, agentContext(signal))),
  ).rejects.toThrow("no engine");
});
