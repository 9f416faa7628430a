// Loaded before a test file in the dry run: writes down which mutants the file reaches, apart for what
// runs while modules load and what runs while tests run.

import { afterAll, beforeEach } from "bun:test";
import { writeFileSync } from "node:fs";
import { COVERAGE_FILE, COVERAGE_GLOBAL, COVERAGE_TOTAL } from "./coverage.ts";

const scope = globalThis as unknown as Record<string, Uint8Array | undefined>;
const marks = new Uint8Array(Number(process.env[COVERAGE_TOTAL]));
scope[COVERAGE_GLOBAL] = marks;
let loaded: Uint8Array | null = null;

beforeEach(() => {
  if (loaded) return;
  loaded = marks.slice();
  marks.fill(0);
});

afterAll(() => {
  writeFileSync(
    process.env[COVERAGE_FILE] ?? "",
    JSON.stringify({ loaded: indices(loaded ?? marks), run: loaded ? indices(marks) : [] }),
  );
});

function indices(bytes: Uint8Array): number[] {
  return [...bytes.keys()].filter((i) => bytes[i] !== 0);
}
