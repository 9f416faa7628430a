// `matrix agent`: what it refuses before it starts a process, and how it ends without a driver.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { DIALOGUE, writeRun } from "../parts/run-directory.ts";

test.each([
  [["--name", "a b"], 'error: --name "a b" is not a name of a host'],
  [["--workers", "0"], "error: --workers: at least 1"],
  [["--workers", "few"], "It must be a whole number."],
  [["--role", "a,,b"], 'error: --role "a,,b": a name between commas is missing'],
  [["--patience", "soon"], 'error: --patience: "soon" is not a duration'],
])("agent %j is refused with exit 2", async (args, message) => {
  const { code, stdout, stderr } = await matrix(["agent", ...args]);
  expect(stderr).toContain(message);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
});

test("help does not show the flags that only workers are given", async () => {
  const { stdout } = await matrix(["agent", "--help"]);
  expect(stdout).toContain("--workers <n>");
  for (const hidden of ["--id", "--replaces", "--watcher"]) expect(stdout).not.toContain(hidden);
});

test("a host for which no driver comes leaves when its patience is over, with exit code 3", () =>
  withFolder(async (folder) => {
    const args = ["agent", "--join", "none", "--name", "waits", "--patience", "50ms"];
    const { code, stderr } = await matrix(args, { cwd: folder });
    expect(stderr).toContain("waits: no word from the driver for 0.05 s (--patience): leaving");
    expect(code).toBe(3);
  }));

const worker = (where: string, id = "w-1") =>
  matrix([
    ...["agent", "--watcher", "driver", "--id", id, "--name", "w"],
    ...["--join", where, "--patience", "0s"],
  ]);

test("a worker that finds no driver ends with 64, and with 0 where the run is complete", () =>
  withFolder(async (folder) => {
    const word = "w: no word from the driver for 0 s (--patience): leaving\n";
    expect(await worker(folder)).toEqual({ code: 64, stdout: "", stderr: word });
    await writeRun(folder, DIALOGUE, []);
    expect((await worker(folder)).code).toBe(0);
  }));

test("agent with several workers numbers their names, and ends with 3 when none finds a driver", () =>
  withFolder(async (folder) => {
    const args = ["agent", "--name", "x", "--workers", "2", "--join", folder];
    const { code, stderr } = await matrix([...args, "--patience", "0s"]);
    const word = (name: string) => `${name}: no word from the driver for 0 s (--patience): leaving`;
    expect([code, stderr.trim().split("\n").sort()]).toEqual([3, [word("x-1"), word("x-2")]]);
  }));

test("agent with one worker has its name, and ends with 2 when the worker cannot run", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "driver.json"), "{}");
    const { code, stderr } = await matrix(["agent", "--name", "x", "--join", folder]);
    expect(code).toBe(2);
    expect(stderr).toContain("error x cannot run (exit 2) and is not started again");
  }));
