// The copy of the project, and the import graph over it.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createImportGraph } from "../../../scripts/mutation/imports.ts";
import { listFiles } from "../../../scripts/mutation/project.ts";
import { copyProject } from "../../../scripts/mutation/tree.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";

async function fill(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
  }
}

test("writing to the copy leaves the project as it is, and nothing of the copy stays", () =>
  withFolder(async (folder) => {
    await fill(folder, { "src/a.ts": "1", "node_modules/x/index.js": "2" });
    const tree = await copyProject(folder, ["src/a.ts"]);
    expect(await readFile(join(tree.root, "node_modules/x/index.js"), "utf8")).toBe("2");
    await tree.write("src/a.ts", "3");
    await tree[Symbol.asyncDispose]();
    expect(await readFile(join(folder, "src/a.ts"), "utf8")).toBe("1");
    expect(existsSync(join(folder, "node_modules/x/index.js"))).toBe(true);
    expect(existsSync(tree.root)).toBe(false);
  }));

test.skipIf(!existsSync("/proc/self/cwd"))(
  "a process that a test left running in the copy ends with the copy",
  () =>
    withFolder(async (folder) => {
      const tree = await copyProject(folder, []);
      await tree.write("src/a.ts", "");
      const child = Bun.spawn(["sleep", "60"], { cwd: tree.root, detached: true });
      await tree[Symbol.asyncDispose]();
      await child.exited;
      expect(child.signalCode).toBe("SIGKILL");
    }),
);

test("the project's files are those that git tracks, and no packages or builds", () => {
  const files = listFiles(ROOT);
  expect(files).toContain("src/main.ts");
  expect(files.filter((file) => /^(?:node_modules|dist)\//.test(file))).toEqual([]);
});

test("the import graph counts imports on the shortest way, and leaves type imports out", () =>
  withFolder(async (folder) => {
    await fill(folder, {
      "tests/a.test.ts": 'import "./part.ts";\nimport { b } from "../src/b.ts";\nb();',
      "tests/part.ts": 'import { c } from "../src/c.ts";\nc();',
      "src/b.ts":
        'import { c } from "./c.ts";\nimport type { D } from "./d.ts";\nexport const b = (): D => c();',
      "src/c.ts": "export const c = () => 1;",
      "src/d.ts": "export type D = number;",
    });
    expect([...createImportGraph(folder).distances("tests/a.test.ts")]).toEqual([
      ["tests/a.test.ts", 0],
      ["tests/part.ts", 1],
      ["src/b.ts", 1],
      ["src/c.ts", 2],
    ]);
  }));

test("a digest changes with the code of an imported file, and not with its comments", () =>
  withFolder(async (folder) => {
    const digest = () => createImportGraph(folder).digest("src/b.ts", () => true);
    await fill(folder, {
      "src/b.ts": '#!/usr/bin/env bun\nimport { c } from "./c.ts";\nc();',
      "src/c.ts": "export const c = () => 1;",
    });
    const first = digest();
    await fill(folder, { "src/c.ts": "// One.\nexport const c = () => 1;" });
    expect(digest()).toBe(first);
    await fill(folder, { "src/c.ts": "export const c = () => 2;" });
    expect(digest()).not.toBe(first);
  }));
