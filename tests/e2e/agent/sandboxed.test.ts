// Agents in sandboxes, from a recipe's tables to their results: programs in Python and JavaScript,
// and commands.

import { afterEach, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Agent } from "../../../src/agent/contract.ts";
import { planAgent } from "../../../src/agent/create.ts";
import { filesIn } from "../../../src/agent/role-files.ts";
import { watchedSandboxes } from "../../../src/agent/sandboxed.ts";
import { PythonFiles } from "../../../src/python/files.ts";
import { loadRecipe } from "../../../src/recipe/load.ts";
import { SandboxSite } from "../../../src/sandbox/site.ts";
import type { Json } from "../../../src/task/json.ts";
import type { Hop, Task } from "../../../src/task/task.ts";
import { agentContext } from "../../parts/agent-context.ts";
import { withFolder } from "../../parts/folder.ts";
import { docker, quiet } from "../sandbox/engines.ts";

const RECIPE = `name = "sandboxed"
dataset.path = "d.jsonl"
[sandboxes.box]
engine = "process"
[roles.solver]
agent = "agents/solver.py"
sandbox = "box"
with = { mark = "!" }
[roles.scripted]
agent = "agents/scripted.mjs"
sandbox = "box"
command = ["bun", "scripted.mjs"]
history = false
[roles.shell]
agent = "exec"
sandbox = "box"
[roles.speaker]
agent = "./speaker.ts"
[orchestrator]
pattern = "sequence"
roles = ["solver", "scripted", "shell", "speaker"]
`;
const SOLVER = `from matrix_agent import serve

def step(task, settings):
    if task["row"].get("fail"):
        raise ValueError("no such questiön")
    if task["row"].get("die"):
        import os
        os._exit(3)
    print("this goes to the log")
    return {"answer": task["row"]["q"].upper() + settings["mark"], "hop": task["hop"], "seen": [h["role"] for h in task["history"]]}

serve(step)
`;
const SCRIPTED = `const { serve } = await import(process.env.MATRIX_BRIDGE + "/matrix-agent.mjs");
serve(async (task) => {
  console.log("this goes to the log");
  return { last: task.last, history: task.history ?? "none" };
});
`;

let site: SandboxSite | null = null;
afterEach(async () => {
  await site?.stop();
  site = null;
});

