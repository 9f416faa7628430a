// Sandboxes by Docker: what the engine is asked for, how commands run and end, and what becomes of
// them when the container goes.

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { machineId } from "../../../src/process.ts";
import { Channel } from "../../../src/sandbox/channel.ts";
import type { Sandbox, SandboxSpec } from "../../../src/sandbox/contract.ts";
import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { type ExecOptions, exec } from "../../../src/sandbox/exec.ts";
import { HOLDER } from "../../../src/sandbox/holder.ts";
import { Lease } from "../../../src/sandbox/lease.ts";
import { asUser } from "../../parts/as-user.ts";
import { DockerEngine } from "../../parts/docker-engine.ts";
import { withEnv } from "../../parts/env.ts";
import { withFolder } from "../../parts/folder.ts";
import { keptLog } from "../../parts/kept-log.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { until } from "../../parts/until.ts";

interface Parts {
  readonly engine: DockerEngine;
  readonly lease: Lease;
  readonly sandboxes: DockerSandboxes;
  readonly lines: readonly string[];
}

const within = (use: (parts: Parts) => Promise<void>) =>
  withFolder((root) =>
    DockerEngine.within(async (engine) => {
      engine.images.set("team/x:1", "sha256:abc");
      await using lease = await Lease.take({ run: "r", host: "h" }, { root });
      const { log, lines } = keptLog();
      await use({ engine, lease, lines, sandboxes: await DockerSandboxes.connect(lease, log) });
    }),
  );

/** A started sandbox whose commands begin in the root folder. */
const withSandbox = (use: (sandbox: Sandbox, parts: Parts) => Promise<void>) =>
  within(async (parts) => {
    await using sandbox = await parts.sandboxes.start({ ...SPEC, image: "x", workdir: "/" });
    await use(sandbox, parts);
  });

const sh = async (sandbox: Sandbox, script: string, more: Partial<ExecOptions> = {}) => {
  const args = ["/bin/sh", "-c", script];
  const outcome = await exec(sandbox, { args, timeoutMs: 20_000, outputBytesMax: 9999, ...more });
  const [out, err] = [outcome.stdout, outcome.stderr].map((part) => Buffer.from(part).toString());
  return { ...outcome, out, err };
};
/** Opens a command and reads its output, as every caller must. */
const open = async (sandbox: Sandbox, ...args: readonly string[]) => {
  const running = await sandbox.open({ args });
  running.stdout.resume();
  running.stderr.resume();
  return running;
};
const configOf = (engine: DockerEngine) =>
  JSON.parse(engine.asked("POST /containers/create")[0]?.body.toString() ?? "null");

const FULL: SandboxSpec = {
  name: "box",
  image: "team/x:1",
  memoryBytes: 1001,
  diskBytes: null,
  cpus: 1.5,
  pids: 77,
  network: "host",
  readOnly: true,
  user: "caller",
  mounts: [{ source: "/data", target: "/in", writable: true }],
  env: { A: "b=c" },
  workdir: "/work",
};

