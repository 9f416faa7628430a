// Commands under limits, in a sandbox whose commands a test plays itself.

import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import { type ExecOptions, exec } from "../../src/sandbox/exec.ts";
import { listenersOn } from "../parts/listeners.ts";
import {
  type ScriptedProcess,
  ScriptedSandbox,
  type ScriptedSandboxOptions,
  settle,
} from "../parts/scripted-sandbox.ts";
import { timersLeftBy } from "../parts/timers.ts";

const GIB = 2 ** 30;

const run = (
  program: (process: ScriptedProcess) => void,
  options: Partial<ExecOptions> = {},
  more: ScriptedSandboxOptions = {},
  sandbox = new ScriptedSandbox("s", { program, ...more }),
) => exec(sandbox, { args: ["x"], timeoutMs: 10_000, outputBytesMax: 10, ...options });
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");
const lost = () => new MatrixError("sandbox_lost", "it went");

test("a command's exit code, output and time come back", async () => {
  const outcome = await run(({ stdout, stderr, exit }) => {
    stdout.write("out");
    stderr.write("err");
    exit(7);
  });
  expect({ ...outcome, stdout: text(outcome.stdout), stderr: text(outcome.stderr) }).toEqual({
    ending: "exit",
    exitCode: 7,
    stdout: "out",
    stderr: "err",
    droppedBytes: 0,
  });
});

test.each([
  [undefined, ""],
  [Buffer.from("given"), "given"],
])("the stdin %j is sent and then closed", async (stdin, received) => {
  const options = stdin === undefined ? {} : { stdin };
  const { stdout } = await run(({ stdin, stdout, exit }) => {
    const parts: Buffer[] = [];
    stdin.on("data", (part: Buffer) => parts.push(part));
    stdin.on("end", () => {
      stdout.write(`${Buffer.concat(parts)}.`);
      exit(0);
    });
  }, options);
  expect(text(stdout)).toBe(`${received}.`);
});

test.each([
  ["123456789", "123456789", 0],
  ["1234567890", "1234567890", 0],
  ["12345678901", "12345\n[1 byte of output is left out here]\n78901", 1],
])("of the output %j 10 bytes are kept: %j, and %d dropped", async (out, kept, dropped) => {
  const { stdout, droppedBytes, ending } = await run(({ stdout, exit }) => {
    stdout.write(out.slice(0, 6));
    stdout.write(out.slice(6));
    exit(0);
  });
  expect([text(stdout), droppedBytes, ending]).toEqual([kept, dropped, "exit"]);
});

test("stdout and stderr are bounded each, and their dropped bytes add up", async () => {
  const outcome = await run(({ stdout, stderr, exit }) => {
    stdout.write("o".repeat(12));
    stderr.write("e".repeat(15));
    stdout.write("o");
    exit(0);
  });
  expect([text(outcome.stdout), text(outcome.stderr), outcome.droppedBytes]).toEqual([
    "ooooo\n[3 bytes of output are left out here]\nooooo",
    "eeeee\n[5 bytes of output are left out here]\neeeee",
    8,
  ]);
});

test.each([
  [0, "exit", 3],
  [1, "flood", 137],
])("a command that drops 1 GiB and %d bytes ends by %s", async (more, ending, exitCode) => {
  const chunk = Buffer.alloc(2 ** 26);
  const outcome = await run(
    ({ stdout, exit }) => {
      for (let n = 0; n < GIB / chunk.length; n++) stdout.write(chunk);
      stdout.write(Buffer.alloc(10 + more));
      void settle()
        .then(() => settle())
        .then(() => exit(3));
    },
    {},
    { onKill: (process) => process.exit(9) },
  );
  expect([outcome.ending, outcome.exitCode]).toEqual([ending, exitCode] as never);
  expect(outcome.droppedBytes).toBe(GIB + more);
});

test("a command past its time is killed once, and what it wrote is kept", async () => {
  const sandbox = new ScriptedSandbox("s", {
    program: ({ stdout }) => stdout.write("begun"),
    onKill: ({ exit }) => exit(0),
  });
  const outcome = await exec(sandbox, { args: ["x"], timeoutMs: 5, outputBytesMax: 10 });
  expect([outcome.ending, outcome.exitCode, text(outcome.stdout)]).toEqual([
    "timeout",
    137,
    "begun",
  ]);
  expect(sandbox.kills).toBe(1);
});

