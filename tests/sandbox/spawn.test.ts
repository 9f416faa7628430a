// Child processes: their environment, their streams and their ends.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import {
  endOf,
  environment,
  killGroup,
  outputEnd,
  runChild,
  spawnChild,
} from "../../src/sandbox/spawn.ts";
import { withEnv } from "../parts/env.ts";
import { listenersOn } from "../parts/listeners.ts";
import { timersLeftBy } from "../parts/timers.ts";

const env = { PATH: process.env["PATH"] ?? "" };
const sh = (script: string, cwd?: string) =>
  spawnChild("/bin/sh", ["-c", script], { env, ...(cwd === undefined ? {} : { cwd }) });

test("a child has the given environment and folder, and nothing of ours", async () => {
  const child = spawnChild("/usr/bin/env", [], { env: { ONLY: "this" }, cwd: "/" });
  const parts: Buffer[] = [];
  child.stdout.on("data", (part: Buffer) => parts.push(part));
  await endOf(child);
  await outputEnd(child);
  expect(Buffer.concat(parts).toString()).toBe("ONLY=this\n");
  expect((await runChild("/bin/pwd", [], { cwd: "/usr" })).stdout).toBe("/usr\n");
});

test("a child is in its own session", async () => {
  const child = sh("read -r line");
  const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(" ");
  expect([fields[4], fields[5]]).toEqual([String(child.pid), String(child.pid)]);
  child.stdin.end();
  await endOf(child);
});

test.each([
  ["exit 0", 0],
  ["exit 7", 7],
  ...(
    [
      ["HUP", 1],
      ["INT", 2],
      ["QUIT", 3],
      ["ILL", 4],
      ["TRAP", 5],
      ["ABRT", 6],
      ["FPE", 8],
      ["KILL", 9],
      ["SEGV", 11],
      ["PIPE", 13],
      ["ALRM", 14],
      ["TERM", 15],
    ] as const
  ).map(([name, number]) => [`ulimit -c 0; kill -${name} $$`, 128 + number] as const),
])("the end of %j has the code %d", async (script, code) => {
  expect(await endOf(sh(script))).toEqual({ code, failure: null });
});

test("a program that is missing ends with 127 and the reason", async () => {
  const { code, failure } = await endOf(spawnChild("/no/such/program", [], { env }));
  expect(code).toBe(127);
  expect(failure).toContain("/no/such/program");
});

test("the end of a child does not wait for a process that holds its streams", async () => {
  const child = sh("sleep 600 & exit 4");
  expect((await endOf(child)).code).toBe(4);
  await outputEnd(child);
  expect([child.stdout.destroyed, child.stderr.destroyed]).toEqual([true, true]);
  killGroup(child.pid);
});

test("the end of output waits for what still comes", async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const parts: string[] = [];
  stdout.on("data", (part) => parts.push(String(part)));
  stderr.resume();
  const end = outputEnd({ stdout, stderr });
  stdout.write("late");
  stdout.end();
  stderr.end();
  await end;
  expect(parts).toEqual(["late"]);
});

test("output that was destroyed or read to its end before counts as ended", async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  stdout.destroy();
  stderr.end();
  stderr.resume();
  await new Promise((resolve) => stderr.once("end", resolve));
  await outputEnd({ stdout, stderr });
  expect(stderr.destroyed).toBe(true);
});

test("a short command gives its output, its errors and its code", async () => {
  expect(await runChild("/bin/sh", ["-c", "cat; echo ünd; echo err >&2; exit 5"])).toEqual({
    code: 5,
    failure: null,
    stdout: "ünd\n",
    stderr: "err\n",
  });
});

test("a short command has our environment", () =>
  withEnv({ MATRIX_TEST_VARIABLE: "here", MATRIX_TEST_UNSET: undefined }, async () => {
    expect(environment()["MATRIX_TEST_VARIABLE"]).toBe("here");
    expect("MATRIX_TEST_UNSET" in environment()).toBe(false);
    const { stdout } = await runChild("/bin/sh", ["-c", 'echo "$MATRIX_TEST_VARIABLE"']);
    expect(stdout).toBe("here\n");
  }));

test("a short command is killed with its children when its signal aborts", async () => {
  const controller = new AbortController();
  const running = runChild("/bin/sh", ["-c", "sleep 600 & sleep 600"], {
    signal: controller.signal,
  });
  controller.abort();
  expect((await running).code).toBe(137);
  const { code } = await runChild("/bin/sh", ["-c", "sleep 600"], { signal: AbortSignal.abort() });
  expect(code).toBe(137);
});

test("a group that is gone, or a child that never started, is not an error to kill", async () => {
  const child = sh("exit 0");
  await endOf(child);
  killGroup(child.pid);
  killGroup(undefined);
});

test("a stream whose reader is gone is not an error", async () => {
  const child = sh("exec <&-; exit 0");
  child.stdin.write("x".repeat(1_000_000));
  expect((await endOf(child)).code).toBe(0);
});

test("a short command that has ended leaves no timer, and no listener on its signal", async () => {
  const { signal } = new AbortController();
  const left = await timersLeftBy(() => runChild("/bin/sh", ["-c", "echo x"], { signal }));
  expect([left, listenersOn(signal)]).toEqual([[], 0]);
});
