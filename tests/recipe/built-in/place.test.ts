// The files of the built-in recipes on the disk, and their names that hold on every machine.

import { expect, test } from "bun:test";
import { chmod, mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  cacheFolder,
  openBuiltIn,
  placed,
  unplaced,
  unplacedIn,
  writeBuiltIn,
} from "../../../src/recipe/built-in/place.ts";
import { withFolder } from "../../parts/folder.ts";

const FILES = new Map([
  ["recipes/a.toml", "a"],
  ["recipes/a/rule.py", "rule"],
  ["sandboxes/s/run.py", "#!/usr/bin/python3\n"],
]);
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

test("built-in files are written into a folder of the user alone, and programs can be run", () =>
  withFolder(async (cache) => {
    const folder = await writeBuiltIn(FILES, cache);
    expect(folder).toStartWith(join(cache, "built-in/"));
    expect(await modeOf(folder)).toBe(0o700);
    for (const [name, text] of FILES) expect(await readFile(join(folder, name), "utf8")).toBe(text);
    expect(await modeOf(join(folder, "recipes/a/rule.py"))).toBe(0o644);
    expect(await modeOf(join(folder, "sandboxes/s/run.py"))).toBe(0o755);
  }));

test("the same files have the same folder, and other files another one", () =>
  withFolder(async (cache) => {
    const folder = await writeBuiltIn(FILES, cache);
    expect(await writeBuiltIn(FILES, cache)).toBe(folder);
    expect(await writeBuiltIn(new Map([["recipes/a.toml", "b"]]), cache)).not.toBe(folder);
  }));

test("a built-in file that was changed or removed is written again, and the others stay", () =>
  withFolder(async (cache) => {
    const folder = await writeBuiltIn(FILES, cache);
    const [changed, removed, kept] = [...FILES.keys()].map((name) => join(folder, name));
    await writeFile(changed ?? "", "mine");
    await rm(removed ?? "");
    const { ino } = await stat(kept ?? "");
    await writeBuiltIn(FILES, cache);
    expect(await readFile(changed ?? "", "utf8")).toBe("a");
    expect(await readFile(removed ?? "", "utf8")).toBe("rule");
    expect((await stat(kept ?? "")).ino).toBe(ino);
  }));

test("a folder that others could write to is closed, and one behind a file has a substitute", () =>
  withFolder(async (cache) => {
    const folder = await writeBuiltIn(FILES, cache);
    await chmod(folder, 0o777);
    await writeBuiltIn(FILES, cache);
    expect(await modeOf(folder)).toBe(0o700);
    await writeFile(join(cache, "file"), "");
    const other = await writeBuiltIn(FILES, join(cache, "file"));
    expect(other).toStartWith(join(tmpdir(), "matrix-built-in-"));
    expect(await modeOf(other)).toBe(0o700);
    expect(await readFile(join(other, "recipes/a.toml"), "utf8")).toBe("a");
    await rm(other, { recursive: true });
  }));

test("built-in files reach a folder through a link of the user's own", () =>
  withFolder(async (cache) => {
    await mkdir(join(cache, "there"));
    await symlink(join(cache, "there"), join(cache, "built-in"));
    const folder = await writeBuiltIn(FILES, cache);
    expect(await readFile(join(folder, "recipes/a.toml"), "utf8")).toBe("a");
  }));

test.each([
  [{ XDG_CACHE_HOME: "/x" }, "/x/matrix"],
  [{ XDG_CACHE_HOME: "" }, /\/\.cache\/matrix$/],
  [{}, /\/\.cache\/matrix$/],
] as const)("with %p the cache is at %p", (env, expected) => {
  const found = cacheFolder(env);
  if (typeof expected === "string") expect(found).toBe(expected);
  else expect(found).toMatch(expected);
});

test("a path of a built-in file has a name that holds on every machine, and back", async () => {
  const folder = await openBuiltIn();
  const path = join(folder, "recipes/coral.toml");
  expect(unplaced(path)).toBe("built-in:recipes/coral.toml");
  expect(placed("built-in:recipes/coral.toml")).toBe(path);
  expect(unplaced(`${folder}-other/x`)).toBe(`${folder}-other/x`);
  expect(unplaced("/elsewhere")).toBe("/elsewhere");
  expect(placed("coral.toml")).toBe("coral.toml");
  expect(unplacedIn(`reads ${path} and ${path}`)).toBe(
    "reads built-in:recipes/coral.toml and built-in:recipes/coral.toml",
  );
});
