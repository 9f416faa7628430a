// Where temporary files go when the usual place is read-only.

import { expect, test } from "bun:test";
import { rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
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
