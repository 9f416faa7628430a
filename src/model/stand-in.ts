// A model that stands in for another one in a forecast: it answers at once what that one would, or
// what is expected of it, and asks nobody. The time that an answer would have taken passes for
// whoever counts it, and for nobody else.

import { AsyncLocalStorage } from "node:async_hooks";
import {
  EXPECTED,
  type ModelConfig,
  PLAIN_SIMULATION,
  type SimulatedModelConfig,
} from "../recipe/model-schema.ts";
import { createRandom, deriveSeed } from "../task/seed.ts";
import type { ChatAnswer, ChatRequest, Model } from "./contract.ts";
import { createModel, loadReplies, type ModelParts, simulatedError } from "./create.ts";
import { sample } from "./distribution.ts";
import { CHARACTERS_PER_TOKEN, limitOf, type Replies, simulate, TOO_LONG } from "./simulated.ts";
import { drawWords } from "./words.ts";

/** Between tries, about: half of what src/model/retry.ts may wait at the most. */
const BACKOFF_MS = { first: 125, max: 15_000 } as const;

const counting = new AsyncLocalStorage<{ ms: number }>();

/** What it comes to, and how long stand-ins would have taken for it. */
export async function countTime<T>(
  act: () => Promise<T> | T,
): Promise<{ readonly value: T; readonly ms: number }> {
  const time = { ms: 0 };
  const value = await counting.run(time, act);
  return { value, ms: time.ms };
}

/** With the name, the price and the label of the model that it stands for. */
export async function createStandIn(
  name: string,
  config: ModelConfig,
  parts: ModelParts,
): Promise<Model> {
  const model = await createModel(name, config, parts);
  switch (config.kind) {
    case "simulated": {
      const replies = await loadReplies(name, config, parts);
      return { ...model, chat: async (request) => answerOf(config, replies, request) };
    }
    case "openai": {
      const { output_tokens: stated, ...pace } = config.expect ?? EXPECTED;
      const isAssumed = config.expect?.output_tokens === undefined;
      const expected = { ...PLAIN_SIMULATION, ...pace };
      const length = stated ?? EXPECTED.output_tokens;
      return {
        ...model,
        chat: async (request) => {
          const most = isAssumed ? limitOf(request.sampling) : Number.POSITIVE_INFINITY;
          const replies: Replies = (_, { random }) =>
            drawTokens(Math.min(most, sample(length, random)), random);
          // A schema asks for something else than words. Nothing ends for a length that nobody
          // stated.
          return answerOf(
            expected,
            request.schema === undefined ? replies : null,
            isAssumed ? unlimited(request) : request,
          );
        },
      };
    }
    case "scripted": {
      const script = await createModel(
        name,
        { ...config, latency: { kind: "constant", value: 0 } },
        parts,
      );
      return {
        ...model,
        chat: (request, signal) => {
          pass(sample(config.latency, createRandom(deriveSeed(request.seed, "latency"))));
          return script.chat(request, signal);
        },
      };
    }
  }
}

function unlimited(request: ChatRequest): ChatRequest {
  const { max_tokens: _, max_completion_tokens: __, ...sampling } = request.sampling;
  return { ...request, sampling };
}

/** Words that are counted as just so many tokens. */
function drawTokens(tokens: number, random: () => number): string {
  const count = Math.max(1, Math.round(tokens));
  return drawWords(count, random)
    .padEnd(count * CHARACTERS_PER_TOKEN, "x")
    .slice(0, count * CHARACTERS_PER_TOKEN);
}

/** After as many tries as the model itself would need. */
function answerOf(
  config: SimulatedModelConfig,
  replies: Replies | null,
  request: ChatRequest,
): ChatAnswer {
  for (let tries = 0; ; tries++) {
    const { durationMs, failure, message, finishReason, usage } = simulate(
      config,
      replies,
      request,
      tries,
    );
    const late = failure === "timeout" || failure === "stalled" || durationMs > config.timeout;
    pass(late ? config.timeout : durationMs);
    if (failure === "context_length") return TOO_LONG;
    if (!late && failure === null)
      return { message, finishReason, usage: { ...usage, requests: tries + 1 } };
    if (tries >= config.retries) throw simulatedError(failure ?? "timeout", config);
    pass(
      Math.min(BACKOFF_MS.max, BACKOFF_MS.first * 2 ** tries) +
        (failure === "rate_limited" ? config.retry_after : 0),
    );
  }
}

function pass(ms: number): void {
  const time = counting.getStore();
  if (time !== undefined) time.ms += ms;
}
