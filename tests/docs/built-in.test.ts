// The list of the files that the binary carries.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { BUILT_IN_FILES, renderBuiltIn } from "../../scripts/generators/built-in.ts";
import * as carried from "../../src/recipe/built-in/files.js";
import * as onDisk from "../../src/recipe/built-in/files-on-disk.ts";

test("the binary carries every file of recipes and of sandboxes/tau2 (scripts/generate)", () => {
  expect(readFileSync(BUILT_IN_FILES, "utf8")).toBe(renderBuiltIn());
  const { FILES } = carried;
  expect(FILES.get("recipes/coral/rule.py")).toContain("def next");
  expect(FILES.get("sandboxes/tau2/Dockerfile")).toContain("FROM ");
});

test("Deno reads from the disk what the binary carries", () => {
  expect([...onDisk.FILES]).toEqual([...carried.FILES]);
  expect([...onDisk.TEMPLATES]).toEqual([...carried.TEMPLATES]);
  expect(onDisk.TEMPLATES.size).toBeGreaterThan(50);
});