test("a container is created with the limits, mounts, labels and holder of its sandbox", () =>
  within(async ({ engine, lease, sandboxes }) => {
    await using sandbox = await sandboxes.start(FULL);
    expect(sandboxes.engine).toBe("docker");
    expect(sandbox).toMatchObject({ engine: "docker", unenforced: [], bridge: "/matrix" });
    expect(sandbox.id).toMatch(/^matrix-[0-9a-f-]{36}$/);
    expect(engine.asked("POST /containers/create")[0]?.query.get("name")).toBe(sandbox.id);
    const { Env, ...config } = configOf(engine);
    const tmpfs = "rw,exec,nosuid,nodev,mode=1777,size=250";
    expect(config).toMatchObject({
      Image: "team/x:1",
      Entrypoint: ["/bin/sh"],
      Cmd: ["-c", HOLDER, "matrix-holder", "/matrix/lease", "-"],
      User: `${process.getuid?.()}:${process.getgid?.()}`,
      WorkingDir: "/work",
      Hostname: "sandbox",
      Labels: {
        "matrix.sandbox": "box",
        "matrix.run": "r",
        "matrix.host": "h",
        "matrix.lease": lease.folder,
        "matrix.machine": machineId(),
      },
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      HostConfig: {
        AutoRemove: true,
        Memory: 1001,
        MemorySwap: 1001,
        NanoCpus: 1_500_000_000,
        PidsLimit: 77,
        ShmSize: 125,
        NetworkMode: "host",
        ReadonlyRootfs: true,
        Tmpfs: { "/tmp": tmpfs, "/work": tmpfs },
        Binds: [],
        Mounts: [
          { Type: "bind", Source: lease.bridge, Target: "/matrix", ReadOnly: true },
          { Type: "bind", Source: "/data", Target: "/in", ReadOnly: false },
        ],
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges"],
        LogConfig: { Type: "none", Config: {} },
      },
    });
    expect(config.HostConfig.CapAdd).toBeUndefined();
    expect(Env).toContain("A=b=c");
    expect(Env).toContain("HOME=/tmp");
    expect(Env).toContain(`MATRIX_SANDBOX=${sandbox.id}`);
    expect(Env).toContain("MATRIX_SANDBOX_ENGINE=docker");
    expect(Env).toContain("MATRIX_SANDBOX_IMAGE=team/x:1");
    const routes = engine.requests.map(({ method, path }) => `${method} ${path}`);
    expect(routes.slice(0, 5)).toEqual([
      "GET /version",
      "GET /info",
      "POST /containers/create",
      `POST /containers/${sandbox.id}/attach`,
      `POST /containers/${sandbox.id}/start`,
    ]);
  }));

const PODMAN = { Version: "4.3.1", Components: [{ Name: "Podman Engine" }, { Name: "OCI" }] };
const ROOTLESS = { SecurityOptions: ["name=seccomp", "name=rootless"] };
const POWERS = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"];
test.each([
  ["caller", {}, {}, { User: "1000:1000" }],
  ["root", {}, {}, { User: "0:0", CapAdd: POWERS }],
  ["caller", {}, ROOTLESS, { User: "0:0" }],
  ["caller", PODMAN, {}, { User: "1000:1000" }],
  ["caller", PODMAN, ROOTLESS, { User: "1000:1000", UsernsMode: "keep-id" }],
  ["root", PODMAN, ROOTLESS, { User: "0:0", CapAdd: POWERS }],
] as const)("programs of the %s run under %j and %j as %j", (user, version, info, expected) =>
  within(async ({ engine, sandboxes }) => {
    engine.replies.set("GET /version", { status: 200, json: version });
    engine.replies.set("GET /info", { status: 200, json: info });
    await asUser(1000, async () => {
      await using _sandbox = await sandboxes.start({ ...FULL, user });
      await using _other = await sandboxes.start({ ...FULL, user });
    });
    const { User, HostConfig } = configOf(engine);
    const { CapDrop, CapAdd, UsernsMode, SecurityOpt } = HostConfig;
    expect(JSON.parse(JSON.stringify({ User, CapAdd, UsernsMode }))).toEqual({ ...expected });
    expect([CapDrop, SecurityOpt]).toEqual([["ALL"], ["no-new-privileges"]]);
    expect(engine.asked("GET /info")).toHaveLength(1);
  }),
);

test("Podman gets paths with commas as binds, its own temporary folders closed, and our hosts", () =>
  within(async ({ engine, lease, sandboxes }) => {
    engine.replies.set("GET /version", { status: 200, json: PODMAN });
    const mounts = [
      { source: "/a, b", target: "/in", writable: true },
      { source: "/c", target: "/d,e", writable: false },
      { source: "/f", target: "/g", writable: false },
    ];
    await using _sandbox = await sandboxes.start({ ...FULL, network: "none", mounts });
    const { Binds, Mounts, Tmpfs } = configOf(engine).HostConfig;
    expect(Binds).toEqual(["/a, b:/in", "/c:/d,e:ro"]);
    expect(Mounts).toEqual([
      { Type: "bind", Source: lease.bridge, Target: "/matrix", ReadOnly: true },
      { Type: "bind", Source: lease.hosts, Target: "/etc/hosts", ReadOnly: true },
      { Type: "bind", Source: "/f", Target: "/g", ReadOnly: true },
    ]);
    expect(Tmpfs).toMatchObject({ "/run": "ro,size=64k", "/var/tmp": "ro,size=64k" });
    expect(await readFile(lease.hosts, "utf8")).toBe(
      "127.0.0.1 localhost sandbox\n::1 localhost\n",
    );
  }));

