// Problems that parts of a recipe find, with their place in its file.

import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import { recipeInvalid } from "../../src/recipe/problem.ts";
import { problemsOf } from "../../src/run/recipe-problems.ts";
import { withFolder } from "../parts/folder.ts";
import { prepareSmallRun } from "./small-run.ts";

test("a problem without a place gets that of its key, with the hint in brackets", () =>
  withFolder(async (folder) => {
    const { loaded } = await prepareSmallRun(folder);
    const file = `${folder}/recipe.toml`;
    const of = (thrown: unknown) => problemsOf(thrown, "roles.student.model", loaded);
    expect(of(new MatrixError("module_invalid", "it is broken"))).toMatchObject([
      { file, key: "roles.student.model", message: "it is broken", line: 14 },
    ]);
    expect(
      of(new MatrixError("module_invalid", "it is broken", { hint: "mend it" })),
    ).toMatchObject([{ message: "it is broken (mend it)" }]);
  }));

test("problems of a file keep their places, and those of a key get the place of that key", () =>
  withFolder(async (folder) => {
    const { loaded } = await prepareSmallRun(folder);
    const elsewhere = { file: "/tools.json", line: 3, message: "no name" };
    const thrown = new MatrixError("recipe_invalid", "many", {
      problems: [elsewhere, { key: "name", message: "too short" }, { message: "wrong" }],
    });
    expect(problemsOf(thrown, "roles.student", loaded)).toMatchObject([
      elsewhere,
      { key: "name", message: "too short", line: 2 },
      { key: "roles.student", message: "wrong" },
    ]);
  }));

test("an error that is none of this program's is thrown on", () =>
  withFolder(async (folder) => {
    const { loaded } = await prepareSmallRun(folder);
    const bug = new TypeError("undefined is not a function");
    expect(() => problemsOf(bug, "name", loaded)).toThrow(bug);
  }));

test("the error of a recipe counts its problems", () => {
  const problem = { message: "wrong" };
  expect(recipeInvalid("r.toml", [problem])).toMatchObject({
    ...{ code: "recipe_invalid", message: "r.toml: 1 problem", problems: [problem] },
  });
  expect(recipeInvalid("r.toml", [problem, problem]).message).toBe("r.toml: 2 problems");
});
