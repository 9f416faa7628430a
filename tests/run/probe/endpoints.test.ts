// The endpoints of a recipe: those that roles use are asked, and problems have the recipe's line.

import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { probeEndpoints } from "../../../src/run/probe/endpoints.ts";
import { runRecipe } from "../../../src/run/run-recipe.ts";
import { withFolder } from "../../parts/folder.ts";
import { prepareSmallRun } from "../small-run.ts";

const endpoint = (name: string) =>
  `models.${name}={kind="openai", model="x", base_url="http://127.0.0.1:1/v1", deadline="500ms"}`;
const never = new AbortController().signal;

test("an endpoint that a role uses is asked, at the place in the recipe that names it", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { overrides: [endpoint("m"), endpoint("idle")] });
    for (const kind of ["list", "ask"] as const)
      expect(await probeEndpoints(plan.loaded, kind, never)).toMatchObject([
        {
          key: "models.m.base_url",
          file: expect.stringMatching(/^override models\.m=/),
          message: expect.stringMatching(/^no connection to http:\/\/127\.0\.0\.1:1\/v1: /),
        },
      ]);
  }));

test("a recipe with simulated models has no endpoint to ask", () =>
  withFolder(async (folder) => {
    expect(await probeEndpoints((await prepareSmallRun(folder)).loaded, "ask", never)).toEqual([]);
  }));

test("the start of a run says that an endpoint cannot be reached, and the run goes on", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { rows: 1, overrides: [endpoint("m")] });
    const summary = await runRecipe(plan, { directory: join(folder, "run") });
    expect(summary).toMatchObject({ state: "complete", failed: 1 });
    const log = await readFile(join(folder, "run", "logs", "driver.log"), "utf8");
    expect(log).toMatch(/warning models\.m\.base_url: no connection to http:\/\/127/);
  }));