test("Podman with a writable root and the network of the machine keeps its folders and names", () =>
  within(async ({ engine, sandboxes }) => {
    engine.replies.set("GET /version", { status: 200, json: PODMAN });
    await using _sandbox = await sandboxes.start({ ...FULL, readOnly: false });
    const { Mounts, Tmpfs } = configOf(engine).HostConfig;
    expect(Object.keys(Tmpfs)).toEqual(["/work"]);
    expect(Mounts.map(({ Target }: { Target: string }) => Target)).toEqual(["/matrix", "/in"]);
  }));

test.each([
  ["the variable LEAK", ["PATH=/bin", "LEAK=1"], "1 2 0:4 / / rw - ext4 x rw\n"],
  ["a mount at /leaked (from /home/me)", [], "1 2 0:4 /home/me /leaked rw - ext4 x rw\n"],
])(
  "Podman that puts %s into a sandbox is refused, and the sandbox is removed",
  (what, env, mounts) =>
    within(async ({ engine, lease, sandboxes }) => {
      engine.replies.set("GET /version", { status: 200, json: PODMAN });
      engine.addedEnv = env;
      engine.mountinfo = join(lease.folder, "mounts");
      await writeFile(engine.mountinfo, mounts);
      await expect(sandboxes.start(FULL)).rejects.toMatchObject({
        code: "sandbox_invalid",
        message: `Podman puts ${what} into sandbox ${FULL.name}, and the recipe does not`,
      });
      expect(engine.containers.size).toBe(0);
    }),
);

test("an engine that tells nothing of itself at first is asked again", () =>
  within(async ({ engine, sandboxes }) => {
    engine.replies.set("GET /info", { status: 500, json: { message: "not yet" } });
    await expect(sandboxes.start(FULL)).rejects.toMatchObject({ code: "sandbox_unavailable" });
    engine.replies.clear();
    await using sandbox = await sandboxes.start(FULL);
    expect(engine.containers.has(sandbox.id)).toBe(true);
  }));

test.each([
  [{ diskBytes: 5000 }, 5000, 1001 + 10_000, 125],
  [{ diskBytes: 5000, workdir: "/usr" }, 5000, 1001 + 5000, 125],
  [{ memoryBytes: 8 * 2 ** 30 }, 2 * 2 ** 30, 8 * 2 ** 30, 64 * 2 ** 20],
])("with %j each place has %d bytes, the container %d, and shared memory %d", (more, ...bytes) =>
  within(async ({ engine, sandboxes }) => {
    await using _sandbox = await sandboxes.start({ ...FULL, ...more });
    const { Memory, MemorySwap, Tmpfs, ShmSize } = configOf(engine).HostConfig;
    const place = Number(/size=(\d+)$/.exec(Tmpfs["/tmp"])?.[1]);
    expect([place, Memory, ShmSize]).toEqual(bytes);
    expect(MemorySwap).toBe(Memory);
  }),
);

test.each([
  [{ user: "root", readOnly: false }, "HOME=/root"],
  [{ user: "root", readOnly: true }, "HOME=/tmp"],
  [{ user: "caller", readOnly: false }, "HOME=/tmp"],
  [{ env: { HOME: "/own" } }, "HOME=/own"],
] as const)("with %j the home folder is %s", (more, home) =>
  within(async ({ engine, sandboxes }) => {
    await using _sandbox = await sandboxes.start({ ...FULL, ...more });
    const { Env } = configOf(engine) as { Env: string[] };
    expect(Env.filter((entry) => entry.startsWith("HOME="))).toEqual([home]);
  }),
);

