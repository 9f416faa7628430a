// Sandboxes of plain processes.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxSpec } from "../../src/sandbox/contract.ts";
import { exec } from "../../src/sandbox/exec.ts";
import { Lease } from "../../src/sandbox/lease.ts";
import { markedPids } from "../../src/sandbox/marked-processes.ts";
import { ProcessSandboxes } from "../../src/sandbox/process.ts";
import { withEnv } from "../parts/env.ts";
import { SPEC } from "../parts/sandbox-spec.ts";
import { until } from "../parts/until.ts";

let root: string;
let lease: Lease;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "matrix-process-"));
  lease = await Lease.take({ run: "r", host: "h" }, { root });
});
afterAll(async () => {
  await lease.release();
  await rm(root, { recursive: true, force: true });
});

async function within(
  use: (sandbox: Sandbox) => Promise<void>,
  more: Partial<SandboxSpec> = {},
): Promise<void> {
  await using sandbox = await new ProcessSandboxes(lease).start({ ...SPEC, ...more });
  await use(sandbox);
}
const sh = async (
  sandbox: Sandbox,
  script: string,
  more: { cwd?: string; env?: Record<string, string> } = {},
) => {
  const args = ["/bin/sh", "-c", script];
  const outcome = await exec(sandbox, { args, timeoutMs: 20_000, outputBytesMax: 9999, ...more });
  return { ...outcome, out: Buffer.from(outcome.stdout).toString("utf8") };
};

test("the engine says that it enforces no limit, and where its bridge is", () =>
  within(async (sandbox) => {
    expect(new ProcessSandboxes(lease).engine).toBe("process");
    expect(sandbox).toMatchObject({
      engine: "process",
      unenforced: ["memory", "cpus", "pids", "disk", "network", "read_only"],
      bridge: lease.bridge,
      id: expect.stringMatching(/^matrix-[0-9a-f-]{36}$/),
    });
  }));

test("a command starts in the sandbox's own folder, which is its home", () =>
  within(async (sandbox) => {
    const folder = join(lease.folder, sandbox.id);
    expect((await sh(sandbox, 'pwd; echo "$HOME"')).out).toBe(`${folder}\n${folder}\n`);
    expect((await sh(sandbox, "pwd", { cwd: "/usr" })).out).toBe("/usr\n");
    expect((await sh(sandbox, "pwd", { cwd: "/no/such" })).exitCode).toBe(126);
  }));

test("a command has the path, the recipe's variables and its own, the marks, and nothing else of ours", () =>
  withEnv({ SECRET_OF_HOST: "s", LANG: undefined }, () =>
    within(
      async (sandbox) => {
        const { out } = await sh(sandbox, "env", { env: { OWN: "o", BOTH: "own" } });
        const env = new Map(
          out
            .trimEnd()
            .split("\n")
            .map((line) => line.split("=", 2) as [string, string]),
        );
        expect(env.get("PATH")).toBe(process.env["PATH"] as string);
        expect(env.get("LANG")).toBe("C.UTF-8");
        expect([env.get("OWN"), env.get("RECIPE"), env.get("BOTH")]).toEqual(["o", "r", "own"]);
        expect(env.get("MATRIX_SANDBOX")).toBe(sandbox.id);
        expect(env.get("MATRIX_SANDBOX_ENGINE")).toBe("process");
        expect(env.get("MATRIX_SANDBOX_IMAGE")).toBe("");
        expect(env.get("MATRIX_COMMAND")).toMatch(/^[0-9a-f-]{36}$/);
        expect(env.has("SECRET_OF_HOST")).toBe(false);
      },
      { env: { RECIPE: "r", BOTH: "recipe" } },
    ),
  ));

test("without a path of ours, a command has the usual one", () =>
  withEnv({ PATH: undefined, LANG: "xx" }, () =>
    within(async (sandbox) => {
      expect((await sh(sandbox, 'echo "$PATH $LANG"')).out).toBe(
        "/usr/local/bin:/usr/bin:/bin xx\n",
      );
    }),
  ));

test("each command has its own mark, so that a kill ends it alone", () =>
  within(async (sandbox) => {
    const [one, other] = await Promise.all(
      [1, 2].map(() => sandbox.open({ args: ["/bin/sh", "-c", "sleep 600 & sleep 600"] })),
    );
    for (const running of [one, other]) {
      running?.stdout.resume();
      running?.stderr.resume();
    }
    await one?.kill();
    expect(await one?.exited).toBe(137);
    expect(markedPids(`MATRIX_SANDBOX=${sandbox.id}`).length).toBeGreaterThan(0);
    await other?.kill();
    expect(await other?.exited).toBe(137);
  }));

test("a sandbox that is stopped while its commands start leaves none of them", async () => {
  const sandbox = await new ProcessSandboxes(lease).start(SPEC);
  const commands = await Promise.all(
    Array.from({ length: 8 }, () => sandbox.open({ args: ["sleep", "600"] })),
  );
  await sandbox.stop();
  for (const { exited } of commands)
    await expect(exited).rejects.toMatchObject({ code: "sandbox_lost" });
  expect(markedPids(`MATRIX_SANDBOX=${sandbox.id}`)).toEqual([]);
});

test("a stopped sandbox fails its commands, refuses more, and leaves neither processes nor folder", async () => {
  const sandbox = await new ProcessSandboxes(lease).start(SPEC);
  const running = await sandbox.open({ args: ["sleep", "600"] });
  await until(() => markedPids(`MATRIX_SANDBOX=${sandbox.id}`).length > 0, "the command runs");
  await sandbox.stop();
  const message = `sandbox ${sandbox.id} was stopped`;
  await expect(running.exited).rejects.toMatchObject({ code: "sandbox_lost", message });
  await expect(sandbox.open({ args: ["true"] })).rejects.toMatchObject({
    code: "sandbox_lost",
    message,
  });
  expect(await sandbox.ended).toBe("it was stopped");
  expect(existsSync(join(lease.folder, sandbox.id))).toBe(false);
  expect(markedPids(`MATRIX_SANDBOX=${sandbox.id}`)).toEqual([]);
  await sandbox.stop();
});
