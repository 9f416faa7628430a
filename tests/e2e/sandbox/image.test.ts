// Images that real engines build from folders.

import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findApptainer } from "../../../src/sandbox/apptainer/program.ts";
import { ApptainerSandboxes } from "../../../src/sandbox/apptainer/sandboxes.ts";
import { dockerImageId } from "../../../src/sandbox/docker/image.ts";
import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { exec } from "../../../src/sandbox/exec.ts";
import { prepareImage } from "../../../src/sandbox/image/prepare.ts";
import { Lease } from "../../../src/sandbox/lease.ts";
import { withFolder } from "../../parts/folder.ts";
import { quiet } from "../../parts/quiet.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { apptainer, docker } from "./engines.ts";

describe.skipIf(docker.image === null)("a folder with a Dockerfile", () => {
  const dockerfile = `FROM ${docker.image}\nCOPY note.txt /note.txt\nRUN echo built >> /note.txt\n`;

  test(
    "a folder with a Dockerfile becomes an image, which is built again only after a change",
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
    "a Dockerfile that does not build fails with its step",
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

/**
 * The smallest root that a sandbox starts from: a shell and what it calls, with their libraries.
 */
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
    "a folder with a definition becomes a SIF with the folder's files",
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