test.each([
  [{ readOnly: false, workdir: "/work" }, ["/work"]],
  [{ readOnly: false, workdir: "/usr" }, []],
  [{ readOnly: true, workdir: "/usr" }, ["/tmp"]],
])("with %j the folders in memory are %j", (more, folders) =>
  within(async ({ engine, sandboxes }) => {
    await using _sandbox = await sandboxes.start({ ...FULL, ...more });
    const { HostConfig } = configOf(engine);
    expect(Object.keys(HostConfig.Tmpfs)).toEqual(folders);
    expect(HostConfig.ReadonlyRootfs).toBe(more.readOnly);
  }),
);

test("a command gives its output, its errors and its exit code", () =>
  withSandbox(async (sandbox) => {
    const stdin = Buffer.from("given");
    const script = 'cat; echo "$OWN"; echo err >&2; exit 7';
    const outcome = await sh(sandbox, script, { stdin, env: { OWN: "o" } });
    expect(outcome).toMatchObject({
      ending: "exit",
      exitCode: 7,
      out: "giveno\n",
      err: "err\n",
    });
    expect((await sh(sandbox, "pwd")).out).toBe("/\n");
    expect((await sh(sandbox, "pwd", { cwd: "/usr" })).out).toBe("/usr\n");
  }));

test("a command sees nothing that differs from one sandbox to the next", () =>
  withSandbox(async (one, { sandboxes }) => {
    await using other = await sandboxes.start({ ...SPEC, image: "x", workdir: "/" });
    expect(other.id).not.toBe(one.id);
    const seen = async (sandbox: Sandbox) => [
      (await sh(sandbox, "env | grep MATRIX | sort")).out,
      (await sh(sandbox, "env | grep COMMAND")).out,
    ];
    expect(await seen(one)).toEqual(await seen(other));
    expect(await seen(one)).toEqual(["MATRIX_COMMAND=2.\n", "MATRIX_COMMAND=3.\n"]);
    expect(await seen(one)).not.toEqual(await seen(other).then(([first]) => [first, ""]));
  }));

test("a missing program is exit 127, and a missing folder is exit 126", () =>
  withSandbox(async (sandbox) => {
    const options = { timeoutMs: 20_000, outputBytesMax: 999 };
    expect(await exec(sandbox, { args: ["no-such-program"], ...options })).toMatchObject({
      exitCode: 127,
    });
    expect((await sh(sandbox, "true", { cwd: "/no/such" })).exitCode).toBe(126);
  }));

test("a command past its time is killed by its mark, and the sandbox goes on", () =>
  withSandbox(async (sandbox) => {
    const outcome = await sh(sandbox, "echo begun; sleep 600 & sleep 600", { timeoutMs: 60 });
    expect(outcome).toMatchObject({ ending: "timeout", exitCode: 137, out: "begun\n" });
    expect((await sh(sandbox, "echo next")).out).toBe("next\n");
  }));

test("a command that was killed from inside ends with 137 while its container lives", () =>
  withSandbox(async (sandbox) => {
    expect(await sh(sandbox, "kill -KILL $$")).toMatchObject({ ending: "exit", exitCode: 137 });
  }));

test("a command that does not read its stdin ends", () =>
  withSandbox(async (sandbox) => {
    const stdin = Buffer.alloc(300_000, "x");
    expect(await sh(sandbox, "exec <&-; true", { stdin })).toMatchObject({ exitCode: 0 });
  }));

test("when the container ends, its commands and later ones are lost with the reason", () =>
  withSandbox(async (sandbox, { engine }) => {
    const running = await open(sandbox, "sleep", "600");
    engine.end(sandbox.id);
    const lost = {
      code: "sandbox_lost",
      message: `sandbox ${sandbox.id} is gone: its container ended`,
    };
    expect(await sandbox.ended).toBe("its container ended");
    await expect(running.exited).rejects.toMatchObject(lost);
    await expect(sandbox.open({ args: ["true"] })).rejects.toMatchObject(lost);
  }));

