// `matrix agent` refuses what it cannot do before it starts a process.

import { expect, test } from "bun:test";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

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
