// Problems of a recipe that its parts find when they are made, as problems with a place in the
// file.

import { MatrixError, type Problem } from "../error.ts";
import type { LoadedRecipe } from "../recipe/load.ts";

/** A problem with its own place keeps it; any other gets the place of `key`. */
export function problemsOf(thrown: unknown, key: string, loaded: LoadedRecipe): readonly Problem[] {
  if (!(thrown instanceof MatrixError)) throw thrown;
  if (thrown.problems.length > 0) {
    return thrown.problems.map((problem) =>
      problem.file === undefined ? loaded.problemAt(problem.key ?? key, problem.message) : problem,
    );
  }
  const message = thrown.hint === undefined ? thrown.message : `${thrown.message} (${thrown.hint})`;
  return [loaded.problemAt(key, message)];
}
