// The sandboxes of a host: the engine of each, the pools, and what a stop leaves behind.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SandboxConfig } from "../../src/recipe/schema/sandbox-schema.ts";
import { exec } from "../../src/sandbox/exec.ts";
import type { Caller, Place } from "../../src/sandbox/pool.ts";
import { chooseEngine, SandboxSite, type SiteOptions, unisolated } from "../../src/sandbox/site.ts";
import { writeApptainer } from "../parts/apptainer-program.ts";
import { DockerEngine } from "../parts/docker-engine.ts";
import { withEnv } from "../parts/env.ts";
import { withFolder } from "../parts/folder.ts";
import { keptLog } from "../parts/kept-log.ts";
import { until } from "../parts/until.ts";

const config = (more: Partial<SandboxConfig> = {}): SandboxConfig => ({
  engine: "process",
  serves: "many",
  stateful: true,
  count: 1,
  warm: 0,
  memory: 2 ** 28,
  cpus: 1,
  pids: 64,
  timeout: 60_000,
  network: "none",
  read_only: true,
  user: "caller",
  mounts: [],
  env: {},
  workdir: "/work",
  ...more,
});

const none = { DOCKER_HOST: "unix:///no/such.sock", PATH: "/no/such" };

/** A site whose leases lie in a folder of the test's own. */
const withSite = (
  configs: Readonly<Record<string, SandboxConfig>>,
  use: (
    site: SandboxSite,
    lines: readonly string[],
    leases: () => Promise<readonly string[]>,
  ) => Promise<void>,
  more: Partial<SiteOptions> = {},
): Promise<void> =>
  withFolder((folder) =>
    withEnv({ TMPDIR: folder }, async () => {
      const { log, lines } = keptLog();
      const root = join(folder, `matrix-sandboxes-${process.getuid?.() ?? 0}`);
      await using site = new SandboxSite({
        run: "r",
        host: "h",
        log,
        taskMs: 60_000,
        configs,
        filesOf: async () => [],
        watched: new Set(),
        ...more,
      });
      await use(site, lines, () => readdir(root).catch(() => []));
    }),
  );

const caller = (rowId: string): Caller => ({
  rowId,
  trial: 0,
  attempt: 1,
  hop: 0,
  tries: 1,
  continues: false,
});
const signal = new AbortController().signal;
const outputOf =
  (script: string) =>
  async ({ sandbox }: Place) => {
    const args = ["/bin/sh", "-c", script];
    const { stdout } = await exec(sandbox, { args, timeoutMs: 20_000, outputBytesMax: 9999 });
    return Buffer.from(stdout).toString();
  };

test("plain processes are chosen by name alone, and the log says what they give up", async () => {
  expect(await chooseEngine("process", "x")).toEqual({
    engine: "process",
    says: `plain processes: ${unisolated("x")}`,
  });
  expect(unisolated("")).toBe("nothing is isolated, nothing but time is limited");
  expect(unisolated("x")).toBe(
    "nothing is isolated, nothing but time is limited, and its image x is not used",
  );
});

test("a machine without an engine says of each why it cannot be used", () =>
  withEnv(none, async () => {
    await expect(chooseEngine("auto", "x")).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message: expect.stringMatching(
        /^no Docker engine answers at .*; no apptainer or singularity in PATH$/,
      ),
      hint: "run `matrix sandbox check` to see what this machine can do",
    });
    await expect(chooseEngine("auto", "x.sif")).rejects.toMatchObject({
      message: "no apptainer or singularity in PATH",
    });
    await expect(chooseEngine("docker", "x.sif")).rejects.toMatchObject({
      message: expect.stringMatching(/^no Docker engine answers at [^;]*$/),
    });
    await expect(chooseEngine("apptainer", "x")).rejects.toMatchObject({
      message: "no apptainer or singularity in PATH",
    });
  }));

test("Docker is chosen before Apptainer, and Apptainer for a SIF or by its name", () =>
  withFolder(async (folder) => {
    const { path } = await writeApptainer(folder);
    await DockerEngine.within(() =>
      withEnv({ PATH: `${join(path, "..")}:${process.env["PATH"]}` }, async () => {
        const chosen = async (...wanted: Parameters<typeof chooseEngine>) =>
          (await chooseEngine(...wanted)).engine;
        expect(await chosen("auto", "x")).toBe("docker");
        expect(await chosen("auto", "x.sif")).toBe("apptainer");
        expect(await chosen("apptainer", "x")).toBe("apptainer");
        expect(await chosen("docker", "x.sif")).toBe("docker");
        expect((await chooseEngine("auto", "x.sif")).says).toBe("apptainer version 9.9");
        await withEnv({ DOCKER_HOST: none.DOCKER_HOST }, async () => {
          expect(await chosen("auto", "x")).toBe("apptainer");
        });
      }),
    );
  }));

test("a pool is made once for each name, with the limits and variables of its table", () =>
  withSite({ box: config({ env: { A: "1" } }), other: config() }, async (site) => {
    const pool = site.pool("box");
    expect(site.pool("box")).toBe(pool);
    expect(site.pool("other")).not.toBe(pool);
    expect(await pool.call(caller("r"), "d", outputOf('echo "$A"'), signal)).toBe("1\n");
    expect(() => site.pool("none")).toThrow("bug: no sandbox is named none");
  }));

