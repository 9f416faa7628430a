// Images are made once, however many ask for them at once, and a half-made one is never seen.

import { describe, expect, test } from "bun:test";
import { chmod, mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findApptainer } from "../../../src/sandbox/apptainer/program.ts";
import { ApptainerSandboxes } from "../../../src/sandbox/apptainer/sandboxes.ts";
import { dockerImageId } from "../../../src/sandbox/docker/image.ts";
import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { exec } from "../../../src/sandbox/exec.ts";
import { prepareImage } from "../../../src/sandbox/image.ts";
import { Lease } from "../../../src/sandbox/lease.ts";
import { withFolder } from "../../parts/folder.ts";
import { quiet } from "../../parts/quiet.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { apptainer, docker } from "./engines.ts";

/** A program that builds like Apptainer does, slowly, and counts; a source named `broken` fails. */
const BUILDER = `#!/bin/sh
case "$3" in *broken*) echo "FATAL: no such image" >&2; exit 255;; esac
printf 'half' > "$2"
sleep 0.3
printf ' whole' >> "$2"
echo built >> "$(dirname "$0")/count"
`;

async function withBuilder<T>(
  use: (
    options: { log: typeof quiet; apptainer: string; cache: string },
    folder: string,
  ) => Promise<T>,
): Promise<T> {
  return withFolder(async (folder) => {
    const apptainer = join(folder, "apptainer");
    await writeFile(apptainer, BUILDER);
    await chmod(apptainer, 0o755);
    return use({ log: quiet, apptainer, cache: join(folder, "cache") }, folder);
  });
}

describe("a SIF", () => {
  test(
    "is built once when twenty ask for it at once, and found by whoever comes later",
    () =>
      withBuilder(async (options, folder) => {
        const paths = await Promise.all(
          Array.from({ length: 20 }, () =>
            prepareImage("example.org/team/image:1", "apptainer", options),
          ),
        );
        expect(new Set(paths)).toEqual(
          new Set([join(folder, "cache", "example.org_team_image_1.sif")]),
        );
        expect(await prepareImage("example.org/team/image:1", "apptainer", options)).toBe(
          paths[0] as string,
        );
        expect(await readFile(join(folder, "count"), "utf8")).toBe("built\n");
        expect(await readFile(paths[0] as string, "utf8")).toBe("half whole");
        expect(await readdir(join(folder, "cache"))).toEqual(["example.org_team_image_1.sif"]);
      }),
    20_000,
  );

  test("that cannot be built says why, and leaves nothing behind", () =>
    withBuilder(async (options, folder) => {
      const failure = await prepareImage("example.org/broken:1", "apptainer", options).catch(
        (thrown) => thrown,
      );
      expect(failure.code).toBe("sandbox_unavailable");
      expect(failure.message).toContain("FATAL: no such image");
      expect(await readdir(join(folder, "cache"))).toEqual([]);
    }));

  test(
    "is built by the next when its builder died",
    () =>
      withBuilder(async (options, folder) => {
        const lock = join(folder, "cache", "example.org_image_1.sif.lock");
        await mkdir(join(folder, "cache"));
        await writeFile(lock, "1\n");
        const past = new Date(Date.now() - 120_000);
        await utimes(lock, past, past);
        await prepareImage("example.org/image:1", "apptainer", options);
        expect(await readFile(join(folder, "count"), "utf8")).toBe("built\n");
      }),
    20_000,
  );

  test("given by its path is taken as it is", async () => {
    expect(
      await prepareImage("/images/x.sif", "apptainer", { log: quiet, apptainer: "none" }),
    ).toBe("/images/x.sif");
  });

  test("of a folder with neither Dockerfile nor definition is refused", () =>
    withBuilder(async (options, folder) => {
      const failure = await prepareImage(folder, "apptainer", options).catch((thrown) => thrown);
      expect(failure.message).toContain(
        "there is neither a Dockerfile nor a definition (*.def) in this folder",
      );
    }));
});

