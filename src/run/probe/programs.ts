// Starts the programs of a recipe once each, on this machine, before a run begins.

import { filesIn } from "../../agent/role-files.ts";
import { joinKey } from "../../recipe/key-path.ts";
import { recipeInvalid } from "../../recipe/problem.ts";
import type { Recipe } from "../../recipe/schema/schema.ts";
import { SandboxSite } from "../../sandbox/site.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Plan } from "../plan.ts";
import { problemsOf } from "../recipe-problems.ts";

/**
 * Fails with `recipe_invalid` and every program that does not start. Programs in containers are not
 * started: a container costs seconds.
 */
export async function checkPrograms({
  agents,
  loaded,
}: Pick<Plan, "agents" | "loaded">): Promise<void> {
  const { recipe } = loaded;
  const programs = [...agents].filter(([name]) => isPlain(recipe, name));
  if (programs.length === 0) return;
  await using site = new SandboxSite({
    ...{ run: recipe.name, host: "check", log: SILENT, taskMs: recipe.run.timeout },
    ...{ configs: recipe.sandboxes, watched: new Set() },
    filesOf: (name) => filesIn(recipe, name),
  });
  const pool = (name: string) => site.pool(name);
  const problems = await Promise.all(
    programs.map(async ([name, { start }]) => {
      try {
        await start?.(pool);
        return [];
      } catch (thrown) {
        return problemsOf(thrown, joinKey("roles", name), loaded);
      }
    }),
  );
  if (problems.flat().length > 0) throw recipeInvalid("the programs", problems.flat());
}

/** True for a role whose agent is a program that runs as a plain process. */
function isPlain({ roles, sandboxes }: Recipe, name: string): boolean {
  const { agent, sandbox = "" } = roles[name] ?? {};
  return agent !== "exec" && sandboxes[sandbox]?.engine === "process";
}

const SILENT: Log = { write: () => undefined, close: () => Promise.resolve() };
