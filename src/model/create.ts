// From a recipe's [models.NAME] table to a Model: a limit around a retry loop around one try,
// whatever answers.

import { MatrixError } from "../error.ts";
import type {
  ModelConfig,
  ScriptedModelConfig,
  SimulatedModelConfig,
} from "../recipe/model-schema.ts";
import type { TemplateSource } from "../recipe/value-schema.ts";
import { createRandom, deriveSeed } from "../task/seed.ts";
import type { Usage } from "../task/task.ts";
import type { ChatAnswer, Model } from "./contract.ts";
import { sample } from "./distribution.ts";
import { createOpenaiTry } from "./endpoint/openai.ts";
import { TokenEstimate } from "./estimate.ts";
import { RequestLimit } from "./limit.ts";
import { pause, retry, type Try } from "./retry.ts";
import { Script } from "./scripted.ts";
import { type Failure, type Replies, simulate, TOO_LONG } from "./simulated.ts";
import type { ModelSite } from "./site.ts";

/** What a recipe's replies are loaded with. */
export interface ReplyLoaders {
  readonly loadModule: (path: string) => Promise<Record<string, unknown>>;
  readonly loadTemplate: (
    source: TemplateSource,
    name: string,
  ) => Promise<(variables: Readonly<Record<string, unknown>>) => string>;
}

export interface ModelParts extends ReplyLoaders {
  readonly site: ModelSite;
}

export async function createModel(
  name: string,
  config: ModelConfig,
  parts: ModelParts,
): Promise<Model> {
  const { site } = parts;
  const { price } = config;
  const costOf = ({ prompt_tokens, completion_tokens }: Usage) =>
    price === undefined
      ? undefined
      : (prompt_tokens * price.prompt + completion_tokens * price.completion) / 1e6;
  const ask = asking(name, config, await createTry(name, config, parts), site);
  const id = config.kind === "openai" ? config.model : `${config.kind}:${name}`;
  return {
    name,
    id,
    simulated: config.kind !== "openai",
    costOf,
    chat: async (request, signal) => {
      const journal = keepsJournal(config) ? site.journal : null;
      const cache = config.kind === "openai" ? site.cache : null;
      // What the journal has was paid for by this run, and what the cache has by another.
      const paid = await journal?.find(id, request);
      if (paid != null) return paid;
      const cached = await cache?.find(id, request);
      if (cached != null) return { ...cached, usage: NO_USAGE };
      const answer = await ask(request, signal);
      site.spend(answer.usage, costOf(answer.usage) ?? 0);
      await Promise.all([journal?.keep(id, request, answer), cache?.keep(id, request, answer)]);
      return answer;
    },
  };
}

const NO_USAGE: Usage = { requests: 0, prompt_tokens: 0, completion_tokens: 0 };

/** What a model that is simulated answers again costs nothing. */
export function keepsJournal(config: ModelConfig): boolean {
  return config.journal ?? config.kind === "openai";
}

/** One answer: tries within the model's limits. */
function asking(name: string, config: ModelConfig, attempt: Try, site: ModelSite): Model["chat"] {
  // Replicas have limits of their own.
  const limit = new RequestLimit(
    config.kind === "openai" ? Number.POSITIVE_INFINITY : config.concurrency,
  );
  const estimate = new TokenEstimate();
  // A script says the same again.
  const { retries, deadline: deadlineMs } =
    config.kind === "scripted" ? { retries: 0, deadline: 0 } : config;
  return (request, signal) => {
    const random = createRandom(deriveSeed(request.seed, "retry"));
    return limit.run(async () => {
      let requests = 0;
      const { permits } = site;
      let taken = 0;
      const permit = async (): Promise<void> => {
        taken = (await permits?.take(name, estimate.of(request), signal)) ?? 0;
        requests++;
      };
      const answer = await retry(
        (tries, deadline) => attempt(request, { tries, deadline, signal, permit }),
        {
          retries,
          deadlineMs,
          signal,
          random,
        },
      );
      const used = answer.usage.prompt_tokens + answer.usage.completion_tokens;
      // What failed is taken to have been counted as estimated, as is what an endpoint does not
      // count.
      if (permits !== null && used > 0) {
        permits.settle(name, taken, used);
        estimate.learn(answer.usage);
      }
      return { ...answer, usage: { ...answer.usage, requests } };
    }, signal);
  };
}

async function createTry(name: string, config: ModelConfig, parts: ModelParts): Promise<Try> {
  switch (config.kind) {
    case "openai":
      return createOpenaiTry(name, config, parts.site);
    case "simulated":
      return simulatedTry(config, await loadReplies(name, config, parts));
    case "scripted":
      return scriptedTry(config, await Script.read(config.replies));
  }
}

/** The recipe's replies: a module's default export, or a template over the request. */
export async function loadReplies(
  name: string,
  { replies }: SimulatedModelConfig,
  parts: ReplyLoaders,
): Promise<Replies | null> {
  if (replies === undefined) return null;
  if (typeof replies === "string" && /\.[cm]?[jt]sx?$/.test(replies)) {
    const reply = (await parts.loadModule(replies))["default"];
    if (typeof reply === "function") return reply as Replies;
    throw new MatrixError("module_invalid", `${replies} does not export replies`, {
      hint: "export default (request, { random, settings }) => text",
    });
  }
  const render = await parts.loadTemplate(replies, `models.${name}.replies`);
  return ({ messages, seed }, { random, settings }) =>
    render({ messages, seed, settings, random, last: messages.at(-1) ?? null });
}

/** One try in process: waits as long as the answer would take, and fails as an endpoint would. */
function simulatedTry(config: SimulatedModelConfig, replies: Replies | null): Try {
  return async (request, { tries, signal, permit }): Promise<ChatAnswer> => {
    await permit();
    const { durationMs, failure, message, finishReason, usage } = simulate(
      config,
      replies,
      request,
      tries,
    );
    const late = failure === "timeout" || failure === "stalled" || durationMs > config.timeout;
    await pause(late ? config.timeout : durationMs, signal);
    if (late) throw simulatedError("timeout", config);
    if (failure === "context_length") return TOO_LONG;
    if (failure !== null) throw simulatedError(failure, config);
    return { message, finishReason, usage };
  };
}

function scriptedTry({ latency }: ScriptedModelConfig, script: Script): Try {
  return async (request, { signal, permit }) => {
    await permit();
    await pause(sample(latency, createRandom(deriveSeed(request.seed, "latency"))), signal);
    return script.answer(request);
  };
}

export function simulatedError(
  failure: Exclude<Failure, "context_length">,
  { retry_after: retryAfterMs, timeout }: SimulatedModelConfig,
): MatrixError {
  switch (failure) {
    case "rate_limited":
      return new MatrixError("model_overloaded", "the simulated model answered 429", {
        retryAfterMs,
      });
    case "server_error":
      return new MatrixError("model_failed", "the simulated model answered 500");
    case "timeout":
    case "stalled":
      return new MatrixError(
        "model_timeout",
        `no answer from the simulated model within ${timeout} ms`,
      );
    case "malformed":
      return new MatrixError("model_bad_answer", "the answer of the simulated model is no JSON");
    case "lost":
      return new MatrixError("model_lost", "the answer of the simulated model broke off");
  }
}