async function agentsOf(
  folder: string,
  overrides: readonly string[] = [],
): Promise<Readonly<Record<string, Agent>>> {
  await mkdir(join(folder, "agents"), { recursive: true });
  const files = {
    "recipe.toml": RECIPE,
    "d.jsonl": "",
    "agents/solver.py": SOLVER,
    "agents/scripted.mjs": SCRIPTED,
    "speaker.ts": "",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const scripted = `roles.scripted.command=["bun","${folder}/agents/scripted.mjs"]`;
  const { recipe } = await loadRecipe(join(folder, "recipe.toml"), {
    overrides: [scripted, ...overrides],
    env: {},
    cwd: folder,
  });
  const opened = new SandboxSite({
    run: "t",
    host: "t",
    log: quiet,
    taskMs: 60_000,
    configs: recipe.sandboxes,
    filesOf: (name) => filesIn(recipe, name),
    watched: watchedSandboxes(recipe),
  });
  site = opened;
  const loadModule = async () => ({ default: () => null });
  const made = Object.entries(recipe.roles)
    .filter(([, { agent }]) => agent !== "llm")
    .map(async ([name, config]) => {
      const plan = await planAgent(name, config, {
        ...{ recipe, cwd: folder, loadModule, python: new PythonFiles() },
      });
      return [name, plan.open({ models: new Map(), pool: (name) => opened.pool(name) })] as const;
    });
  return Object.fromEntries(await Promise.all(made));
}

const signal = new AbortController().signal;
const hop = (role: string, result: Json): Hop => ({
  hop: 0,
  role,
  host: "t",
  at: "",
  queue_ms: 0,
  run_ms: 0,
  result,
});
const task = (row: Record<string, Json>, more: Partial<Task> = {}): Task => ({
  ...{
    rowId: "r",
    trial: 0,
    row,
    seed: 1,
    attempt: 1,
    role: "x",
    state: null,
    history: [],
    admittedAt: 0,
    trace: null,
  },
  ...more,
});
const run = async (agent: Agent | undefined, given: Task): Promise<unknown> =>
  (await agent?.run(given, agentContext(signal)))?.result;
const failureOf = (answer: Promise<unknown>) =>
  answer.catch((thrown) => ({ code: thrown.code, message: thrown.message }));
/** A task that a model sent to its tools. */
const called = (calls: readonly (readonly [name: string, args: string])[], rowId = "r"): Task =>
  task(
    {},
    {
      rowId,
      history: [
        hop("speaker", {
          role: "assistant",
          content: null,
          tool_calls: calls.map(([name, args], index) => ({
            id: `c${index}`,
            type: "function",
            function: { name, arguments: args },
          })),
        }),
      ],
    },
  );

test("an agent of ten lines of Python gets the task and its settings, and its printed text is not its answer", () =>
  withFolder(async (folder) => {
    const { solver } = await agentsOf(folder);
    expect(await run(solver, task({ q: "grüße" }))).toEqual({
      answer: "GRÜSSE!",
      hop: 0,
      seen: [],
    });
  }));

test("an agent of ten lines of JavaScript gets the history only where the recipe says so", () =>
  withFolder(async (folder) => {
    const { scripted } = await agentsOf(folder);
    expect(await run(scripted, task({}, { history: [hop("speaker", { text: "hello" })] }))).toEqual(
      {
        last: { text: "hello" },
        history: "none",
      },
    );
  }));

test("an agent in a sandbox serves many tasks at once, each with its own answer", () =>
  withFolder(async (folder) => {
    const { solver } = await agentsOf(folder);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => run(solver, task({ q: `q${n}` }, { rowId: `${n}` }))),
    );
    expect(answers).toEqual(
      Array.from({ length: 50 }, (_, n) => ({ answer: `Q${n}!`, hop: 0, seen: [] })),
    );
  }));

test("an agent that raises fails its own step with kind and message, and no other", () =>
  withFolder(async (folder) => {
    const { solver } = await agentsOf(folder);
    expect(await failureOf(run(solver, task({ q: "x", fail: true })))).toEqual({
      code: "agent_failed",
      message: "solver.py: ValueError: no such questiön",
    });
    expect(await run(solver, task({ q: "x" }, { rowId: "next" }))).toMatchObject({
      answer: "X!",
    });
  }));

test("an agent that keeps dying under a task fails it as lost, and the next task has another agent", () =>
  withFolder(async (folder) => {
    const { solver } = await agentsOf(folder);
    expect(await failureOf(run(solver, task({ q: "x", die: true })))).toMatchObject({
      code: "sandbox_lost",
    });
    expect(await run(solver, task({ q: "x" }, { rowId: "next" }))).toMatchObject({
      answer: "X!",
    });
  }));

test(
  "an agent runs by Docker as it runs by plain processes",
  () =>
    withFolder(async (folder) => {
      if (docker.image === null) return;
      const { solver } = await agentsOf(folder, [
        "sandboxes.box.engine=docker",
        `sandboxes.box.image="${docker.image}"`,
      ]);
      expect(await run(solver, task({ q: "grüße" }))).toEqual({
        answer: "GRÜSSE!",
        hop: 0,
        seen: [],
      });
    }),
  60_000,
);

test("the exec agent runs the command that the state asks for, over the role's settings", () =>
  withFolder(async (folder) => {
    const { shell } = await agentsOf(folder, [
      "roles.shell.with={ command = 'exit 9', env = { A = '1' } }",
    ]);
    const asked = task(
      {},
      { state: { exec: { command: 'echo "$A"; cat >&2; exit 4', stdin: "ünd" } } },
    );
    expect(await run(shell, asked)).toMatchObject({
      ending: "exit",
      exit_code: 4,
      stdout: "1\n",
      stderr: "ünd",
      dropped_bytes: 0,
    });
    expect(await run(shell, task({}, { rowId: "other" }))).toMatchObject({ exit_code: 9 });
  }));

