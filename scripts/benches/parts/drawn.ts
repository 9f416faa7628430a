// What the simulated model drew: each model step of a record is asked again, of the same model
// without its waiting. Requests follow from the record and latencies from requests, so this is
// exact, and what a step took beyond it is the program's doing.

import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Agent } from "../../../src/agent/contract.ts";
import { loadTemplate, planAgent } from "../../../src/agent/create.ts";
import { loadUserModule } from "../../../src/agent/user-module.ts";
import type { Model } from "../../../src/model/contract.ts";
import { loadReplies } from "../../../src/model/create.ts";
import { simulate } from "../../../src/model/simulated.ts";
import { loadRecipe } from "../../../src/recipe/load.ts";
import type { SimulatedModelConfig } from "../../../src/recipe/schema/model-schema.ts";
import type { TrajectoryRecord } from "../../../src/task/record.ts";

/** The drawn latencies of a record's model steps, in milliseconds. */
export type DrawnLatencies = (record: TrajectoryRecord) => Promise<number[]>;

/** For the records of a run directory. */
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
  const parts = { recipe, cwd: process.cwd(), loadModule: loadUserModule };
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
      const answer = await agent.run(task, { signal });
      if (!isDeepStrictEqual(answer.result, result))
        throw new Error(`row ${id}, hop ${hop}: asked again, the model answers otherwise`);
    }
    return [...drawn];
  };
}

async function createInstantModel(
  name: string,
  config: SimulatedModelConfig,
  onDrawn: (ms: number) => void,
): Promise<Model> {
  const replies = await loadReplies(name, config, { loadModule: loadUserModule, loadTemplate });
  return {
    name,
    id: name,
    simulated: true,
    replicas: null,
    costOf: () => undefined,
    chat: async (request) => {
      const answer = simulate(config, replies, request, 0);
      onDrawn(answer.durationMs);
      return answer;
    },
  };
}
