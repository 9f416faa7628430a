// The list of the files that the binary carries.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { BUILT_IN_FILES, renderBuiltIn } from "../../scripts/generators/built-in.ts";
import { FILES } from "../../src/recipe/built-in/files.js";

test("the binary carries every file of recipes and of sandboxes/tau2 (scripts/generate)", () => {
  expect(readFileSync(BUILT_IN_FILES, "utf8")).toBe(renderBuiltIn());
  expect(FILES.get("recipes/coral/rule.py")).toContain("def next");
  expect(FILES.get("sandboxes/tau2/Dockerfile")).toContain("FROM ");
});
