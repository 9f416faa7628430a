// Every template of `matrix init`, as a user would try it: check, drive, its own test, and what an
// editor says of it.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";

const TEMPLATES = [
  ["chat", 3, "agreed 3"],
  ["debate", 3, "completed 3"],
  ["judge", 4, "completed 3, filtered 1"],
  ["tool-use", 3, "stopped 3"],
  ["best-of-n", 3, "completed 3"],
  ["extraction", 3, "completed 3"],
] as const;

const PYTHON = [join(ROOT, ".tools/python/bin/python"), "python3"].find((python) => {
  const found = Bun.which(python);
  return found !== null && Bun.spawnSync([found, "-c", "import pytest"]).success;
});
if (PYTHON === undefined)
  console.log("skipped: no pytest for the tests of templates: run scripts/python-env");

function run(command: readonly string[], cwd: string): { readonly code: number; text: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { cwd });
  return { code: exitCode, text: `${stdout}${stderr}` };
}

const tool = (name: string) => [process.execPath, "--bun", join(ROOT, "node_modules/.bin", name)];

async function checkAndDrive(folder: string, rows: number, ends: string): Promise<string> {
  const checked = await matrix(["check", "recipe.toml"], { cwd: folder });
  expect({ code: checked.code, stderr: checked.stderr }).toEqual({ code: 0, stderr: "" });
  expect(checked.stdout).toEndWith("nothing is wrong with it\n");
  const driven = await matrix(["drive", "recipe.toml", "-q"], { cwd: folder });
  expect(driven.code).toBe(0);
  expect(driven.stdout).toContain(
    `expected ${rows} = ok ${rows} + failed 0 + lost 0\nended: ${ends}\n`,
  );
  return /score: mean ([\d.]+)/.exec(driven.stdout)?.[1] ?? "";
}

test.each(TEMPLATES)(
  "the template %s in TypeScript is sound, runs, passes its test and has right types",
  (name, rows, ends) =>
    withFolder(async (folder) => {
      await matrix(["init", name, ".", "--typescript"], { cwd: folder });
      expect(Number(await checkAndDrive(folder, rows, ends))).toBeGreaterThan(0);
      const { code, text } = run([process.execPath, "test"], folder);
      expect({ code, text }).toEqual({ code: 0, text: expect.stringContaining(" 0 fail") });
      const types = ["--types", "bun", "--typeRoots", join(ROOT, "node_modules/@types")];
      expect(run([...tool("tsc"), "-p", ".", ...types], folder)).toEqual({ code: 0, text: "" });
    }),
);

test.skipIf(PYTHON === undefined).each(TEMPLATES)(
  "the template %s in Python is sound, runs and passes its test",
  (name, rows, ends) =>
    withFolder(async (folder) => {
      await matrix(["init", name, ".", "--python"], { cwd: folder });
      expect(Number(await checkAndDrive(folder, rows, ends))).toBeGreaterThan(0);
      const { code, text } = run([PYTHON ?? "", "-m", "pytest", "-q"], folder);
      expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/\d passed/) });
    }),
);

test("a template makes the same scores in both languages", () =>
  withFolder(async (folder) => {
    const scores: unknown[] = [];
    for (const language of ["python", "typescript"]) {
      const project = join(folder, language);
      await matrix(["init", "best-of-n", project, `--${language}`]);
      await matrix(["drive", project, "-q", "-o", join(project, "out")]);
      const { stdout } = await matrix(["report", join(project, "out"), "--json"]);
      const [{ domain: _, ...scored }] = JSON.parse(stdout).domains;
      scores.push(scored);
    }
    expect(scores[0]).toMatchObject({ tasks: 3, failed: 0, scored: 3, mean: 7 / 12 });
    expect(scores[1]).toEqual(scores[0]);
  }));

test("Pyright finds nothing wrong in the templates in Python", () =>
  withFolder(async (folder) => {
    for (const [name] of TEMPLATES) {
      const project = join(folder, name);
      await matrix(["init", name, project, "--python"]);
      expect(run(tool("pyright"), project)).toEqual({
        code: 0,
        text: expect.stringContaining("0 errors, 0 warnings, 0 informations"),
      });
    }
  }));
