// The files whose code is changed by a mutation trial.

import { expect, test } from "bun:test";
import { isSource } from "../../../scripts/mutation/project.ts";

test.each([
  ["src/main.ts", true],
  ["src/recipe/built-in/locate.ts", true],
  ["src/recipe/built-in/files.d.ts", false],
  ["src/view/page/app.tsx", false],
  ["scripts/mutation/main.ts", false],
  ["tests/src/main.ts", false],
])("code of %s is changed: %p", (path, expected) => {
  expect(isSource(path)).toBe(expected);
});
