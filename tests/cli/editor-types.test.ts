// `matrix types`: the files that editors and tests read, and what it may write over.

import { expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { renderEditorFiles } from "../../scripts/generators/editor-files.ts";
import { WRITTEN } from "../../src/cli/editor/written.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { ROOT } from "../parts/repository.ts";

const ALL = [
  "matrix.d.ts",
  "matrix.js",
  "matrix_agent.py",
  "matrix_data.py",
  "recipe.schema.json",
  "record.schema.json",
];

test("the files for editors are what scripts/generate writes", async () => {
  for (const [name, text] of Object.entries(await renderEditorFiles()))
    expect(await readFile(join(ROOT, "src/cli/editor", name), "utf8")).toBe(text);
});

test("matrix types writes every file, each with its mark, and prints their paths", () =>
  withFolder(async (folder) => {
    const { code, stdout, stderr } = await matrix(["types", "a/b"], { cwd: folder });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.trim().split("\n").sort()).toEqual(ALL.map((name) => join("a/b", name)));
    for (const name of ALL)
      expect((await readFile(join(folder, "a/b", name), "utf8")).slice(0, 200)).toContain(WRITTEN);
  }));

test.each([
  ["--python", ["matrix_agent.py", "matrix_data.py", "recipe.schema.json", "record.schema.json"]],
  ["--typescript", ["matrix.d.ts", "matrix.js", "recipe.schema.json", "record.schema.json"]],
])("matrix types %s leaves out the other language", (flag, wanted) =>
  withFolder(async (folder) => {
    await matrix(["types", folder, flag]);
    expect((await readdir(folder)).sort()).toEqual(wanted);
  }),
);

test("matrix types writes its own files again, and never a file of the user", () =>
  withFolder(async (folder) => {
    await matrix(["types", folder]);
    const types = join(folder, "matrix.d.ts");
    await writeFile(types, `// ${WRITTEN}\nold`);
    expect((await matrix(["types", folder])).code).toBe(0);
    expect(await readFile(types, "utf8")).toContain("export declare function to");
    await writeFile(join(folder, "matrix.js"), "mine");
    await writeFile(types, `// ${WRITTEN}\nold`);
    const { code, stderr } = await matrix(["types", folder]);
    expect(code).toBe(2);
    expect(stderr).toBe(
      "error: nothing was written, because matrix overwrites no file\n" +
        `  ${join(folder, "matrix.js")} is in the way\n` +
        "hint: remove or rename these files, or choose another folder\n",
    );
    expect(await readFile(join(folder, "matrix.js"), "utf8")).toBe("mine");
    expect(await readFile(types, "utf8")).toEndWith("old");
  }));
