// Asks each endpoint that a role of the recipe uses once, on this machine.

import type { Problem } from "../../error.ts";
import { type ProbeKind, probeModel } from "../../model/replica/probe.ts";
import { joinKey } from "../../recipe/key-path.ts";
import type { LoadedRecipe } from "../../recipe/load.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Plan } from "../plan.ts";

/**
 * Problems of the endpoints that these roles use, each with its place in the recipe. Fails with the
 * signal's reason.
 */
export async function probeEndpoints(
  loaded: LoadedRecipe,
  kind: ProbeKind,
  signal: AbortSignal,
  roles: readonly string[] = Object.keys(loaded.recipe.roles),
): Promise<readonly Problem[]> {
  const { recipe } = loaded;
  const used = new Set(roles.map((name) => recipe.roles[name]?.model));
  const probes = Object.entries(recipe.models).map(async ([name, config]) => {
    if (config.kind !== "openai" || !used.has(name)) return [];
    const problems = await probeModel(config, kind, signal);
    return problems.map(({ key, message }) =>
      loaded.problemAt(`${joinKey("models", name)}.${key}`, message),
    );
  });
  return (await Promise.all(probes)).flat();
}

/**
 * Logs what endpoints refuse as soon as they do. The caller does not wait, because a server may
 * come later; it calls the result to give up.
 */
export function warnOfEndpoints(plan: Plan, log: Log, roles?: readonly string[]): () => void {
  const over = new AbortController();
  void probeEndpoints(plan.loaded, "list", over.signal, roles).then(
    (problems) => {
      for (const { key, file, line, message } of problems) {
        const place = file === undefined || line === undefined ? "" : ` (${file}:${line})`;
        log.write("warning", `${key}${place}: ${message}`);
      }
    },
    () => undefined,
  );
  return () => over.abort();
}
