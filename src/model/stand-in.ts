// A model that stands in for another one in a forecast. It answers at once what the other one would
// answer, or what the recipe expects of it, and asks no endpoint. The time that an answer would
// have taken is only counted: `countTime` sums it up.

import { AsyncLocalStorage } from "node:async_hooks";
import {
  EXPECTED,
  type ModelConfig,
  PLAIN_SIMULATION,
  type SimulatedModelConfig,
} from "../recipe/schema/model-schema.ts";
import { createRandom, deriveSeed } from "../task/seed.ts";
import { NO_RUN } from "./context.ts";
import type { ChatAnswer, ChatRequest, Model } from "./contract.ts";
import {
  loadReplies,
  type ModelPlan,
  planModel,
  type ReplyLoaders,
  simulatedError,
} from "./create.ts";
import { sample } from "./distribution.ts";
import {
  CHARACTERS_PER_TOKEN,
  limitOf,
  type RemoteReplies,
  type Replies,
  simulate,
  TOO_LONG,
} from "./simulated.ts";
import { drawWords } from "./words.ts";

/** Mean pause between tries: half of the longest that src/model/retry.ts allows. */
const BACKOFF_MS = { first: 125, max: 15_000 } as const;

const counting = new AsyncLocalStorage<{ ms: number }>();

/** Runs `act` and sums up the time that stand-ins would have taken in it, in milliseconds. */
export async function countTime<T>(
  act: () => Promise<T> | T,
): Promise<{ readonly value: T; readonly ms: number }> {
  const time = { ms: 0 };
  const value = await counting.run(time, act);
  return { value, ms: time.ms };
}

/** The stand-in has the name, the price and the label of the model that it stands for. */
export async function planStandIn(
  name: string,
  config: ModelConfig,
  loaders: ReplyLoaders,
): Promise<ModelPlan> {
  const plan = await planModel(name, config, loaders);
  const answering = (chat: Model["chat"]): ModelPlan => ({
    ...plan,
    open: () => ({ ...plan, replicas: null, chat }),
  });
  switch (config.kind) {
    case "simulated": {
      const replies = await loadReplies(name, config, loaders);
      return answering((request) => answerOf(config, replies, request));
    }
    case "openai": {
      const { output_tokens: stated, ...pace } = config.expect ?? EXPECTED;
      const isAssumed = config.expect?.output_tokens === undefined;
      const expected = { ...PLAIN_SIMULATION, ...pace };
      const length = stated ?? EXPECTED.output_tokens;
      return answering(async (request) => {
        const most = isAssumed ? limitOf(request.sampling) : Number.POSITIVE_INFINITY;
        const replies: Replies = (_, { random }) =>
          drawTokens(Math.min(most, sample(length, random)), random);
        // With a schema, the answer is an instance of it and not words. A length that is only
        // assumed never cuts an answer off.
        return answerOf(
          expected,
          request.schema === undefined ? replies : null,
          isAssumed ? unlimited(request) : request,
        );
      });
    }
    case "scripted": {
      const instant = { ...config, latency: { kind: "constant", value: 0 } } as const;
      const script = (await planModel(name, instant, loaders)).open(NO_RUN);
      return answering((request, signal) => {
        pass(sample(config.latency, createRandom(deriveSeed(request.seed, "latency"))));
        return script.chat(request, signal);
      });
    }
  }
}

function unlimited(request: ChatRequest): ChatRequest {
  const { max_tokens: _, max_completion_tokens: __, ...sampling } = request.sampling;
  return { ...request, sampling };
}

/** Words that count as exactly the given number of tokens. */
function drawTokens(tokens: number, random: () => number): string {
  const count = Math.max(1, Math.round(tokens));
  return drawWords(count, random)
    .padEnd(count * CHARACTERS_PER_TOKEN, "x")
    .slice(0, count * CHARACTERS_PER_TOKEN);
}

/** The answer after as many tries as the model itself would need. */
async function answerOf(
  config: SimulatedModelConfig,
  replies: Replies | RemoteReplies | null,
  request: ChatRequest,
): Promise<ChatAnswer> {
  for (let tries = 0; ; tries++) {
    const { durationMs, failure, message, finishReason, usage } = await simulate(
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
