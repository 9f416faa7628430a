// Mutants tried against real test files, in a small project of its own.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createMarks, readMarks } from "../../../scripts/mutation/coverage.ts";
import { dryRun, type TestFile } from "../../../scripts/mutation/dry-run.ts";
import { instrument } from "../../../scripts/mutation/instrument.ts";
import type { Tree } from "../../../scripts/mutation/tree.ts";
import { createControls, tryMutant } from "../../../scripts/mutation/trial.ts";
import { withFolder } from "../../parts/folder.ts";

const SOURCE = `export const YEAR = 12;
export function isAdult(age: number): boolean {
  return age >= 18;
}
export function unused(): number {
  return 7;
}
`;

const HEAD = `import { expect, test } from "bun:test";
import { isAdult, YEAR } from "../src/age.ts";
`;
const TESTS = {
  "tests/none.test.ts": `${HEAD}test("there is a year", () => expect(YEAR).toBeDefined());\n`,
  "tests/age.test.ts": `${HEAD}test("18 is adult", () => expect(isAdult(18)).toBe(true));
test("this one fails anyway", () => expect(1).toBe(2));\n`,
  "tests/broken.test.ts": `${HEAD}test("no", () => expect(isAdult(2)).toBe(true));\n`,
};

function createTree(folder: string): Tree {
  return {
    root: folder,
    scratch: folder,
    write: async (file, text) => {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), text);
    },
    build: () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

test("the dry run tells which mutants a file reaches, and leaves out tests that fail anyway", () =>
  withFolder(async (folder) => {
    const tree = createTree(folder);
    const { mutants, marks, coverageText } = await instrument("src/age.ts", SOURCE);
    await tree.write("src/age.ts", coverageText(0, marks));
    for (const [file, text] of Object.entries(TESTS)) await tree.write(file, text);
    const layout = { total: marks, parts: [{ file: "src/age.ts", base: 0, count: marks }] };
    const observed = await dryRun(tree, "tests/age.test.ts", layout, true);
    expect(observed).toMatchObject({ skip: ["this one fails anyway"] });
    const { reach } = observed as TestFile;
    const inside = (ordinals: readonly number[] = []) => [
      ...new Set(mutants.filter((of) => ordinals.includes(of.ordinal)).map((of) => of.inside)),
    ];
    expect(inside(reach["src/age.ts"]?.loaded)).toEqual(["YEAR"]);
    expect(inside(reach["src/age.ts"]?.run)).toEqual(["isAdult"]);
    expect(await dryRun(tree, "tests/broken.test.ts", layout, true)).toEqual({
      path: "tests/broken.test.ts",
      reason: "every test fails here",
    });
  }));

test("a mutant is killed by the first file that fails with it and passes without it", () =>
  withFolder(async (folder) => {
    const tree = createTree(folder);
    const { mutants, switchText } = await instrument("src/age.ts", SOURCE);
    const boundary = mutants.find(({ replacement }) => replacement === "age > 18");
    const year = mutants.find(({ replacement }) => replacement === "13");
    if (!boundary || !year) throw new Error("there is no such mutant");
    await tree.write("src/age.ts", switchText(new Set([boundary.id, year.id])));
    for (const [file, text] of Object.entries(TESTS)) await tree.write(file, text);
    const files = Object.keys(TESTS).map(
      (path): TestFile => ({
        path,
        ms: 50,
        longestTestMs: 10,
        skip: ["this one fails anyway"],
        reach: {},
      }),
    );
    const failing: string[] = [];
    const controls = createControls(tree, (path) => failing.push(path));
    expect(await tryMutant(tree, boundary, files.toReversed(), controls)).toEqual({
      status: "killed",
      by: "tests/age.test.ts",
    });
    expect(failing).toEqual(["tests/broken.test.ts"]);
    expect(await tryMutant(tree, year, files, controls)).toEqual({ status: "survived", by: null });
    expect(await tryMutant(tree, year, [], controls)).toEqual({ status: "not reached", by: null });
  }));

test("marks made by a process that was killed are there", () =>
  withFolder(async (folder) => {
    const path = join(folder, "marks");
    const { mutants, marks, coverageText } = await instrument("src/age.ts", SOURCE);
    await writeFile(join(folder, "age.ts"), coverageText(0, marks));
    await writeFile(
      join(folder, "run.ts"),
      'import { isAdult } from "./age.ts";\nisAdult(3);\nprocess.kill(process.pid, "SIGKILL");\n',
    );
    const child = Bun.spawn([process.execPath, join(folder, "run.ts")], {
      env: { ...process.env, ...createMarks(path, marks) },
    });
    await child.exited;
    const reached = new Set(readMarks(path).loaded);
    const inside = mutants.filter(({ ordinal }) => reached.has(ordinal)).map((of) => of.inside);
    expect(new Set(inside)).toEqual(new Set(["YEAR", "isAdult"]));
  }));
