// Copies of files for sandboxes: their places, their modes, and what a failure says.

import { expect, test } from "bun:test";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stage } from "../../src/sandbox/staging.ts";
import { withFolder } from "../parts/folder.ts";

const bytes = (text: string) => Buffer.from(text);

test("each set of files is copied into a folder of its own, which every user can read", () =>
  withFolder(async (root) => {
    const umask = process.umask(0o077);
    const mounts = await stage(
      [
        {
          target: "/agents/a",
          contents: new Map([
            ["a.py", bytes("1")],
            ["in/b/c", bytes("2")],
          ]),
        },
        { target: "/agents/b", contents: new Map([["a.py", bytes("3")]]) },
      ],
      join(root, "files"),
    ).finally(() => process.umask(umask));
    expect(mounts).toEqual([
      { source: join(root, "files/0"), target: "/agents/a", writable: false },
      { source: join(root, "files/1"), target: "/agents/b", writable: false },
    ]);
    const read = (path: string) => readFile(join(root, "files", path), "utf8");
    expect(await Promise.all(["0/a.py", "0/in/b/c", "1/a.py"].map(read))).toEqual(["1", "2", "3"]);
    for (const path of ["0", "0/a.py", "0/in", "0/in/b", "0/in/b/c", "1"])
      expect((await stat(join(root, "files", path))).mode & 0o777).toBe(0o755);
    expect(await readdir(join(root, "files/0"))).toEqual(["a.py", "in"]);
  }));

test("no files need no folder", () =>
  withFolder(async (root) => {
    expect(await stage([], join(root, "files"))).toEqual([]);
    expect(await readdir(root)).toEqual([]);
  }));

test("files that cannot be copied are an unavailable sandbox", () =>
  withFolder(async (root) => {
    await writeFile(join(root, "files"), "in the way");
    const brought = [{ target: "/agents/a", contents: new Map([["a.py", bytes("1")]]) }];
    await expect(stage(brought, join(root, "files"))).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message: expect.stringContaining("cannot copy the files of roles for their sandbox: "),
    });
  }));
