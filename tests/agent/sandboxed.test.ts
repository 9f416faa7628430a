// Agents in sandboxes: the request of a step, the program that answers it, and whose call it is.

import { expect, test } from "bun:test";
import {
  callerOf,
  createSandboxedAgent,
  digestOf,
  roleInSandbox,
  type SandboxedRole,
  watchedSandboxes,
} from "../../src/agent/sandboxed.ts";
import type { Recipe, RoleConfig } from "../../src/recipe/schema/schema.ts";
import type { EngineName } from "../../src/sandbox/contract.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { agentContext } from "../parts/agent-context.ts";
import { poolOver } from "../parts/sandbox-pool.ts";
import { ScriptedSandbox } from "../parts/scripted-sandbox.ts";
import { hopOf, taskOf } from "../parts/task.ts";

const signal = new AbortController().signal;
const config = (more: Partial<RoleConfig> = {}): RoleConfig =>
  ({
    agent: "/agents/solve.py",
    with: { k: 1 },
    history: true,
    timeout: 5000,
    ...more,
  }) as RoleConfig;

/** A role whose program answers with `answer`, and what it was asked. */
function roleOver(
  answer: string,
  more: Partial<Omit<SandboxedRole, "pool">> = {},
  engine: EngineName = "docker",
) {
  const asked: JsonObject[] = [];
  const sandbox = new ScriptedSandbox("s", {
    program: ({ stdin, stdout }) =>
      stdin.on("data", (line: Buffer) => {
        const request = JSON.parse(line.toString());
        asked.push(request);
        if ("id" in request) stdout.write(`{"id":"${request.id}",${answer}}\n`);
      }),
  });
  Object.assign(sandbox, { engine });
  const { pool, calls } = poolOver(async () => sandbox);
  const role: SandboxedRole = {
    name: "solver",
    config: config(),
    neighbours: new Set(["solver"]),
    attemptsMax: 3,
    cwd: null,
    program: "solve.py",
    python: null,
    timeoutMs: 5000,
    pool,
    ...more,
  };
  return { agent: createSandboxedAgent(role), asked, sandbox, calls };
}

const task = taskOf({
  rowId: "r1",
  trial: 2,
  seed: 3,
  attempt: 4,
  role: "solver",
  row: { q: "x" },
  state: { s: 1 },
  history: [hopOf("other", "first"), hopOf("other", "second"), hopOf("other", { last: true })],
});

test("a step's request has the task, its last result, its history and the role's settings", async () => {
  const { agent, asked, calls } = roleOver('"ok":true,"result":{"answer":5}');
  expect(await agent.run(task, agentContext(signal))).toEqual({ result: { answer: 5 } });
  expect(asked).toEqual([
    {
      op: "step",
      id: expect.stringMatching(/^[\w-]{22}$/),
      session: expect.stringMatching(/^[0-9a-f]{16}$/),
      settings: { k: 1 },
      task: {
        id: "r1",
        trial: 2,
        seed: 3,
        attempt: 4,
        hop: 3,
        role: "solver",
        row: { q: "x" },
        state: { s: 1 },
        last: { last: true },
        history: task.history as never,
      },
    },
  ]);
  const { session: _session, id: _id, ...body } = asked[0] ?? {};
  expect(calls).toEqual([
    {
      caller: { rowId: "r1", trial: 2, attempt: 4, hop: 3, tries: 1, continues: false },
      digest: digestOf(body),
    },
  ]);
});

test("a role that reads no history is sent none, and null as the last result of a new task", async () => {
  const { agent, asked } = roleOver('"ok":true', { config: config({ history: false }) });
  expect(await agent.run(taskOf(), agentContext(signal))).toEqual({ result: null });
  expect(asked[0]?.["task"]).not.toHaveProperty("history");
  expect(asked[0]?.["task"]).toHaveProperty("last", null);
});

test.each([
  [{ agent: "/agents/solve.py" }, "solve.py: ValueError: no such question"],
  [
    { agent: "process", command: ["python3", "x.py"] },
    "python3 x.py: ValueError: no such question",
  ],
  [{ agent: "process" }, ": ValueError: no such question"],
])(
  "a failure of the program %j is the step's, with its name, kind and message",
  async (more, message) => {
    const failure = '"ok":false,"error":{"kind":"ValueError","message":"no such question"}';
    const { agent } = roleOver(failure, { config: config(more) });
    await expect(Promise.resolve(agent.run(task, agentContext(signal)))).rejects.toMatchObject({
      code: "agent_failed",
      message,
    });
  },
);

test.each([
  [{ command: ["py", "-X"], isMarked: false }, ["py", "-X", "-u", "/agents/solve.py"]],
  [
    { command: ["py"], isMarked: true },
    ["py", "-u", "/matrix/matrix_agent.py", "/agents/solve.py"],
  ],
] as const)("a Python program is started by %j", async (python, started) => {
  const { agent, sandbox } = roleOver('"ok":true', { python, config: config() }, "process");
  await agent.run(task, agentContext(signal));
  expect(sandbox.commands[0]?.args.slice(4)).toEqual([...started]);
});

