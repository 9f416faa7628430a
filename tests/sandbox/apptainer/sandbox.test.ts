// One Apptainer sandbox whose holder a test plays itself: a start without an end, and a hung stop.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ApptainerSandbox } from "../../../src/sandbox/apptainer/sandbox.ts";
import { markedPids } from "../../../src/sandbox/marked-processes.ts";
import { spawnChild } from "../../../src/sandbox/spawn.ts";
import { withFolder } from "../../parts/folder.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";

const withHolder = (
  script: string,
  use: (sandbox: ApptainerSandbox, folder: string) => Promise<void>,
) =>
  withFolder(async (parent) => {
    const folder = join(parent, "pipes");
    await mkdir(folder);
    const id = `matrix-${crypto.randomUUID()}`;
    const marks = { MATRIX_SANDBOX: id };
    const child = spawnChild("/bin/sh", ["-c", script], {
      env: { PATH: process.env["PATH"] ?? "", ...marks },
    });
    const times = { startTimeoutMs: 50, stopTimeoutMs: 20 };
    await use(
      new ApptainerSandbox(id, SPEC, { child, folder, marks, unenforced: ["cpus"], ...times }),
      folder,
    );
  });

test("a holder that never says that it is ready is given up in time, and killed", () =>
  withHolder("echo not yet; echo FATAL >&2; exec sleep 600", async (sandbox, folder) => {
    await expect(sandbox.ready(undefined)).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message:
        "Apptainer cannot start sandbox case: it did not start within 50 ms; its last output: FATAL",
    });
    await sandbox.stop();
    expect(existsSync(folder)).toBe(false);
    expect(markedPids(`MATRIX_SANDBOX=${sandbox.id}`)).toEqual([]);
  }));

test("a holder that does not end by itself is killed when its sandbox stops", () =>
  withHolder("trap '' TERM; echo ready; exec sleep 600", async (sandbox) => {
    await sandbox.ready(undefined);
    expect(sandbox.unenforced).toEqual(["cpus"]);
    await sandbox.stop();
    expect(await sandbox.ended).toBe("it was stopped");
    expect(markedPids(`MATRIX_SANDBOX=${sandbox.id}`)).toEqual([]);
  }));

test("the last output keeps 4000 characters of stderr", () =>
  withHolder("printf '%05000d' 7 >&2; exit 3", async (sandbox) => {
    const error = await sandbox.ready(undefined).catch((thrown) => thrown);
    expect(error.message).toEndWith(`exit 3; its last output: ${"0".repeat(3999)}7`);
    expect(await sandbox.ended).toBe("its container ended with exit 3");
  }));