describe.skipIf(docker.image === null)("a folder with a Dockerfile", () => {
  const dockerfile = `FROM ${docker.image}\nCOPY note.txt /note.txt\nRUN echo built >> /note.txt\n`;

  test(
    "becomes a Docker image, built again only when something in it changes",
    () =>
      withFolder(async (folder) => {
        const options = { log: quiet, apptainer: "none" };
        const source = join(folder, "My Image");
        await mkdir(source);
        await writeFile(join(source, "Dockerfile"), dockerfile);
        await writeFile(join(source, "note.txt"), "one\n");
        const tags: string[] = [];
        try {
          tags.push(await prepareImage(source, "docker", options));
          const id = await dockerImageId(tags[0] as string);
          expect(await prepareImage(source, "docker", options)).toBe(tags[0] as string);
          expect(await dockerImageId(tags[0] as string)).toBe(id);
          await using lease = await Lease.take({ run: "image", host: "test" });
          await using sandbox = await (await DockerSandboxes.connect(lease, quiet)).start({
            ...SPEC,
            image: tags[0] as string,
          });
          const { stdout } = await exec(sandbox, {
            args: ["cat", "/note.txt"],
            timeoutMs: 30_000,
            outputBytesMax: 1000,
          });
          expect(Buffer.from(stdout).toString("utf8")).toBe("one\nbuilt\n");
          await writeFile(join(source, "note.txt"), "two\n");
          tags.push(await prepareImage(source, "docker", options));
          expect(tags[1]).not.toBe(tags[0] as string);
        } finally {
          for (const tag of tags) Bun.spawnSync(["docker", "rmi", "-f", tag]);
        }
      }),
    120_000,
  );

  test(
    "that does not build says at which step",
    () =>
      withFolder(async (folder) => {
        await writeFile(join(folder, "Dockerfile"), `FROM ${docker.image}\nRUN no-such-command\n`);
        const failure = await prepareImage(folder, "docker", {
          log: quiet,
          apptainer: "none",
        }).catch((thrown) => thrown);
        expect(failure.code).toBe("sandbox_unavailable");
        expect(failure.message).toContain("no-such-command");
      }),
    60_000,
  );
});

/** The smallest root that a sandbox starts from: a shell and what it calls, with their libraries. */
function makeRoot(folder: string): void {
  const copy =
    'for f in sh cat sleep env mkdir; do p=$(command -v $f); for l in $p $(ldd $p | grep -o "/[^ ]*"); do mkdir -p "$0$(dirname $l)"; cp -L $l "$0$l"; done; done';
  const made = Bun.spawnSync([
    "sh",
    "-c",
    `mkdir -p "$0/bin" "$0/tmp" "$0/etc"; ${copy}; cp -L $(command -v sh) "$0/bin/sh"`,
    folder,
  ]);
  expect([made.exitCode, made.stderr.toString()]).toEqual([0, ""]);
}

describe.skipIf(apptainer.image === null)("a folder with an Apptainer definition", () => {
  test(
    "becomes a SIF, with the files of the folder in it, wherever it is built from",
    () =>
      withFolder(async (folder) => {
        const source = join(folder, "defined");
        makeRoot(join(folder, "root"));
        await mkdir(source);
        await writeFile(join(source, "note.txt"), "one\n");
        await writeFile(
          join(source, "box.def"),
          `Bootstrap: localimage\nFrom: ${folder}/root\n%files\n    note.txt /note.txt\n`,
        );
        const program = (await findApptainer()) ?? "";
        const options = { log: quiet, apptainer: program, cache: join(folder, "cache") };
        const sif = await prepareImage(source, "apptainer", options);
        expect(sif).toMatch(/cache\/defined-[0-9a-f]{12}\.sif$/);
        await using lease = await Lease.take({ run: "image", host: "test" });
        await using sandbox = await new ApptainerSandboxes(program, lease, quiet).start({
          ...SPEC,
          image: sif,
        });
        const { stdout } = await exec(sandbox, {
          args: ["cat", "/note.txt"],
          timeoutMs: 30_000,
          outputBytesMax: 1000,
        });
        expect(Buffer.from(stdout).toString("utf8")).toBe("one\n");
        // Another file, another image.
        await writeFile(join(source, "note.txt"), "two\n");
        expect(await prepareImage(source, "apptainer", options)).not.toBe(sif);
      }),
    120_000,
  );
});

test("an engine in PATH is found, or said not to be there", async () => {
  expect([null, "apptainer", "singularity"]).toContain(await findApptainer());
});
