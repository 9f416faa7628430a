// Sandboxes by Apptainer: what the program is asked for, how commands run and end, and what becomes
// of them when the container goes.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ApptainerSandboxes } from "../../../src/sandbox/apptainer/sandboxes.ts";
import type { Sandbox, SandboxSpec } from "../../../src/sandbox/contract.ts";
import { type ExecOptions, exec } from "../../../src/sandbox/exec.ts";
import { Lease, sessionsOf } from "../../../src/sandbox/lease.ts";
import { markedPids } from "../../../src/sandbox/marked-processes.ts";
import { sendKill } from "../../../src/sandbox/spawn.ts";
import { type ApptainerProgram, writeApptainer } from "../../parts/apptainer-program.ts";
import { asUser } from "../../parts/as-user.ts";
import { withEnv } from "../../parts/env.ts";
import { withFolder } from "../../parts/folder.ts";
import { keptLog } from "../../parts/kept-log.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { until } from "../../parts/until.ts";

interface Parts {
  readonly program: ApptainerProgram;
  readonly lease: Lease;
  readonly sandboxes: ApptainerSandboxes;
  readonly lines: readonly string[];
  readonly spec: SandboxSpec;
}

const within = (use: (parts: Parts) => Promise<void>) =>
  withFolder(async (folder) => {
    const program = await writeApptainer(join(folder, "program"));
    const image = join(folder, "x.sif");
    await writeFile(image, "");
    await using lease = await Lease.take({ run: "r", host: "h" }, { root: join(folder, "leases") });
    const { log, lines } = keptLog();
    const sandboxes = new ApptainerSandboxes(program.path, lease, log);
    // A plain user needs no mounts of our own, which a test may not make.
    await asUser(1000, () =>
      use({ program, lease, lines, sandboxes, spec: { ...SPEC, image, workdir: "/" } }),
    );
  });

const withSandbox = (use: (sandbox: Sandbox, parts: Parts) => Promise<void>) =>
  within(async (parts) => {
    await using sandbox = await parts.sandboxes.start(parts.spec);
    await use(sandbox, parts);
  });

const sh = async (sandbox: Sandbox, script: string, more: Partial<ExecOptions> = {}) => {
  const args = ["/bin/sh", "-c", script];
  const outcome = await exec(sandbox, { args, timeoutMs: 20_000, outputBytesMax: 9999, ...more });
  const [out, err] = [outcome.stdout, outcome.stderr].map((part) => Buffer.from(part).toString());
  return { ...outcome, out, err };
};

/** Folders of a lease. Its files are shared by sandboxes. */
async function foldersIn({ folder }: Lease): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Arguments up to the image. */
async function optionsOf(program: ApptainerProgram, image: string): Promise<readonly string[]> {
  const args = await program.arguments();
  return args.slice(0, args.indexOf(image));
}

test("a container is started with a configuration of ours, and its session is noted", () =>
  within(async ({ program, lease, sandboxes, spec }) => {
    await using sandbox = await sandboxes.start(spec);
    expect(sandboxes.engine).toBe("apptainer");
    expect(sandbox).toMatchObject({ engine: "apptainer", unenforced: [], bridge: "/matrix" });
    const options = await optionsOf(program, spec.image);
    expect(options.slice(0, 2)).toEqual(["--quiet", "--config"]);
    expect(dirname(options[2] ?? "")).toBe(lease.folder);
    expect(await sessionsOf(lease.folder)).toHaveLength(1);
  }));

test("variables of the caller that would add mounts or variables do not reach Apptainer", () =>
  withEnv(
    {
      ...{ APPTAINER_BIND: "/etc:/leak", SINGULARITY_BINDPATH: "/etc:/leak" },
      ...{ APPTAINERENV_LEAK: "1", SINGULARITYENV_LEAK: "1", APPTAINER_NV: "1", LEAK: "1" },
      ...{ APPTAINER_DOCKER_PASSWORD: "leak", http_proxy: "http://leak", LANG: "C.UTF-8" },
    },
    () =>
      withSandbox(async (_sandbox, { program }) => {
        const names = (await program.environment()).map((entry) => entry.split("=")[0] ?? "");
        expect(names).toContain("LANG");
        expect(names).toContain("PATH");
        const leaked = /^(?:APPTAINER|SINGULARITY|LEAK|http_proxy)/;
        expect(names.filter((name) => leaked.test(name))).toEqual([]);
      }),
  ));

test("a sandbox of a setuid installation says that the size of its places is not enforced", () =>
  within(async ({ program, sandboxes, spec }) => {
    const script = await readFile(program.path, "utf8");
    await writeFile(program.path, script.replace("SUID_INSTALL=0", "SUID_INSTALL=1"));
    await using sandbox = await sandboxes.start(spec);
    expect(sandbox.unenforced).toEqual(["disk"]);
    expect(await optionsOf(program, spec.image)).not.toContain("--config");
  }));

test("a command gives its output, its errors and its exit code, and leaves no pipes", () =>
  withSandbox(async (sandbox, { lease }) => {
    const stdin = Buffer.from("given");
    const script = 'cat; echo "$OWN"; echo err >&2; exit 7';
    expect(await sh(sandbox, script, { stdin, env: { OWN: "o,'p'" } })).toMatchObject({
      ending: "exit",
      exitCode: 7,
      out: "giveno,'p'\n",
      err: "err\n",
    });
    expect((await sh(sandbox, "pwd")).out).toBe("/\n");
    expect((await sh(sandbox, "pwd", { cwd: "/usr" })).out).toBe("/usr\n");
    const left = await readdir(join(lease.folder, sandbox.id));
    expect(left.filter((name) => /^[012]\./.test(name))).toEqual([]);
  }));

