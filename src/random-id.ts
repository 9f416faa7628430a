// Random ids of processes, runs and temporary files, and secrets: URL-safe letters, by nanoid.

import { nanoid } from "nanoid";

/** Each letter has 6 random bits, from a source fit for secrets. */
export function randomId(letters: number): string {
  return nanoid(letters);
}
