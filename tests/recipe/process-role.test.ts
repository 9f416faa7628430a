// Program roles: which roles are programs, and the sandbox that each gets.

import { expect, test } from "bun:test";
import { isOfRole, withProcesses } from "../../src/recipe/process-role.ts";
import type { Recipe, RoleConfig } from "../../src/recipe/schema/schema.ts";

const recipeOf = (roles: Readonly<Record<string, Partial<RoleConfig>>>) =>
  ({ roles, sandboxes: { box: { image: "ubuntu" } } }) as unknown as Recipe;
const sandboxOf = (role: Partial<RoleConfig>) =>
  withProcesses(recipeOf({ a: role }), {}).roles["a"]?.sandbox;

test("a file that is not a module, a role with a command, and process are programs", () => {
  expect(sandboxOf({ agent: "/a.py" })).toBe("a (process)");
  expect(sandboxOf({ agent: "/a" })).toBe("a (process)");
  expect(sandboxOf({ agent: "/a.ts", command: ["bun", "/a.ts"] })).toBe("a (process)");
  expect(sandboxOf({ agent: "process", command: ["x"] })).toBe("a (process)");
  expect(sandboxOf({ agent: "process" })).toBe("a (process)");
});

test("a module, a built-in agent and a role in a sandbox are no program roles", () => {
  for (const agent of ["/a.ts", "/a.mjs", "llm", "exec", "language"])
    expect(sandboxOf({ agent })).toBeUndefined();
  expect(sandboxOf({ agent: "language", command: ["x"] })).toBeUndefined();
  expect(sandboxOf({ agent: "/a.py", sandbox: "box" })).toBe("box");
  expect(sandboxOf({ agent: "process", sandbox: "box" })).toBe("box");
});

test("a program role gets plain processes, as many as it asks for, with its timeout", () => {
  const roles = { a: { agent: "/a.py", timeout: 7000, processes: 3 }, b: { agent: "/b.py" } };
  const { sandboxes } = withProcesses(recipeOf(roles), {});
  expect(Object.keys(sandboxes)).toEqual(["box", "a (process)", "b (process)"]);
  expect(sandboxes["a (process)"]).toMatchObject({
    engine: "process",
    stateful: false,
    serves: "many",
    count: 3,
    warm: 0,
    timeout: 7000,
  });
  expect(sandboxes["b (process)"]).toMatchObject({ count: 1 });
});

test("a program sees the user's environment, but not what belongs to matrix", () => {
  const env = {
    HOME: "/h",
    MATRIX_TOKEN: "t",
    MATRIX_: "x",
    MATRIX: "kept",
    EMPTY: "",
    NONE: undefined,
  };
  const { sandboxes } = withProcesses(recipeOf({ a: { agent: "/a.py" } }), env);
  expect(sandboxes["a (process)"]?.env).toStrictEqual({ HOME: "/h", MATRIX: "kept", EMPTY: "" });
});

test("the sandbox of a program role is told apart by its name", () => {
  expect(isOfRole("a (process)")).toBe(true);
  expect(["box", "process", "a(process)"].filter(isOfRole)).toEqual([]);
});

test("adding the sandboxes of program roles leaves the given recipe unchanged", () => {
  const recipe = recipeOf({ a: { agent: "/a.py" } });
  withProcesses(recipe, {});
  expect(recipe.roles["a"]?.sandbox).toBeUndefined();
  expect(Object.keys(recipe.sandboxes)).toEqual(["box"]);
});