test("more commands than pipes are made ahead run side by side", () =>
  withSandbox(async (sandbox) => {
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    const outcomes = await Promise.all(numbers.map((n) => sh(sandbox, `echo ${n}; exit ${n}`)));
    expect(outcomes.map(({ out, exitCode }) => [out, exitCode])).toEqual(
      numbers.map((n) => [`${n}\n`, n]),
    );
  }));

test("a command has the variables of its recipe, and no mark that tells of its host", () =>
  within(async ({ sandboxes, spec }) => {
    await using sandbox = await sandboxes.start({ ...spec, env: { RECIPE: "a, b" } });
    expect((await sh(sandbox, 'echo "$RECIPE"; env | grep MATRIX_ | sort')).out).toBe(
      `a, b\nMATRIX_COMMAND=${sandbox.id}/0\nMATRIX_SANDBOX=${sandbox.id}\n`,
    );
  }));

test("a command past its time is killed with its children, and the sandbox goes on", () =>
  withSandbox(async (sandbox) => {
    const outcome = await sh(sandbox, "echo begun; sleep 600 & sleep 600", { timeoutMs: 60 });
    expect(outcome).toMatchObject({ ending: "timeout", exitCode: 137, out: "begun\n" });
    expect((await sh(sandbox, "echo next")).out).toBe("next\n");
  }));

test("a stopped sandbox fails its commands, refuses more, and leaves neither processes nor folder", () =>
  withSandbox(async (sandbox, { lease }) => {
    const running = await sandbox.open({ args: ["sleep", "600"] });
    running.stdout.resume();
    running.stderr.resume();
    await until(() => markedPids(`MATRIX_SANDBOX=${sandbox.id}`).length > 1, "the command runs");
    const lost = running.exited.catch((thrown) => thrown);
    await sandbox.stop();
    expect(await sandbox.ended).toBe("it was stopped");
    const error = {
      code: "sandbox_lost",
      message: expect.stringMatching(/ is gone: it was stopped/),
    };
    expect(await lost).toMatchObject({ code: "sandbox_lost" });
    await expect(sandbox.open({ args: ["true"] })).rejects.toMatchObject(error);
    expect(existsSync(join(lease.folder, sandbox.id))).toBe(false);
    await sandbox.stop();
  }));

test("a container that ends fails its commands with its exit code and its last output", () =>
  withSandbox(async (sandbox) => {
    const running = await sandbox.open({
      args: ["/bin/sh", "-c", "kill -KILL $(ps -o ppid= -p $PPID)"],
    });
    running.stdout.resume();
    running.stderr.resume();
    const holders = markedPids(`MATRIX_SANDBOX=${sandbox.id}`);
    for (const pid of holders) sendKill(pid);
    expect(await sandbox.ended).toBe("its container ended with exit 137");
    await expect(running.exited).rejects.toMatchObject({
      code: "sandbox_lost",
      message: `sandbox ${sandbox.id} is gone: its container ended with exit 137`,
    });
  }));

test("a missing SIF fails with sandbox_invalid and says what makes one", () =>
  within(async ({ program, sandboxes, spec }) => {
    await expect(sandboxes.start({ ...spec, image: "/no/such.sif" })).rejects.toMatchObject({
      code: "sandbox_invalid",
      message: "there is no SIF /no/such.sif (sandboxes.case.image)",
      hint: "`matrix sandbox build` makes one",
    });
    expect(await program.starts()).toBe(0);
  }));

test("a container that does not start is unavailable with its last output, and leaves no folder", () =>
  within(async ({ program, lease, sandboxes, spec }) => {
    await program.fail("FATAL: no namespace\n");
    await expect(sandboxes.start(spec)).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message:
        "Apptainer cannot start sandbox case: its container ended with exit 255; its last output: FATAL: no namespace",
      hint: "run `matrix sandbox check` to see what this machine can do",
    });
    expect(await foldersIn(lease)).toEqual(["bridge"]);
    expect(await program.starts()).toBe(1);
  }));

test("a program that is missing is unavailable", () =>
  within(async ({ lease, spec }) => {
    const sandboxes = new ApptainerSandboxes("/no/such/program", lease, keptLog().log);
    await expect(sandboxes.start(spec)).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message: expect.stringContaining("/no/such/program"),
    });
  }));

test("where control groups fail, the sandbox starts without their limits, with one warning", () =>
  within(async ({ program, sandboxes, spec, lines }) => {
    await program.fail("while applying CGroups config\n");
    await using sandbox = await sandboxes.start(spec);
    expect(sandbox.unenforced).toEqual(["memory", "cpus", "pids"]);
    const options = await optionsOf(program, spec.image);
    for (const option of ["--memory", "--cpus", "--pids-limit"])
      expect(options).not.toContain(option);
    await using next = await sandboxes.start(spec);
    expect(next.unenforced).toHaveLength(3);
    expect(lines).toEqual([
      'warning Apptainer cannot limit memory, cpus, pids of sandboxes here {"why":"run `matrix sandbox check` for the reason"}',
    ]);
    expect(await program.starts()).toBe(3);
    await program.fail("cgroup again\n");
    await expect(sandboxes.start(spec)).rejects.toMatchObject({ code: "sandbox_unavailable" });
  }));

test("a start that is given up ends with its caller's reason, and leaves nothing", () =>
  within(async ({ lease, sandboxes, spec }) => {
    const signal = AbortSignal.abort(new Error("given up"));
    await expect(sandboxes.start(spec, signal)).rejects.toThrow("given up");
    expect(await foldersIn(lease)).toEqual(["bridge"]);
  }));
