// Everything that is wrong with a recipe, in one round: each check looks at what the checks before
// it left sound. What the recipe would do is told first, before any of its code is loaded.

import { MatrixError, type Problem } from "../../error.ts";
import { examineRecipe, type LoadedRecipe } from "../../recipe/load.ts";
import { recipeInvalid } from "../../recipe/problem.ts";
import { checkCache } from "../answers.ts";
import type { Plan } from "../plan.ts";
import { type Examined, examine, type PrepareOptions } from "../prepare.ts";
import { firstRowOf, type Preview, previewRow } from "../preview.ts";
import { probeEndpoints } from "../probe/endpoints.ts";
import { checkPrograms } from "../probe/programs.ts";
import { problemsOf } from "../recipe-problems.ts";
import { type Scanned, scanRows } from "../scan-rows.ts";
import { checkCode } from "./code-part.ts";
import { withoutSecrets } from "./environment.ts";
import { laterDoubts } from "./later-doubts.ts";
import { hasModules, type Reach, reachOf } from "./reach.ts";

export interface CheckOptions extends PrepareOptions {
  /** Asks each endpoint in use for one token. */
  readonly isProbed: boolean;
  /** False: no module is loaded and no program started. */
  readonly withCode: boolean;
  /** Told what the recipe would do, before anything of it is loaded or started. */
  readonly onReach: (reach: Reach) => void;
}

export interface CheckedRecipe {
  readonly loaded: LoadedRecipe;
  readonly models: Plan["models"];
  readonly scanned: Scanned;
  /** Probable mistakes, also those that only rows and the run directory tell. */
  readonly doubts: readonly Problem[];
  /** Null when code that was left out would decide it. */
  readonly preview: Preview | null;
}

/** Fails with every problem that was found. */
export async function checkRecipe(path: string, options: CheckOptions): Promise<CheckedRecipe> {
  const { env, onReach, withCode, isProbed } = options;
  const asked = await examineRecipe(path, options);
  const reach = await reachOf(asked, env);
  onReach(reach);
  const harmless = withoutSecrets(env, asked.loaded.references);
  const bare = { ...options, env: harmless, withCode: false };
  const examined = await examine(path, bare);
  const { loaded, models, soundness } = examined;
  const failures = new Failures(path, examined);
  if (withCode) await failures.attempt("roles", () => checkPrograms(examined));
  const scanned =
    soundness.isWhole("dataset") && !failures.isSaid("dataset.filter")
      ? await failures.attempt("dataset.path", () => scanRows(loaded, undefined))
      : null;
  const isModular = withCode && hasModules(reach);
  const preview = isModular
    ? await previewByCode(path, bare, scanned, failures)
    : await previewHere(examined, scanned, failures);
  await failures.attempt("run.cache", () => checkCache(loaded));
  if (isProbed)
    await failures.attempt("models", async () => {
      const refused = await probeEndpoints(asked.loaded, "ask", new AbortController().signal);
      if (refused.length > 0) throw recipeInvalid("the endpoints", refused);
    });
  failures.throwIfAny();
  if (scanned === null) throw new Error("bug: a dataset without a problem was not read");
  const later = await laterDoubts(loaded, scanned.scan.rows, options.cwd);
  return { loaded, models, scanned, doubts: [...loaded.doubts, ...later], preview };
}

async function previewHere(
  { plan }: Examined,
  scanned: Scanned | null,
  failures: Failures,
): Promise<Preview | null> {
  if (plan === null || scanned === null || failures.isSaid("orchestrator")) return null;
  return failures.attempt("orchestrator", async () => previewRow(plan, await firstRowOf(scanned)));
}

async function previewByCode(
  path: string,
  { overrides = [], cwd, env }: PrepareOptions,
  scanned: Scanned | null,
  failures: Failures,
): Promise<Preview> {
  const isPreviewed = scanned !== null && !failures.isSaid("orchestrator");
  const row = isPreviewed ? await firstRowOf(scanned) : null;
  const { loaded } = failures;
  const { problems, preview } = await checkCode(
    loaded,
    { path, overrides, cwd, row, isPreviewed },
    env as Record<string, string>,
  );
  failures.add(problems);
  return preview;
}

/** Failures as one error. A single failure stays as it is. */
class Failures {
  readonly loaded: LoadedRecipe;
  readonly #path: string;
  readonly #problems: Problem[];
  readonly #thrown: MatrixError[] = [];

  constructor(path: string, { problems, loaded }: Examined) {
    this.#path = path;
    this.#problems = [...problems];
    this.loaded = loaded;
  }

  /** True when there is a problem at a key that begins so. */
  isSaid(start: string): boolean {
    return this.#problems.some(({ key }) => key?.startsWith(start));
  }

  /** Adds the problems that are not known. */
  add(problems: readonly Problem[]): void {
    const nameOf = (one: Problem) =>
      JSON.stringify([one.file, one.line, one.column, one.key, one.message]);
    const known = new Set(this.#problems.map(nameOf));
    this.#problems.push(...problems.filter((one) => !known.has(nameOf(one))));
  }

  async attempt<T>(key: string, make: () => Promise<T>): Promise<T | null> {
    try {
      return await make();
    } catch (thrown) {
      if (!(thrown instanceof MatrixError)) throw thrown;
      this.#thrown.push(thrown);
      this.add(problemsOf(thrown, key, this.loaded));
      return null;
    }
  }

  throwIfAny(): void {
    if (this.#problems.length === 0) return;
    const [only] = this.#thrown;
    const isAlone =
      this.#thrown.length === 1 &&
      this.#problems.length === Math.max(1, only?.problems.length ?? 0);
    if (isAlone) throw only;
    throw recipeInvalid(this.#path, this.#problems, this.loaded.doubts);
  }
}
