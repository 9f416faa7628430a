// Routes about runs as a whole.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Hono } from "hono";
import { masked } from "../../known-secrets.ts";
import { type Compared, compareAnswer } from "../answers/compare-answer.ts";
import { openCard, runAnswer } from "../answers/run-answer.ts";
import type { CompareAnswer, ErrorsAnswer, RecordsAnswer, RunAnswer, RunsAnswer } from "../api.ts";
import type { RunLibrary } from "../library/run-library.ts";
import type { ShownRun } from "../library/shown-run.ts";
import { errorGroups } from "../statistics/error-groups.ts";
import { BadQuery } from "../table/filter.ts";
import { NotFound } from "./failures.ts";

/** Runs that one comparison has. */
const COMPARED_MAX = 6;

export async function runOf(library: RunLibrary, key: string): Promise<ShownRun> {
  const shown = await library.run(key);
  if (shown === null)
    throw new NotFound("no_run", `there is no run ${key} below the folders that are shown`);
  return shown;
}

export function addRunRoutes(app: Hono, library: RunLibrary): void {
  app.get("/api/runs", async (context) => context.json<RunsAnswer>(await library.list()));
  app.get("/api/runs/:run", async (context) => {
    const shown = await runOf(library, context.req.param("run"));
    return context.json<RunAnswer>(await runAnswer(library, shown, await shown.moment()));
  });
  app.get("/api/runs/:run/recipe", async (context) => {
    const { run } = await runOf(library, context.req.param("run"));
    return context.text(await recipeText(run.found.path));
  });
  app.get("/api/runs/:run/records", async (context) => {
    const shown = await runOf(library, context.req.param("run"));
    const { table, said } = await shown.moment();
    const answer = await shown.listing.records(table, context.req.query(), said);
    return context.json<RecordsAnswer>(answer);
  });
  app.get("/api/runs/:run/errors", async (context) => {
    const shown = await runOf(library, context.req.param("run"));
    const { table, said } = await shown.moment();
    const places = await shown.listing.places(table, context.req.query(), said);
    return context.json<ErrorsAnswer>(await errorGroups(table, places));
  });
  app.get("/api/compare", async (context) => {
    const keys = [...new Set(context.req.queries("run") ?? [])];
    if (keys.length < 2 || keys.length > COMPARED_MAX)
      throw new BadQuery(`compare takes two to ${COMPARED_MAX} runs, as run=KEY&run=KEY`);
    const compared: Compared[] = [];
    for (const key of keys) {
      const shown = await runOf(library, key);
      const { table } = await shown.moment();
      compared.push({ shown, table, card: await openCard(library, shown, table) });
    }
    return context.json<CompareAnswer>(await compareAnswer(compared));
  });
}

async function recipeText(directory: string): Promise<string> {
  const text = await readFile(join(directory, "recipe.toml"), "utf8").catch(() => {
    throw new NotFound("no_part", "the run has no recipe.toml");
  });
  return masked(text);
}
