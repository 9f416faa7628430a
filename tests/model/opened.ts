// A model of a recipe's table, opened for a test outside of any run.

import { type ModelContext, NO_RUN } from "../../src/model/context.ts";
import type { Model } from "../../src/model/contract.ts";
import { planModel, type ReplyLoaders } from "../../src/model/create.ts";
import { PythonFiles } from "../../src/python/files.ts";
import type { ModelConfig } from "../../src/recipe/schema/model-schema.ts";

/** Opens the model; `parts` replaces loaders of replies and parts of the context. */
export async function openModel(
  name: string,
  config: ModelConfig,
  parts: Partial<ReplyLoaders & ModelContext> = {},
): Promise<Model> {
  const loaders = {
    loadModule: async () => ({}),
    loadTemplate: async () => () => "",
    python: new PythonFiles(),
    ...parts,
  };
  return (await planModel(name, config, loaders)).open({ ...NO_RUN, ...parts });
}
