// SIF files: their names in the cache, and their builds.

import { expect, test } from "bun:test";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { prepareSif, type SifOptions } from "../../../src/sandbox/apptainer/sif.ts";
import { hashFolder } from "../../../src/sandbox/image/image-folder.ts";
import { prepareImage } from "../../../src/sandbox/image/prepare.ts";
import type { Log } from "../../../src/telemetry/log.ts";
import { DockerEngine } from "../../parts/docker-engine.ts";
import { withEnv } from "../../parts/env.ts";
import { withFolder } from "../../parts/folder.ts";
import { keptLog } from "../../parts/kept-log.ts";

/** Notes its source and folder, and builds; a source named `broken` fails with seven lines. */
const BUILDER = `#!/bin/sh
[ "$1" = --nocolor ] && shift
case "$3" in *broken*) for n in 1 2 3 4 5 6 7; do echo "line $n" >&2; done; exit 255;; esac
case "$3" in *slow*) sleep 600;; esac
echo "$1 $3 $(pwd)" >> "$(dirname "$0")/builds"
echo whole > "$2"
`;

interface Parts {
  readonly folder: string;
  readonly cache: string;
  readonly options: SifOptions;
  readonly lines: readonly string[];
  builds(): Promise<readonly string[]>;
}

/** Without a Docker engine, unless a test brings one. */
const withBuilder = (use: (parts: Parts) => Promise<void>, engine?: DockerEngine) =>
  withFolder((folder) =>
    withEnv(engine === undefined ? { DOCKER_HOST: "unix:///no/such.sock" } : {}, async () => {
      const apptainer = join(folder, "apptainer");
      await writeFile(apptainer, BUILDER);
      await chmod(apptainer, 0o755);
      const cache = join(folder, "cache/sif");
      const { log, lines } = keptLog();
      const builds = async () =>
        (await readFile(join(folder, "builds"), "utf8").catch(() => "")).split("\n").slice(0, -1);
      await use({ folder, cache, options: { log, apptainer, cache }, lines, builds });
    }),
  );

test("the path of a SIF is taken as it is", () =>
  withBuilder(async ({ options, builds }) => {
    expect(await prepareSif("/x/y.sif", options)).toBe("/x/y.sif");
    expect(await prepareImage("y.sif", "apptainer", options)).toBe("y.sif");
    expect(await builds()).toEqual([]);
  }));

test("a reference becomes a SIF of its name, which is built once and found again", () =>
  withBuilder(async ({ cache, options, lines, builds }) => {
    const path = join(cache, "example.org_team_x_1.sif");
    const asked = [1, 2, 3].map(() => prepareSif("example.org/team/x:1", options));
    expect(await Promise.all(asked)).toEqual([path, path, path]);
    expect(await prepareSif("example.org/team/x:1", options)).toBe(path);
    expect(await builds()).toEqual([`build docker://example.org/team/x:1 ${process.cwd()}`]);
    expect(await readFile(path, "utf8")).toBe("whole\n");
    expect(await readdir(cache)).toEqual(["example.org_team_x_1.sif"]);
    // One of the others may say first that it waits.
    expect(lines).toContain(
      `info building ${path} from docker://example.org/team/x:1; this can take minutes`,
    );
  }));

test.each([
  ["team/x", "docker-daemon:team/x:latest", "team_x-0123456789ab.sif"],
  ["team/x:1", "docker-daemon:team/x:1", "team_x-0123456789ab.sif"],
  ["host:5000/x", "docker-daemon:host:5000/x:latest", "host_5000_x-0123456789ab.sif"],
  ["x@sha256:ff", "docker-daemon:x@sha256:ff", "x-0123456789ab.sif"],
])("a local image %s is built from %s as %s", (reference, source, name) =>
  DockerEngine.within((engine) => {
    engine.images.set(reference, "sha256:0123456789abcdef");
    return withBuilder(async ({ cache, options, builds }) => {
      expect(await prepareSif(reference, options)).toBe(join(cache, name));
      expect(await builds()).toEqual([`build ${source} ${process.cwd()}`]);
    }, engine);
  }),
);

test("a folder with a definition is built in that folder, under its name and hash", () =>
  withBuilder(async ({ folder, cache, options, builds }) => {
    const source = join(folder, "My Box");
    await mkdir(source);
    await writeFile(join(source, "box.def"), "Bootstrap: docker\n");
    await writeFile(join(source, "Dockerfile"), "FROM x\n");
    const path = join(cache, `my-box-${await hashFolder(source)}.sif`);
    expect(await prepareSif(source, options)).toBe(path);
    expect(await builds()).toEqual([`build ${join(source, "box.def")} ${source}`]);
  }));

test("a folder with a Dockerfile is built by Docker where an engine answers, before a definition", () =>
  DockerEngine.within((engine) =>
    withBuilder(async ({ folder, options, builds }) => {
      const source = join(folder, "box");
      await mkdir(source);
      await writeFile(join(source, "box.def"), "");
      await writeFile(join(source, "Dockerfile"), "FROM x\n");
      const tag = `matrix-box:${await hashFolder(source)}`;
      engine.images.set(tag, "sha256:0123456789abcdef");
      expect(await prepareSif(source, options)).toEndWith("/matrix-box-0123456789ab.sif");
      expect(await builds()).toEqual([`build docker-daemon:${tag} ${process.cwd()}`]);
    }, engine),
  ));

test("a folder with a Dockerfile alone needs a Docker engine", () =>
  withBuilder(async ({ folder, options }) => {
    const source = join(folder, "box");
    await mkdir(source);
    await writeFile(join(source, "Dockerfile"), "FROM x\n");
    await expect(prepareSif(source, options)).rejects.toBeDefined();
  }));

test.each([
  ["/no/such/folder", "there is no such folder, and no SIF of that name"],
  ["/usr/bin/env", "there is no such folder, and no SIF of that name"],
  ["/usr/games", "there is neither a Dockerfile nor a definition (*.def) in this folder"],
])("the path %s is not an image: %s", (path, why) =>
  withBuilder(async ({ options }) => {
    await expect(prepareSif(path, options)).rejects.toMatchObject({
      code: "sandbox_invalid",
      message: `${path} is not an image: ${why}`,
    });
  }),
);

test("a build that fails gives its last five lines, says what to do, and leaves nothing", () =>
  withBuilder(async ({ cache, options }) => {
    await expect(prepareSif("x/broken:1", options)).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message:
        "Apptainer cannot build x_broken_1.sif from docker://x/broken:1: line 3\nline 4\nline 5\nline 6\nline 7",
      hint: "build it where it can be built, and name the SIF in the recipe",
    });
    expect(await readdir(cache)).toEqual([]);
  }));

test("a build that is given up ends with its caller's reason, and leaves nothing", () =>
  withBuilder(async ({ cache, options }) => {
    const controller = new AbortController();
    const log: Log = {
      write: () => void setImmediate(() => controller.abort(new Error("given up"))),
      close: async () => undefined,
    };
    const given = { ...options, log, signal: controller.signal };
    await expect(prepareSif("x/slow:1", given)).rejects.toThrow("given up");
    expect(await readdir(cache)).toEqual([]);
  }));

test("the cache lies in the user's cache folder", () =>
  withBuilder(async ({ folder, options: { cache: _none, ...options } }) => {
    await withEnv({ XDG_CACHE_HOME: folder }, async () => {
      expect(await prepareSif("x:1", options)).toBe(join(folder, "matrix/sif/x_1.sif"));
    });
  }));
