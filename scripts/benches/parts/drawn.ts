// The latencies that the simulated model drew. Each model step of a record is asked again, from the
// same model without its waiting. The record determines the requests, and a request determines its
// latency, so the result is exact. All time of a step beyond it was spent by the program.

import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Agent } from "../../../src/agent/contract.ts";
import { loadTemplate, planAgent } from "../../../src/agent/create.ts";
import { loadUserModule } from "../../../src/agent/user-module.ts";
import type { Model } from "../../../src/model/contract.ts";
import { loadReplies } from "../../../src/model/create.ts";
import { simulate } from "../../../src/model/simulated.ts";
import { PythonFiles } from "../../../src/python/files.ts";
import { loadRecipe } from "../../../src/recipe/load.ts";
import type { SimulatedModelConfig } from "../../../src/recipe/schema/model-schema.ts";
import type { TrajectoryRecord } from "../../../src/task/record.ts";

/** The drawn latencies of a record's model steps, in milliseconds. */
export type DrawnLatencies = (record: TrajectoryRecord) => Promise<number[]>;

/** Reads the recipe of a run directory and returns the function for its records. */
export async function createDrawnLatencies(output: string): Promise<DrawnLatencies> {
  const { recipe } = await loadRecipe(join(output, "recipe.toml"), {
    env: process.env,
    cwd: process.cwd(),
  });
  const drawn: number[] = [];
  const models = new Map<string, Model>();
  for (const [name, config] of Object.entries(recipe.models)) {
    if (config.kind === "simulated")
      models.set(name, await createInstantModel(name, config, (ms) => drawn.push(ms)));
  }
  const pool = (sandbox: string): never => {
    throw new Error(`an llm role needs no sandbox ${sandbox}`);
  };
  const parts = {
    recipe,
    cwd: process.cwd(),
    loadModule: loadUserModule,
    python: new PythonFiles(),
  };
  const agents = new Map<string, Agent>();
  for (const [name, config] of Object.entries(recipe.roles)) {
    if (config.agent !== "llm") continue;
    agents.set(name, (await planAgent(name, config, parts)).open({ models, pool }));
  }
  const { signal } = new AbortController();
  return async ({ id, history, timing, ...rest }) => {
    drawn.length = 0;
    for (const { hop, role, result } of history) {
      const agent = agents.get(role);
      if (agent === undefined) continue;
      const task = {
        ...rest,
        rowId: id,
        role,
        state: null,
        history: history.slice(0, hop),
        admittedAt: 0,
        trace: null,
      };
      const answer = await agent.run(task, { signal, tries: 1, missed: () => undefined });
      if (!isDeepStrictEqual(answer.result, result))
        throw new Error(`row ${id}, hop ${hop}: the model, asked again, gave another answer`);
    }
    return [...drawn];
  };
}

async function createInstantModel(
  name: string,
  config: SimulatedModelConfig,
  onDrawn: (ms: number) => void,
): Promise<Model> {
  const replies = await loadReplies(name, config, {
    ...{ loadModule: loadUserModule, loadTemplate, python: new PythonFiles() },
  });
  return {
    name,
    id: name,
    simulated: true,
    replicas: null,
    provider: "simulated",
    costOf: () => undefined,
    chat: async (request) => {
      const answer = await simulate(config, replies, request, 0);
      onDrawn(answer.durationMs);
      return answer;
    },
  };
}
