// Packages that user modules import without installing them.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { ROOT } from "../parts/repository.ts";
import { writeSmallRun } from "./small-run.ts";

test("a program that prepares a recipe need not install what the recipe's modules import", () =>
  withFolder(async (folder) => {
    const grade = `
      import { StateGraph } from "@langchain/langgraph";
      import { agent } from "matrix";
      export default agent(() => ({ score: typeof StateGraph === "function" ? 1 : 0 }));`;
    const recipe = await writeSmallRun(folder, { rows: 1, files: { "grade.ts": grade } });
    const program = `
      import { prepare } from ${JSON.stringify(join(ROOT, "src/run/prepare.ts"))};
      import { runRecipe } from ${JSON.stringify(join(ROOT, "src/run/run-recipe.ts"))};
      const plan = await prepare(${JSON.stringify(recipe)}, { env: {}, cwd: import.meta.dir });
      const summary = await runRecipe(plan, { directory: import.meta.dir + "/run" });
      console.log(JSON.stringify(summary.score));`;
    await writeFile(join(folder, "program.ts"), program);
    const child = Bun.spawn([process.execPath, "--no-install", "program.ts"], {
      cwd: folder,
      stderr: "inherit",
    });
    expect(JSON.parse(await child.stdout.text())).toEqual({ scored: 1, mean: 1 });
  }));
