// `matrix init`: what it writes, what it never overwrites, and what it says.

import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { builtInRecipes } from "../../src/recipe/built-in/names.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

const TEMPLATES = ["best-of-n", "chat", "debate", "extraction", "judge", "tool-use"];

async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

test("matrix init without arguments explains itself, with every template, and writes nothing", () =>
  withFolder(async (folder) => {
    const { code, stdout, stderr } = await matrix(["init"], { cwd: folder });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toStartWith("matrix init [TEMPLATE] DIR");
    for (const name of TEMPLATES)
      expect(stdout).toMatch(new RegExp(`^  ${name} +[A-Z].*\\.$`, "m"));
    expect(await readdir(folder)).toEqual([]);
  }));

test("a project in Python has its recipe, prompts, agent, rule, test, helper and settings", () =>
  withFolder(async (folder) => {
    const { code, stdout } = await matrix(["init", "debate", "my debate"], { cwd: folder });
    expect(code).toBe(0);
    const project = join(folder, "my debate");
    expect(await filesIn(project)).toEqual([
      ".gitignore",
      ".matrix/matrix_agent.py",
      ".matrix/matrix_data.py",
      ".matrix/recipe.schema.json",
      ".matrix/record.schema.json",
      "points.schema.json",
      "prompts/judge.md",
      "pyproject.toml",
      "recipe.toml",
      "rows.jsonl",
      "rule.py",
      "test_rule.py",
      "verdict.py",
    ]);
    const recipe = await readFile(join(project, "recipe.toml"), "utf8");
    expect(recipe).toStartWith("#:schema .matrix/recipe.schema.json\n");
    expect(recipe).toContain('\nname = "my-debate"\n');
    expect(recipe).toContain('agent = "verdict.py"');
    expect(recipe).toContain('module = "rule.py"');
    expect(stdout).toStartWith("my debate: debate in Python\n");
    expect(stdout).toEndWith(
      "\nnext:\n  cd 'my debate' && matrix drive recipe.toml\n  python3 -m pytest\n",
    );
  }));

test("a project in TypeScript has modules, types and a configuration in place of Python's", () =>
  withFolder(async (folder) => {
    const { stdout } = await matrix(["init", "debate", ".", "--typescript"], { cwd: folder });
    expect(await filesIn(folder)).toEqual([
      ".gitignore",
      ".matrix/matrix.d.ts",
      ".matrix/matrix.js",
      ".matrix/recipe.schema.json",
      ".matrix/record.schema.json",
      "package.json",
      "points.schema.json",
      "prompts/judge.md",
      "recipe.toml",
      "rows.jsonl",
      "rule.test.ts",
      "rule.ts",
      "tsconfig.json",
      "verdict.ts",
    ]);
    expect(await readFile(join(folder, "recipe.toml"), "utf8")).toContain('agent = "verdict.ts"');
    expect(stdout).toEndWith("\nnext:\n  matrix drive recipe.toml\n  bun test\n");
  }));

test("one word is a folder for the first template, and the name of a template is both", () =>
  withFolder(async (folder) => {
    expect((await matrix(["init", "mine"], { cwd: folder })).stdout).toContain(
      "mine: chat in Python",
    );
    expect((await matrix(["init", "judge"], { cwd: folder })).stdout).toContain("judge: judge in");
    expect(await readFile(join(folder, "judge/recipe.toml"), "utf8")).toContain('name = "judge"');
  }));

test("the name of a run follows from the name of its folder", () =>
  withFolder(async (folder) => {
    for (const [name, run] of [
      ["_.ü x", "x"],
      ["ü", "mine"],
      ["2nd try", "2nd-try"],
    ] as const) {
      await matrix(["init", name], { cwd: folder });
      const recipe = await readFile(join(folder, name, "recipe.toml"), "utf8");
      expect(recipe).toContain(`\nname = "${run}"\n`);
    }
  }));

test("matrix init overwrites no file, and names the files that are in the way", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "rule.py"), "mine");
    await mkdir(join(folder, "prompts"));
    await writeFile(join(folder, "prompts/judge.md"), "mine");
    const { code, stderr } = await matrix(["init", "debate", "."], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain(`\n  ${join(folder, "rule.py")} is in the way\n`);
    expect(stderr).toContain(`\n  ${join(folder, "prompts/judge.md")} is in the way\n`);
    expect(await filesIn(folder)).toEqual(["prompts/judge.md", "rule.py"]);
    expect(await readFile(join(folder, "rule.py"), "utf8")).toBe("mine");
  }));

test("settings that a folder has already stay as they are", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, ".gitignore"), "mine");
    await writeFile(join(folder, "pyproject.toml"), "mine");
    const { code, stdout } = await matrix(["init", "judge", "."], { cwd: folder });
    expect(code).toBe(0);
    expect(stdout).toContain("  .gitignore was there already, and was not changed\n");
    expect(stdout).toContain("  pyproject.toml was there already, and was not changed\n");
    expect(await readFile(join(folder, ".gitignore"), "utf8")).toBe("mine");
    expect(await readFile(join(folder, "pyproject.toml"), "utf8")).toBe("mine");
  }));

test.each([
  [["debat", "x"], 'there is no template debat\nhint: did you mean "debate"?'],
  [["something", "x"], "there is no template something\nhint: templates: best-of-n, chat"],
  [["chat", "x", "--python", "--typescript"], "a template has one language"],
  [["chat", "x", "--from", "coral"], "--from takes the place of a template"],
  [["--from", "coral"], "--from takes the place of a template"],
  [["x", "--from", "corall"], 'did you mean "coral"?'],
])("matrix init %p is refused", (words, message) =>
  withFolder(async (folder) => {
    const { code, stderr } = await matrix(["init", ...words], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(await readdir(folder)).toEqual([]);
  }),
);

test("a copy of a built-in recipe has what it extends, and names nothing outside of its folder", () =>
  withFolder(async (folder) => {
    await matrix(["init", "--from", "coral-gsm8k", "mine"], { cwd: folder });
    const files = await filesIn(join(folder, "mine"));
    expect(files.filter((name) => !name.startsWith(".matrix/"))).toEqual([
      ".gitignore",
      "coral.toml",
      "coral/answer.ts",
      "coral/extract.ts",
      "coral/gsm8k.jsonl",
      "coral/match.ts",
      "coral/question.md",
      "coral/speaker.ts",
      "coral/student-number.md",
      "coral/teacher-number.md",
      "package.json",
      "recipe.toml",
      "tsconfig.json",
    ]);
    const recipe = await readFile(join(folder, "mine/recipe.toml"), "utf8");
    expect(recipe).toContain('\nname = "mine"\n');
    expect(recipe).toContain('extends = "coral.toml"');
  }));

test("a copy of every built-in recipe is found sound, and reads no file of the binary", () =>
  withFolder(async (folder) => {
    for (const { name } of await builtInRecipes()) {
      await matrix(["init", "--from", name, name], { cwd: folder });
      const { code, stdout } = await matrix(["check", name, "--no-code"], { cwd: folder });
      expect({ name, code }).toEqual({ name, code: 0 });
      expect(stdout).not.toContain("built-in:");
    }
  }));
