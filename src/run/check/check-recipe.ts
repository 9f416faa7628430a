// Everything that is wrong with a recipe, in one round: each check looks at what the checks before
// it left sound.

import { MatrixError, type Problem } from "../../error.ts";
import type { LoadedRecipe } from "../../recipe/load.ts";
import { checkCache } from "../answers.ts";
import type { Plan } from "../plan.ts";
import { examine, type PrepareOptions } from "../prepare.ts";
import { type Preview, previewFirstRow } from "../preview.ts";
import { probeEndpoints } from "../probe/endpoints.ts";
import { checkPrograms } from "../probe/programs.ts";
import { problemsOf, recipeInvalid } from "../recipe-problems.ts";
import { type Scanned, scanRows } from "../scan-rows.ts";

export interface CheckOptions extends PrepareOptions {
  /** Asks each endpoint in use for one token. */
  readonly isProbed: boolean;
}

export interface CheckedRecipe {
  readonly plan: Plan;
  readonly scanned: Scanned;
  readonly preview: Preview;
}

/** Fails with every problem that was found. */
export async function checkRecipe(path: string, options: CheckOptions): Promise<CheckedRecipe> {
  const { loaded, plan, problems, soundness } = await examine(path, options);
  const failures = new Failures(path, problems, loaded);
  const parts = plan === null ? { loaded, agents: new Map() } : plan;
  await failures.attempt("roles", () => checkPrograms(parts));
  const isSaid = (start: string) => problems.some(({ key }) => key?.startsWith(start));
  const scanned =
    soundness.isWhole("dataset") && !isSaid("dataset.filter")
      ? await failures.attempt("dataset.path", () => scanRows(loaded, undefined))
      : null;
  const preview =
    plan === null || scanned === null || isSaid("orchestrator")
      ? null
      : await failures.attempt("orchestrator", () => previewFirstRow(plan, scanned));
  await failures.attempt("run.cache", () => checkCache(loaded));
  if (options.isProbed)
    await failures.attempt("models", async () => {
      const refused = await probeEndpoints(loaded, "ask", new AbortController().signal);
      if (refused.length > 0) throw recipeInvalid("the endpoints", refused);
    });
  failures.throwIfAny();
  if (plan === null || scanned === null || preview === null)
    throw new Error("bug: a recipe without a plan has no problem");
  return { plan, scanned, preview };
}

/** What failed, as one error. A single failure stays as it is. */
class Failures {
  readonly #path: string;
  readonly #loaded: LoadedRecipe;
  readonly #problems: Problem[];
  readonly #thrown: unknown[] = [];

  constructor(path: string, problems: readonly Problem[], loaded: LoadedRecipe) {
    this.#path = path;
    this.#problems = [...problems];
    this.#loaded = loaded;
  }

  async attempt<T>(key: string, make: () => Promise<T>): Promise<T | null> {
    try {
      return await make();
    } catch (thrown) {
      if (!(thrown instanceof MatrixError)) throw thrown;
      this.#thrown.push(thrown);
      this.#problems.push(...problemsOf(thrown, key, this.#loaded));
      return null;
    }
  }

  throwIfAny(): void {
    if (this.#problems.length === 0) return;
    const [only] = this.#thrown;
    const isAlone = this.#thrown.length === 1 && this.#problems.length === countOf(only);
    if (isAlone) throw only;
    throw recipeInvalid(this.#path, [...this.#problems, ...this.#loaded.doubts]);
  }
}

/** Problems that this failure brought. */
function countOf(thrown: unknown): number {
  return thrown instanceof MatrixError ? Math.max(1, thrown.problems.length) : 0;
}