test("a stopped sandbox is removed by force, and its commands are lost", () =>
  withSandbox(async (sandbox, { engine }) => {
    const running = await open(sandbox, "sleep", "600");
    await sandbox.stop();
    expect(await sandbox.ended).toBe("it was stopped");
    await expect(running.exited).rejects.toThrow(`sandbox ${sandbox.id} is gone: it was stopped`);
    const [removal] = engine.asked(`DELETE /containers/${sandbox.id}`);
    expect(removal?.query.get("force")).toBe("true");
    expect(engine.containers.size).toBe(0);
    await sandbox.stop();
  }));

test("a command that the engine refuses to start is lost with the engine's words", () =>
  withSandbox(async (sandbox, { engine }) => {
    engine.replies.set(`POST /containers/${sandbox.id}/exec`, {
      status: 500,
      json: { message: "broken" },
    });
    await expect(sandbox.open({ args: ["true"] })).rejects.toMatchObject({
      code: "sandbox_lost",
      message: expect.stringMatching(
        new RegExp(`^sandbox ${sandbox.id} cannot run a command: .*broken`),
      ),
      cause: expect.anything(),
    });
  }));

const OCI =
  "OCI runtime exec failed: exec failed: unable to start container process: error executing setns process: exit status 1";
test.each([
  [`${OCI}\r\n`, 126, OCI],
  ["", 137, "its engine gives no reason"],
  ["x".repeat(5000), 128, "x".repeat(2000)],
])(
  "a command that never began is lost, and the text %.20j of its engine is the reason",
  (text, exitCode, why) =>
    withSandbox(async (sandbox, { engine }) => {
      engine.refusal = { text, exitCode };
      const running = await sandbox.open({ args: ["true"] });
      let out = "";
      running.stdout.on("data", (part) => {
        out += part;
      });
      running.stderr.resume();
      running.stdin.end();
      const lost = await running.exited.catch((thrown) => thrown);
      expect(lost).toMatchObject({
        code: "sandbox_lost",
        message: `sandbox ${sandbox.id} starts no more commands: ${why}`,
      });
      expect(out).toBe("");
    }),
);

test("an agent that never began loses its sandbox, whatever its engine wrote", () =>
  withSandbox(async (sandbox, { engine }) => {
    engine.refusal = { text: `${OCI}\r\n`, exitCode: 126 };
    const running = await sandbox.open({ args: ["true"] });
    const channel = new Channel(running, { name: "box", lineBytesMax: 999, onStderr: () => {} });
    const reply = channel.request({ op: "x" }, { timeoutMs: 20_000 });
    await expect(reply).rejects.toMatchObject({
      code: "sandbox_lost",
      message: `box is gone: sandbox ${sandbox.id} starts no more commands: ${OCI}`,
    });
  }));

test("a command that was killed before it began ends with 137, and the sandbox goes on", () =>
  withSandbox(async (sandbox, { engine }) => {
    engine.refusal = { text: "", exitCode: 137 };
    const running = await open(sandbox, "true");
    await running.kill();
    expect(await running.exited).toBe(137);
    engine.refusal = null;
    expect((await sh(sandbox, "echo next")).out).toBe("next\n");
  }));

test("a command began when it printed the first line, though its engine reports no process", () =>
  withSandbox(async (sandbox, { engine }) => {
    engine.inspect = (exitCode) => ({ Running: exitCode === null, ExitCode: exitCode, Pid: 0 });
    expect(await sh(sandbox, "echo out; exit 3")).toMatchObject({ out: "out\n", exitCode: 3 });
  }));

test("the output of a command is exact to the byte", () =>
  withSandbox(async (sandbox) => {
    const stdin = Buffer.from(Array.from({ length: 2048 }, (_, n) => n % 256));
    const { stdout } = await sh(sandbox, "cat", { stdin });
    expect(Buffer.from(stdout).equals(stdin)).toBe(true);
    expect((await sh(sandbox, "true")).stdout).toHaveLength(0);
  }));

