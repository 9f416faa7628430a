// The shipped recipe over bridges that are plain processes, for machines that have no engine: the
// same roles, rules, requests and bridge, without the sandboxes.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "../../parts/repository.ts";

const RECIPES = join(ROOT, "recipes");
const STEP = join(import.meta.dir, "fixtures/step.ts");

/**
 * Writes tau2.toml and tau2-gold.toml into the folder; their paths still lead to the shipped files.
 */
export async function writeRecipes(
  folder: string,
): Promise<{ readonly tau2: string; readonly gold: string }> {
  const [tau2, gold] = [join(folder, "tau2.toml"), join(folder, "tau2-gold.toml")];
  const shipped = await readFile(join(RECIPES, "tau2.toml"), "utf8");
  const plain = shipped
    .replace(/\[sandboxes\..+\n(?:.+\n)+/g, "")
    .replaceAll(/(?:sandbox|history) = .+\n/g, "")
    .replaceAll('"../sandboxes/tau2/bridge.py"', JSON.stringify(STEP));
  await writeFile(tau2, withPaths(plain));
  await writeFile(gold, withPaths(await readFile(join(RECIPES, "tau2-gold.toml"), "utf8")));
  return { tau2, gold };
}

function withPaths(toml: string): string {
  return toml.replaceAll('"tau2/', `"${RECIPES}/tau2/`);
}
