// Where temporary files go when the usual place is read-only.

import { expect, test } from "bun:test";
import { mkdir, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { machineId, startTimeOf } from "../../src/process.ts";
import { makeTemporaryFolder } from "../../src/task/temporary-folder.ts";
import { withFolder } from "../parts/folder.ts";

test("a temporary folder is made in the usual place", async () => {
  const folder = await makeTemporaryFolder("matrix-x-");
  expect(dirname(folder)).toBe(tmpdir());
  expect((await stat(folder)).isDirectory()).toBe(true);
  await rm(folder, { recursive: true });
});

test("where the usual places cannot be written to, another one does", () =>
  withFolder(async (folder) => {
    const file = join(folder, "file");
    await writeFile(file, "");
    const made = await makeTemporaryFolder("matrix-x-", [folder], [file, ""]);
    expect(dirname(made)).toBe(folder);
  }));

test("without any place the error lists what was tried and names TMPDIR", () =>
  withFolder(async (folder) => {
    const file = join(folder, "file");
    await writeFile(file, "");
    const error = await makeTemporaryFolder("x-", [join(folder, "none")], [file]).catch(
      (thrown) => thrown,
    );
    expect(error).toMatchObject({
      code: "usage",
      message: "there is no place for temporary files",
      hint: "set TMPDIR to a folder that can be written to",
      problems: [
        { message: expect.stringContaining("ENOTDIR") },
        { message: expect.stringContaining("ENOENT") },
      ],
    });
  }));

test.skipIf(process.platform !== "linux")(
  "folders of processes that are gone are removed when the next one is made, and no others",
  () =>
    withFolder(async (folder) => {
      const here = machineId().slice(0, 8);
      const dead = Bun.spawn(["true"]);
      await dead.exited;
      const own = startTimeOf(process.pid);
      const parent = startTimeOf(process.ppid);
      const gone = [
        `matrix-x-${here}-${dead.pid}-5-aaaaaa`,
        // The pid went to another process: to this one, which began later.
        `matrix-some-thing-${here}-${process.pid}-${Number(own) - 1}-aaaaaa`,
      ];
      const kept = [
        `matrix-x-${here}-${process.pid}-${own}-aaaaaa`,
        `matrix-x-${here}-${process.ppid}-${parent}-aaaaaa`,
        `matrix-x-00000000-${dead.pid}-5-aaaaaa`,
        `matrix-x-${dead.pid}-5-aaaaaa`,
        `other-x-${here}-${dead.pid}-5-aaaaaa`,
        "matrix-x-aaaaaa",
      ];
      for (const name of [...gone, ...kept])
        await mkdir(join(folder, name, "in"), { recursive: true });
      const link = `matrix-x-${here}-${dead.pid}-6-aaaaaa`;
      const target = join(folder, "target");
      await mkdir(target);
      await symlink(target, join(folder, link));
      const made = await makeTemporaryFolder("matrix-x-", [], [folder]);
      expect(basename(made)).toStartWith(`matrix-x-${here}-${process.pid}-${own}-`);
      const names = [...kept, link, "target", basename(made)];
      expect((await readdir(folder)).sort()).toEqual(names.sort());
    }),
);
