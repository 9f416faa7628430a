// Ids that nobody else has: of processes, runs, temporary files; and secrets. URL-safe letters, by nanoid.

import { nanoid } from "nanoid";

/** 6 bits a letter, from a source fit for secrets. */
export function randomId(letters: number): string {
  return nanoid(letters);
}
