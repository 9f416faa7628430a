// Finds the mutants that a test file reaches. Instrumented code marks them in a file that all
// processes of a dry run share in memory, so what a child reached is there even after SIGKILL.

import { readFileSync, writeFileSync } from "node:fs";

/** Environment variable with the path of the shared file of marks, a byte for each mutant. */
const MARKS_FILE = "MUTATION_MARKS_FILE";

/** Expression for the array of marks, at the head of each instrumented source. */
export function marksExpression(total: number): string {
  const mapped = `globalThis.Bun?.mmap(process.env.${MARKS_FILE})`;
  const array = `process.env.${MARKS_FILE} ? ${mapped} : new Uint8Array(${total})`;
  return `globalThis.__mutationMarks ??= ${array}`;
}

export function createMarks(path: string, total: number): Readonly<Record<string, string>> {
  // An empty file cannot be mapped.
  writeFileSync(path, new Uint8Array(Math.max(1, total)));
  return { [MARKS_FILE]: path };
}

/** Keeps the marks made so far, of modules that load, apart from those of the tests to come. */
export function splitMarks(): void {
  const path = process.env[MARKS_FILE] ?? "";
  const marks = Bun.mmap(path);
  writeFileSync(loadedPath(path), marks);
  marks.fill(0);
}

export interface Reached {
  /** Numbers of the mutants reached while modules load only. */
  readonly loaded: readonly number[];
  /** Numbers of those reached while tests run. */
  readonly run: readonly number[];
}

export function readMarks(path: string): Reached {
  try {
    return { loaded: marked(readFileSync(loadedPath(path))), run: marked(readFileSync(path)) };
  } catch {
    // No test began.
    return { loaded: marked(readFileSync(path)), run: [] };
  }
}

function loadedPath(path: string): string {
  return `${path}.loaded`;
}

function marked(bytes: Uint8Array): number[] {
  return [...bytes.keys()].filter((i) => bytes[i] !== 0);
}