test("a command that died with its container is lost, though the engine reports an exit of 137", () =>
  withSandbox(async (sandbox, { engine }) => {
    const running = await open(sandbox, "/bin/sh", "-c", "kill -KILL $$");
    engine.replies.set(`POST /containers/${sandbox.id}/exec`, {
      status: 409,
      json: { message: "not running" },
    });
    await expect(running.exited).rejects.toMatchObject({ code: "sandbox_lost" });
  }));

test("a command of a removed container ends although the engine reports it as running for ever", () =>
  withSandbox(async (sandbox, { engine }) => {
    engine.inspect = () => ({ Running: true, ExitCode: null, Pid: 1 });
    const running = await open(sandbox, "true");
    await until(() => engine.asked("GET /exec/").length > 1, "the end is asked for");
    engine.end(sandbox.id);
    await expect(running.exited).rejects.toMatchObject({ code: "sandbox_lost" });
  }));

test.each([
  [
    404,
    "no such image",
    {
      code: "sandbox_invalid",
      message: "Docker has no image team/x:1 (sandboxes.box.image)",
      hint: "run `docker pull team/x:1`, or `matrix sandbox build` for a folder with a Dockerfile",
    },
  ],
  [400, "invalid reference format", { code: "sandbox_invalid" }],
  [
    500,
    "no space left",
    {
      code: "sandbox_unavailable",
      message: expect.stringMatching(/^Docker cannot start sandbox box: .*no space left/),
      hint: "run `matrix sandbox check` to see what this machine can do",
    },
  ],
])("a creation that the engine answers with %d fails as it should", (status, message, error) =>
  within(async ({ engine, sandboxes }) => {
    engine.replies.set("POST /containers/create", { status, json: { message } });
    await expect(sandboxes.start(FULL)).rejects.toMatchObject(error);
    expect(engine.asked("DELETE")).toEqual([]);
  }),
);

test.each([
  ["attach", 500, "cgroup"],
  ["start", 500, "cgroup"],
  // Another process removed the container in between. Its image is there, so that a new start
  // helps.
  ["attach", 404, "no such container"],
  ["start", 404, "no such container"],
])(
  "a container whose %s is answered with %d is removed, and may be started again",
  (step, status, message) =>
    within(async ({ engine, sandboxes }) => {
      engine.onCreate = (name) =>
        engine.replies.set(`POST /containers/${name}/${step}`, { status, json: { message } });
      await expect(sandboxes.start(FULL)).rejects.toMatchObject({
        code: "sandbox_unavailable",
        message: expect.stringMatching(
          new RegExp(`^Docker cannot start sandbox box: .*${message}`),
        ),
      });
      const removals = engine.asked("DELETE /containers/");
      expect(removals.map(({ query }) => query.get("force"))).toEqual(["true"]);
      expect(engine.containers.size).toBe(0);
    }),
);

test("a start that is given up creates nothing, or removes what it created", () =>
  within(async ({ engine, sandboxes }) => {
    const before = AbortSignal.abort(new Error("before"));
    await expect(sandboxes.start(FULL, before)).rejects.toThrow("before");
    expect(engine.requests).toEqual([]);
    const controller = new AbortController();
    engine.onCreate = () => controller.abort(new Error("given up"));
    await expect(sandboxes.start(FULL, controller.signal)).rejects.toThrow("given up");
    expect(engine.containers.size).toBe(0);
  }));

test("an engine on another machine starts no sandbox, and says what to do", () =>
  withFolder((root) =>
    withEnv({ DOCKER_HOST: "tcp://far.example:2375" }, async () => {
      await using lease = await Lease.take({ run: "r", host: "h" }, { root });
      const sandboxes = await DockerSandboxes.connect(lease, keptLog().log);
      await expect(sandboxes.start(FULL)).rejects.toMatchObject({
        code: "sandbox_invalid",
        message: "the Docker engine runs on another machine, where our files cannot be mounted",
        hint: "start `matrix agent` on that machine, or use a local engine",
      });
    }),
  ));