test("a caller that gives up hears its own reason once the command is killed", async () => {
  const controller = new AbortController();
  const sandbox = new ScriptedSandbox("s", {
    program: () => setImmediate(() => controller.abort(new Error("given up"))),
  });
  await expect(
    exec(sandbox, { args: ["x"], timeoutMs: 9999, outputBytesMax: 1, signal: controller.signal }),
  ).rejects.toThrow("given up");
  expect(sandbox.kills).toBe(1);
});

test("a caller that gives up while the command starts ends it too", async () => {
  const controller = new AbortController();
  const sandbox = new ScriptedSandbox("s", {
    program: () => controller.abort(new Error("given up")),
  });
  await expect(
    exec(sandbox, { args: ["x"], timeoutMs: 9999, outputBytesMax: 1, signal: controller.signal }),
  ).rejects.toThrow("given up");
  expect(sandbox.kills).toBe(1);
});

test("a command whose signal is already aborted is never started", async () => {
  const sandbox = new ScriptedSandbox();
  const signal = AbortSignal.abort(new Error("before"));
  await expect(
    exec(sandbox, { args: ["x"], timeoutMs: 1, outputBytesMax: 1, signal }),
  ).rejects.toThrow("before");
  expect(sandbox.commands).toEqual([]);
});

test("a signal that aborts after the end kills nothing", async () => {
  const controller = new AbortController();
  const sandbox = new ScriptedSandbox("s", { program: ({ exit }) => exit(0) });
  const options = { args: ["x"], timeoutMs: 9999, outputBytesMax: 1, signal: controller.signal };
  await exec(sandbox, options);
  controller.abort();
  await settle();
  expect(sandbox.kills).toBe(0);
});

test("a sandbox that goes with its killed command is the command's end", async () => {
  const outcome = await run(
    () => undefined,
    { timeoutMs: 1 },
    { onKill: (process) => process.lose(lost()) },
  );
  expect([outcome.ending, outcome.exitCode]).toEqual(["timeout", 137]);
});

test("a sandbox that ends by itself fails the command", async () => {
  await expect(run(({ lose }) => lose(lost()))).rejects.toMatchObject({ code: "sandbox_lost" });
});

test.each([
  { error: new Error("a bug") },
  { error: new MatrixError("sandbox_unavailable", "no engine") },
])("another error of a killed command stays an error (%#)", async ({ error }) => {
  const onKill = (process: ScriptedProcess) => process.lose(error);
  await expect(run(() => undefined, { timeoutMs: 1 }, { onKill })).rejects.toBe(error);
});

const WORD_MAX = 131_071;
const word = (bytes: number) => "ü".repeat(bytes >> 1) + "x".repeat(bytes & 1);

test.each([
  [{ args: ["a\0b"] }, "a command cannot contain a NUL character"],
  [{ args: ["x"], cwd: "/a\0" }, "a command cannot contain a NUL character"],
  [{ args: ["x"], env: { A: "\0" } }, "a command cannot contain a NUL character"],
  [{ args: [word(WORD_MAX + 1)] }, "at most 131071 bytes a word and 1500000 in all"],
  [{ args: ["x"], cwd: word(WORD_MAX + 1) }, "a command is too long"],
  [{ args: ["x"], env: { A: word(WORD_MAX - 1) } }, "a command is too long"],
  [{ args: Array(12).fill(word(125_001)) }, "a command is too long"],
  [{ args: Array(400_000).fill("word") }, "a command is too long"],
])(
  "a command that no kernel starts is refused before it is opened (%#)",
  async (options, message) => {
    const sandbox = new ScriptedSandbox();
    const failed = run(() => undefined, options, {}, sandbox);
    await expect(failed).rejects.toMatchObject({
      code: "agent_failed",
      message: expect.stringContaining(message),
    });
    expect(sandbox.commands).toEqual([]);
  },
);

test.each([
  { args: [word(WORD_MAX)] },
  { args: ["x"], env: { A: word(WORD_MAX - 2) } },
  { args: Array(12).fill(word(125_000)) },
])("a command at the limits is opened (%#)", async (options) => {
  const sandbox = new ScriptedSandbox("s", { program: ({ exit }) => exit(0) });
  expect(await run(() => undefined, options, {}, sandbox)).toMatchObject({ exitCode: 0 });
  expect(sandbox.commands).toMatchObject([options]);
});

test("a command that has ended leaves no timer, and no listener on its signal", async () => {
  const { signal } = new AbortController();
  const left = await timersLeftBy(() => run(({ exit }) => exit(0), { signal }));
  expect([left, listenersOn(signal)]).toEqual([[], 0]);
});