test("nothing is touched before a sandbox is asked for, and nothing is left after the stop", () =>
  withSite({ box: config() }, async (site, _lines, leases) => {
    expect(await leases()).toEqual([]);
    const id = await site
      .pool("box")
      .call(caller("r"), "d", async ({ sandbox }) => sandbox.id, signal);
    const [lease = ""] = await leases();
    expect(lease).not.toBe("");
    expect(id).toStartWith("matrix-");
    await site.stop();
    expect(await leases()).toEqual([]);
    await site.stop();
  }));

test("the beginning of a run prepares its sandboxes, starts the warm ones, and warns of plain processes", () =>
  withSite(
    {
      box: config({ warm: 1, count: 2 }),
      cold: config(),
      "solver (process)": config(),
      unused: config({ engine: "docker" }),
    },
    async (site, lines) => {
      await site.begin(["box", "cold", "solver (process)"]);
      await until(() => site.pool("box").size === 1, "the warm sandbox runs");
      expect(site.pool("cold").size).toBe(0);
      const without = "plain processes: nothing is isolated, nothing but time is limited";
      expect(lines).toEqual([
        `warning sandbox box runs by ${without}`,
        `warning sandbox cold runs by ${without}`,
        `info sandbox solver (process) runs by ${without}`,
      ]);
    },
  ));

test("a sandbox without an engine fails at the beginning, and is tried again at the next call", () =>
  withSite({ box: config({ engine: "docker", image: "x" }) }, (site) =>
    withEnv({ DOCKER_HOST: none.DOCKER_HOST }, async () => {
      await expect(site.begin(["box"])).rejects.toMatchObject({ code: "sandbox_unavailable" });
      await DockerEngine.within(async (engine) => {
        engine.images.set("x", "sha256:1");
        await site.begin(["box"]);
        await site.stop();
      });
    }),
  ));

test("the release of a task ends its sessions in every pool", () =>
  withSite({ box: config({ serves: "one" }), other: config({ serves: "one" }) }, async (site) => {
    const idOf = async ({ sandbox }: Place) => sandbox.id;
    const ask = (name: string, rowId: string) =>
      site.pool(name).call(caller(rowId), "d", idOf, signal);
    const first = [await ask("box", "a"), await ask("other", "a")];
    site.release("a", 0);
    const second = [await ask("box", "b"), await ask("other", "b")];
    expect(new Set([...first, ...second]).size).toBe(4);
  }));

test("a role's folders are mounted beside those of the table", () =>
  withFolder((folder) =>
    DockerEngine.within(async (engine) => {
      engine.images.set("x", "sha256:1");
      await writeFile(join(folder, "f"), "");
      const own = { source: folder, target: "/own", writable: true };
      const files = { target: "/agents/a", contents: new Map([["a.py", Buffer.from("code")]]) };
      await withSite(
        {
          box: config({
            engine: "docker",
            image: "x",
            mounts: [own],
            memory: 5000,
            cpus: 2,
            pids: 9,
            network: "host",
            read_only: false,
            workdir: "/usr",
          }),
        },
        async (site) => {
          await site.pool("box").call(caller("r"), "d", async () => null, signal);
          const [created] = engine.asked("POST /containers/create");
          const { HostConfig, WorkingDir, Labels } = JSON.parse(created?.body.toString() ?? "null");
          expect(HostConfig).toMatchObject({
            Memory: 5000,
            NanoCpus: 2e9,
            PidsLimit: 9,
            NetworkMode: "host",
            ReadonlyRootfs: false,
          });
          expect(WorkingDir).toBe("/usr");
          expect(Labels).toMatchObject({
            "matrix.run": "r",
            "matrix.host": "h",
            "matrix.sandbox": "box",
          });
          expect(HostConfig.Mounts.slice(1)).toEqual([
            { Type: "bind", Source: folder, Target: "/own", ReadOnly: false },
            { Type: "bind", Source: expect.any(String), Target: "/agents/a", ReadOnly: true },
          ]);
          expect(await readFile(join(HostConfig.Mounts[2].Source, "a.py"), "utf8")).toBe("code");
        },
        { filesOf: async (name) => (name === "box" ? [files] : []) },
      );
      expect(existsSync(folder)).toBe(true);
    }),
  ));

test.each(["the caller gives up", "the site stops"])(
  "a pull ends at once when %s, and the next one is asked for again",
  (why) =>
    DockerEngine.within((engine) =>
      withSite({ box: config({ engine: "docker", image: "team/x:1" }) }, async (site) => {
        engine.replies.set("POST /images/create", { status: 200, lines: [{}], hangs: true });
        const controller = new AbortController();
        const begun = site.begin(["box"], controller.signal).catch((thrown) => thrown);
        await until(() => engine.asked("POST /images/create").length > 0, "the pull has begun");
        if (why === "the site stops") await site.stop();
        else controller.abort(new Error(why));
        expect((await begun).message).toBe(why === "the site stops" ? "the run was stopped" : why);
        if (why === "the site stops") return;
        engine.replies.set("POST /images/create", { status: 200, lines: [{}] });
        await site.begin(["box"]);
        expect(engine.asked("POST /images/create")).toHaveLength(2);
      }),
    ),
);
