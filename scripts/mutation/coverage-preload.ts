// Loaded before a test file in the dry run: tells what modules reach while they load from what
// tests reach.

import { beforeEach } from "bun:test";
import { splitMarks } from "./coverage.ts";

let hasBegun = false;

beforeEach(() => {
  if (hasBegun) return;
  hasBegun = true;
  splitMarks();
});
