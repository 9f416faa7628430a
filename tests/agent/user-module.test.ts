// User modules: how they load, how their errors are placed, and what their hash follows.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hashUserModule, loadUserModule } from "../../src/agent/user-module.ts";
import type { MatrixError } from "../../src/error.ts";
import { withFolder } from "../parts/folder.ts";

const load = (
  source: string,
  use: (path: string, loaded: Promise<Record<string, unknown>>) => Promise<void>,
) =>
  withFolder(async (folder) => {
    const path = join(folder, "a (b)+.ts");
    await writeFile(path, source);
    await use(path, loadUserModule(path));
  });

test("a module gives its exports, whatever its path", () =>
  load("export default 5;\nexport const x = 'y';\n", async (_path, loaded) => {
    expect(await loaded).toMatchObject({ default: 5, x: "y" });
  }));

test("a syntax error is reported with file, line and column", () =>
  load("export const a = 1;\nexport const = 2;\n", async (path, loaded) => {
    const error: MatrixError = await loaded.catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "module_invalid", message: `${path} does not load` });
    expect(error.problems[0]).toMatchObject({ file: path, line: 2, message: expect.any(String) });
    expect(error.problems[0]?.column).toBeGreaterThan(0);
  }));

test("a syntax error in an imported module is reported with the file that has it", () =>
  withFolder(async (folder) => {
    const [path, other] = [join(folder, "a.ts"), join(folder, "b.ts")];
    await writeFile(path, 'import { b } from "./b.ts";\nexport default b;\n');
    await writeFile(other, "export const b = ;\n");
    const error: MatrixError = await loadUserModule(path).catch((thrown) => thrown);
    expect(error.problems[0]).toMatchObject({ file: other, line: 1 });
  }));

test("an error at load time is reported with the place that threw it and the first line of its message", () =>
  load("\n\nthrow new Error('no key\\nmore');\n", async (path, loaded) => {
    const error: MatrixError = await loaded.catch((thrown) => thrown);
    expect(error.problems).toEqual([
      { file: path, line: 3, column: expect.any(Number), message: "no key" },
    ]);
    expect(error.cause).toBeInstanceOf(Error);
  }));

test("a thrown value that is not an error has no place", () =>
  load("throw 'just text';\n", async (path, loaded) => {
    const error: MatrixError = await loaded.catch((thrown) => thrown);
    expect(error.problems).toEqual([{ file: path, message: "just text" }]);
  }));

test("a module that is missing is reported", async () => {
  const error: MatrixError = await loadUserModule("/no/such/module.ts").catch((thrown) => thrown);
  expect(error).toMatchObject({
    code: "module_invalid",
    message: "/no/such/module.ts does not load",
  });
  expect(error.problems).toHaveLength(1);
});

test("a module's hash follows its own source and that of its relative imports", () =>
  withFolder(async (folder) => {
    const [path, other] = [join(folder, "a.ts"), join(folder, "b.ts")];
    await writeFile(path, 'import { b } from "./b.ts";\nexport default b;\n');
    await writeFile(other, "export const b = 1;\n");
    const first = await hashUserModule(path);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashUserModule(path)).toBe(first);
    await writeFile(other, "export const b = 2;\n");
    const second = await hashUserModule(path);
    expect(second).not.toBe(first);
    await writeFile(path, 'import { b } from "./b.ts";\nexport default -b;\n');
    expect(await hashUserModule(path)).not.toBe(second);
  }));

test("a module's hash tells where one file ends and the next begins", () =>
  withFolder(async (folder) => {
    const hashOf = async (main: string, more: string) => {
      await writeFile(join(folder, "a.ts"), main);
      await writeFile(join(folder, "b.ts"), more);
      return hashUserModule(join(folder, "a.ts"));
    };
    const head = 'import "./b.ts";\n';
    expect(await hashOf(`${head}1`, "2")).not.toBe(await hashOf(head, "12"));
  }));
