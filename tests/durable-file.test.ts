// Small files that are replaced whole, and the temporary files on the way.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isTemporaryOf, removeTemporaries, replaceFile, syncFolder } from "../src/durable-file.ts";
import { withFolder } from "./parts/folder.ts";

test("a file is replaced whole, with its mode, and no temporary file stays", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.json");
    await replaceFile(path, "one");
    await replaceFile(path, "two", { mode: 0o600 });
    expect(await readFile(path, "utf8")).toBe("two");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(["a.json"]);
  }));

test("a process that lost the folder before the write, or during it, leaves the file as it was", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.json");
    await writeFile(path, "theirs");
    for (const lostAt of [1, 2]) {
      let asked = 0;
      const confirm = async () => {
        if (++asked === lostAt) throw new Error("lost");
      };
      await expect(replaceFile(path, "mine", { confirm })).rejects.toThrow("lost");
      expect(asked).toBe(lostAt);
      expect(await readFile(path, "utf8")).toBe("theirs");
      expect(await readdir(folder)).toEqual(["a.json"]);
    }
  }));

test("a file that cannot be replaced is an error, and no temporary file stays", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "a.json"));
    await expect(replaceFile(join(folder, "a.json"), "x")).rejects.toThrow();
    expect(await readdir(folder)).toEqual(["a.json"]);
    await expect(replaceFile(join(folder, "none", "a.json"), "x")).rejects.toThrow("ENOENT");
  }));

test("temporary files of one path are removed, and no other file", () =>
  withFolder(async (folder) => {
    const names = ["a.json", "a.json.1.tmp", "a.json.tmp", "b.json.1.tmp", "a.json.1"];
    for (const name of names) await writeFile(join(folder, name), "");
    const path = join(folder, "a.json");
    expect(names.filter((name) => isTemporaryOf(path, name))).toEqual([
      "a.json.1.tmp",
      "a.json.tmp",
    ]);
    await removeTemporaries(path, names);
    expect((await readdir(folder)).sort()).toEqual(["a.json", "a.json.1", "b.json.1.tmp"]);
  }));

test("a folder is synced, and one that is not there is an error", () =>
  withFolder(async (folder) => {
    await syncFolder(folder);
    await expect(syncFolder(join(folder, "none"))).rejects.toThrow("ENOENT");
  }));

test("a folder of a file system that cannot sync folders is left alone, and one that is missing is not", async () => {
  if (existsSync("/proc/self")) await syncFolder("/proc");
  await expect(syncFolder("/no/such/folder")).rejects.toMatchObject({ code: "ENOENT" });
});
