// Starting a role's program once: which programs work, and where the others are at fault.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createSandboxedAgent, type SandboxedRole } from "../../src/agent/sandboxed.ts";
import { type StartLimits, startProgram, withTrueEnd } from "../../src/agent/start-program.ts";
import type { RoleConfig } from "../../src/recipe/schema/schema.ts";
import { agentContext } from "../parts/agent-context.ts";
import { withFolder } from "../parts/folder.ts";
import { poolOver } from "../parts/sandbox-pool.ts";
import { type ScriptedProcess, ScriptedSandbox } from "../parts/scripted-sandbox.ts";
import { taskOf } from "../parts/task.ts";

const PATIENT: StartLimits = { loadMs: 60_000, stayMs: 60_000 };
const HASTY: StartLimits = { loadMs: 1, stayMs: 1 };

/** Starts a program that behaves so at its first start, its second one, and so on. */
async function start(
  starts: readonly ((process: ScriptedProcess) => void)[],
  limits: StartLimits = PATIENT,
  agent = "/agents/solve.py",
) {
  const left = [...starts];
  const sandbox = new ScriptedSandbox("s", { program: (process) => left.shift()?.(process) });
  const role = roleIn(sandbox, agent);
  const error = await startProgram(role, new AbortController().signal, limits).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return { error, sandbox };
}

function roleIn(sandbox: ScriptedSandbox, agent = "/agents/solve.py"): SandboxedRole {
  return {
    name: "solver",
    config: { agent, with: {}, history: true } as unknown as RoleConfig,
    neighbours: new Set(["solver"]),
    cwd: null,
    program: null,
    python: null,
    timeoutMs: 60_000,
    attemptsMax: 3,
    pool: poolOver(async () => sandbox).pool,
  };
}

/** A program that ends with this code, at once or when its stdin closes. */
const ends =
  (code: number, said = "") =>
  ({ stderr, exit }: ScriptedProcess) => {
    stderr.write(said);
    exit(code);
  };
const endsWithStdin = ({ stdin, exit }: ScriptedProcess) => {
  stdin.on("end", () => exit(0)).resume();
};
const stays = ({ stdin }: ScriptedProcess) => void stdin.resume();

test("a program that ends with its stdin works, and is started once", async () => {
  const { error, sandbox } = await start([endsWithStdin]);
  expect(error).toBeNull();
  expect(sandbox.commands).toHaveLength(1);
  expect(sandbox.commands[0]?.args.at(-1)).toBe("/agents/solve.py");
  expect(sandbox.kills).toBe(0);
});

test("a program that loads for a long time counts as one that works, and is killed", async () => {
  const { error, sandbox } = await start([stays], { ...PATIENT, loadMs: 1 });
  expect([error, sandbox.commands.length, sandbox.kills]).toEqual([null, 1, 1]);
});

test("a program that cannot bear a closed stdin works when it stays with an open one", async () => {
  const { error, sandbox } = await start([ends(1, "EOFError"), stays], { ...PATIENT, stayMs: 1 });
  expect([error, sandbox.commands.length, sandbox.kills]).toEqual([null, 2, 1]);
  expect((await start([stays], HASTY)).error).toBeNull();
});

test("a program that ends by itself is a module that is invalid, with its last words", async () => {
  for (const code of [0, 1, 127]) {
    const { error } = await start([ends(1), ends(code, "no such thing\n")]);
    expect(error).toMatchObject({
      code: "module_invalid",
      message: `solve.py does not start: it ended with exit ${code} with these last words:\nno such thing`,
      problems: [],
    });
  }
  const { error } = await start([ends(1), ends(3)]);
  expect(error).toMatchObject({
    message: "solve.py does not start: it ended with exit 3 without a word",
  });
});

test.each([
  [
    "a syntax error of Python, with its column in the file",
    (file: string) =>
      `  File "${file}", line 3\n    x = = 2\n        ^\nSyntaxError: invalid syntax\n`,
    { line: 3, column: 9, message: "SyntaxError: invalid syntax" },
  ],
  [
    "the innermost line of the file in a traceback",
    (file: string) =>
      `Traceback (most recent call last):\n  File "${file}", line 9, in <module>\n    f()\n` +
      `  File "${file}", line 2, in f\n    import nope\n  File "/lib/x.py", line 7\n` +
      "ModuleNotFoundError: No module named 'nope'\n",
    { line: 2, message: "ModuleNotFoundError: No module named 'nope'" },
  ],
  [
    "an error of Node",
    (file: string) => `file://${file}:3\n  x = = 2;\n      ^\n\nSyntaxError: Unexpected token\n`,
    { line: 3, column: 9, message: "SyntaxError: Unexpected token" },
  ],
  [
    "a place without the name of an error",
    (file: string) => `  File "${file}", line 1\nbye\n`,
    { line: 1, message: "the program does not start" },
  ],
] as const)("the problem has %s", (_, words, problem) =>
  withFolder(async (folder) => {
    const file = join(folder, "solve.py");
    await writeFile(file, "def f():\n    import nope\n    x = = 2\n");
    const { error } = await start([ends(1), ends(1, words(file))], PATIENT, file);
    expect((error as { problems?: unknown }).problems).toEqual([{ file, ...problem }]);
  }),
);

test("a place in another file than the program's own is no place of the problem", async () => {
  const { error } = await start([ends(1), ends(1, '  File "/lib/x.py", line 3\nValueError: no')]);
  expect(error).toMatchObject({ problems: [], message: expect.stringContaining("ValueError: no") });
});

test("a program that ended before any answer has failed when it cannot start, and else was lost", async () => {
  const endOf = async (program: (process: ScriptedProcess) => void, attempt = 1) => {
    const pool = poolOver(async () => new ScriptedSandbox("s", { program })).pool;
    const role = { ...roleIn(new ScriptedSandbox()), pool };
    const agent = withTrueEnd(role, createSandboxedAgent(role));
    return Promise.resolve(agent.run(taskOf({ attempt }), agentContext())).catch(
      (thrown: unknown) => thrown,
    );
  };
  expect(await endOf(ends(1, "no such module"))).toMatchObject({
    code: "program_failed",
    message: "solve.py does not start: it ended with exit 1 with these last words:\nno such module",
  });
  const diesOfARequest = ({ stdin, exit }: ScriptedProcess) =>
    void stdin.on("data", () => exit(3)).on("end", () => exit(0));
  expect(await endOf(diesOfARequest)).toMatchObject({
    code: "sandbox_lost",
    message:
      "solve.py starts, and ended when it was asked: the agent in sandbox case ended with exit 3",
  });
  // The row has been started as often as it may be, so there is no further start to hope for.
  expect((await endOf(diesOfARequest, 2)) as object).toMatchObject({ code: "sandbox_lost" });
  for (const attempt of [3, 4])
    expect(await endOf(diesOfARequest, attempt)).toMatchObject({
      code: "program_failed",
      message:
        "solve.py starts, and ended when it was asked: the agent in sandbox case ended with exit 3",
    });
  const answers = ({ stdin, stdout }: ScriptedProcess) =>
    void stdin.on("data", (line: Buffer) => {
      const { id } = JSON.parse(line.toString());
      stdout.write(`${JSON.stringify({ id, ok: true, result: 5 })}\n`);
    });
  expect(await endOf(answers)).toEqual({ result: 5 });
});