const PATH = 'export PYTHONPATH="$MATRIX_BRIDGE${PYTHONPATH:+:$PYTHONPATH}"; exec "$@"';

test.each([
  ["docker", {}, null, ["python3", "-u", "/agents/solver/solve.py"], "/agents/solver/solve.py"],
  ["process", {}, null, ["python3", "-u", "/agents/solve.py"], "/agents/solve.py"],
  ["docker", { command: ["bun", "x"] }, null, ["bun", "x"], "/agents/solver/solve.py"],
  ["process", { agent: "process", command: ["sh", "-c", "y"] }, "/here", ["sh", "-c", "y"], null],
  [
    "docker",
    { agent: "/a/solve.unknown" },
    null,
    ["/agents/solver/solve.unknown"],
    "/agents/solver/solve.unknown",
  ],
  ["docker", {}, null, ["python3", "-u", "/agents/solver/in/a.py"], "/agents/solver/in/a.py"],
] as const)(
  "in %s with %j the program is started from its command",
  async (engine, more, cwd, args, path) => {
    const program = path?.replace("/agents/solver/", "") ?? null;
    const { agent, sandbox } = roleOver(
      '"ok":true',
      { config: config(more as Partial<RoleConfig>), cwd, program },
      engine,
    );
    await agent.run(task, agentContext(signal));
    expect(sandbox.commands).toEqual([
      {
        args: ["/bin/sh", "-c", PATH, "sh", ...args],
        env: { MATRIX_BRIDGE: "/matrix", ...(path === null ? {} : { MATRIX_AGENT: path }) },
        ...(cwd === null ? {} : { cwd }),
      },
    ]);
  },
);

test("a step that is late fails with the role's timeout", async () => {
  const { agent } = roleOver('"ok":true', { timeoutMs: 0 });
  const slow = new ScriptedSandbox();
  const { pool } = poolOver(async () => slow);
  const role = {
    name: "x",
    config: config(),
    neighbours: new Set<string>(),
    cwd: null,
    program: "solve.py",
    python: null,
    timeoutMs: 3,
    attemptsMax: 3,
    pool,
  };
  await expect(
    Promise.resolve(createSandboxedAgent(role).run(task, agentContext(signal))),
  ).rejects.toMatchObject({
    code: "agent_timeout",
    message: "the agent in sandbox case did not reply within 3 ms",
  });
  expect(agent).toBeDefined();
});

test("a call continues its attempt once a role of the same sandbox has made a hop", () => {
  const neighbours = new Set(["a", "b"]);
  const after = (...roles: readonly string[]) =>
    callerOf(taskOf({ history: roles.map((role) => hopOf(role, null)) }), 1, neighbours).continues;
  expect([after(), after("c"), after("a"), after("c", "b", "d")]).toEqual([
    false,
    false,
    true,
    true,
  ]);
});

test("the digest of a call differs with what it asks", () => {
  expect(digestOf({ a: 1 })).toBe(digestOf({ a: 1 }));
  expect(digestOf({ a: 1 })).not.toBe(digestOf({ a: 2 }));
  expect(digestOf({})).toMatch(/^[\w-]{43}$/);
});

const recipe = {
  roles: {
    one: config({ sandbox: "box" }),
    two: config({ sandbox: "box", agent: "/other/two.mjs" }),
    shell: config({ sandbox: "box", agent: "exec" }),
    program: config({ sandbox: "box", agent: "process" }),
    plain: config({ sandbox: "bare" }),
    model: config({ agent: "llm" }),
  },
  sandboxes: { box: { engine: "auto", timeout: 77 }, bare: { engine: "process", timeout: 88 } },
  run: { delivery: "retry", max_attempts: 5 },
} as unknown as Recipe;

test("a sandbox with an exec role is watched, and others are not", () => {
  expect([...watchedSandboxes(recipe)]).toEqual(["box"]);
});

test("a role in a sandbox has its neighbours and the sandbox's timeout", () => {
  const { roles } = recipe;
  const one = roles["one"] as RoleConfig;
  expect(
    roleInSandbox("one", one, recipe, { cwd: "/here", program: "in/one.py", python: null }),
  ).toEqual({
    name: "one",
    config: one,
    neighbours: new Set(["one", "two", "shell", "program"]),
    cwd: null,
    program: "in/one.py",
    python: null,
    timeoutMs: 77,
    attemptsMax: 5,
  });
});

test("a row whose delivery is at-most-once starts one time in a sandbox", () => {
  const run = { delivery: "at-most-once", max_attempts: 5 };
  const once = { ...recipe, run } as unknown as Recipe;
  const role = roleInSandbox("one", config(), once, { cwd: "/here", program: null, python: null });
  expect(role.attemptsMax).toBe(1);
});

test("a program with its own sandbox starts where matrix was started, with the role's timeout", () => {
  const own = config({ sandbox: "solver (process)" });
  const { run } = recipe;
  const alone = { roles: { solver: own }, sandboxes: {}, run } as unknown as Recipe;
  expect(
    roleInSandbox("solver", own, alone, { cwd: "/here", program: "solve.py", python: null }),
  ).toMatchObject({
    cwd: "/here",
    timeoutMs: 5000,
  });
});