test("the exec agent brings files in and out, text and bytes, and lists what changed", () =>
  withFolder(async (folder) => {
    const { shell } = await agentsOf(folder);
    const exec = {
      files: { "src/a b.txt": "text ü", "raw.bin": { base64: "/wD+" } },
      command: ["sh", "-c", "cp raw.bin copy.bin; rm raw.bin; echo more >> 'src/a b.txt'"],
      download: ["copy.bin", "src/a b.txt"],
      changes: true,
    };
    expect(await run(shell, task({}, { state: { exec } }))).toMatchObject({
      exit_code: 0,
      files: { "copy.bin": { base64: "/wD+" }, "src/a b.txt": "text ümore\n" },
      changes: [
        { path: "copy.bin", change: "added" },
        { path: "src/a b.txt", change: "added" },
      ],
    });
  }));

test("the exec agent ends a command in its time, and cuts output that is too long", () =>
  withFolder(async (folder) => {
    const { shell } = await agentsOf(folder);
    // The time counts from the start of the command, which may print nothing on a busy machine.
    const slow = { command: "sleep 600", timeout: "300ms" };
    expect(await run(shell, task({}, { state: { exec: slow } }))).toMatchObject({
      ending: "timeout",
      exit_code: 137,
    });
    const long = { command: "head -c 5000 /dev/zero | tr '\\0' x", output_bytes: 10 };
    expect(await run(shell, task({}, { rowId: "b", state: { exec: long } }))).toMatchObject({
      stdout: "xxxxx\n[4990 bytes of output are left out here]\nxxxxx",
      dropped_bytes: 4990,
    });
  }));

test("the exec agent answers each tool call in order, and tells the model its mistakes", () =>
  withFolder(async (folder) => {
    const { shell } = await agentsOf(folder);
    const messages = (await run(
      shell,
      called([
        ["write_file", '{"path": "notes.txt", "content": "one\\n"}'],
        ["run", '{"command": "cat notes.txt; exit 2"}'],
        ["read_file", '{"path": "notes.txt"}'],
        ["read_file", '{"path": "missing.txt"}'],
        ["run", "{not json"],
        ["run", '{"command": "ls", "comand": "ls"}'],
        ["fly", "{}"],
      ]),
    )) as { role: string; tool_call_id: string; content: string }[];
    expect(messages.map(({ role, tool_call_id }) => `${role} ${tool_call_id}`)).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((n) => `tool c${n}`),
    );
    const contents = messages.map(({ content }) => content);
    expect(contents[0]).toBe("ok");
    expect(JSON.parse(contents[1] as string)).toMatchObject({ exit_code: 2, stdout: "one\n" });
    expect(JSON.parse(contents[2] as string)).toEqual({ files: { "notes.txt": "one\n" } });
    expect(contents[3]).toContain("Error: cannot read missing.txt");
    expect(contents[4]).toContain("Error: the arguments are not JSON");
    expect(contents[5]).toContain("comand");
    expect(contents[6]).toBe(
      'Error: no tool is named "fly"; there are run, read_file, write_file and changes',
    );
  }));

test("the exec agent does a step once when it comes twice", () =>
  withFolder(async (folder) => {
    const { shell } = await agentsOf(folder);
    const asked = task({}, { state: { exec: { command: "echo x >> count; wc -l < count" } } });
    const [first, second] = await Promise.all([run(shell, asked), run(shell, asked)]);
    expect(first).toMatchObject({ stdout: "1\n" });
    expect(second).toEqual(first as object);
  }));

test("the exec agent refuses a request that it cannot read, and says why", () =>
  withFolder(async (folder) => {
    const { shell } = await agentsOf(folder);
    const failure = await failureOf(run(shell, task({}, { state: { exec: { command: 7 } } })));
    expect(failure).toMatchObject({ code: "agent_failed" });
    expect((failure as { message: string }).message).toContain("command");
  }));
