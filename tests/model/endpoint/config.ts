// The configuration of an OpenAI-compatible model, as the schema would fill it in for tests.

import type { OpenaiModelConfig } from "../../../src/recipe/schema/model-schema.ts";

export function openaiConfig(more: Partial<OpenaiModelConfig> = {}): OpenaiModelConfig {
  return {
    kind: "openai",
    base_url: "http://127.0.0.1:9/v1",
    model: "x",
    headers: {},
    extra_body: {},
    seed: true,
    timeout: 10_000,
    connect_timeout: 1000,
    retries: 0,
    deadline: 10_000,
    concurrency: 10,
    ...more,
  } as OpenaiModelConfig;
}
