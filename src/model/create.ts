// From a recipe's [models.NAME] table to a Model: a limit around a retry loop around one try, whatever answers.

import { MatrixError } from "../error.ts";
import type { ModelConfig, ScriptedModelConfig, SimulatedModelConfig, TemplateSource } from "../recipe/schema.ts";
import { createRandom, deriveSeed } from "../task/seed.ts";
import type { Usage } from "../task/task.ts";
import type { ChatAnswer, Model } from "./contract.ts";
import { sample } from "./distribution.ts";
import { RequestLimit } from "./limit.ts";
import { createOpenaiTry } from "./openai.ts";
import { pause, retry, type Try } from "./retry.ts";
import { Script } from "./scripted.ts";
import { type Failure, type Replies, simulate, TOO_LONG } from "./simulated.ts";
import type { ModelSite } from "./site.ts";

/** What a recipe's replies are loaded with. */
export interface ReplyLoaders {
  readonly loadModule: (path: string) => Promise<Record<string, unknown>>;
  readonly loadTemplate: (source: TemplateSource, name: string) => Promise<(variables: Readonly<Record<string, unknown>>) => string>;
}

export interface ModelParts extends ReplyLoaders {
  readonly site: ModelSite;
}

export async function createModel(name: string, config: ModelConfig, parts: ModelParts): Promise<Model> {
  const { site } = parts;
  const { price } = config;
  const costOf = ({ prompt_tokens, completion_tokens }: Usage) =>
    price === undefined ? undefined : (prompt_tokens * price.prompt + completion_tokens * price.completion) / 1e6;
  const ask = asking(name, config, await createTry(name, config, parts), site);
  return {
    name,
    id: config.kind === "openai" ? config.model : `${config.kind}:${name}`,
    simulated: config.kind !== "openai",
    costOf,
    chat: async (request, signal) => {
      // The journal first: what it has was paid for by this run.
      const known = (await site.journal?.find(name, request)) ?? (await site.cache?.find(name, request));
      if (known != null) return known;
      const answer = await ask(request, signal);
      site.spend(name, answer.usage, costOf(answer.usage) ?? 0);
      await Promise.all([site.journal?.keep(name, request, answer), site.cache?.keep(name, request, answer)]);
      return answer;
    },
  };
}

/** One answer: tries within the model's limits. */
function asking(name: string, config: ModelConfig, attempt: Try, site: ModelSite): Model["chat"] {
  // Replicas have limits of their own.
  const limit = new RequestLimit(config.kind === "openai" ? Number.POSITIVE_INFINITY : config.concurrency);
  // A script says the same again.
  const { retries, deadline: deadlineMs } = config.kind === "scripted" ? { retries: 0, deadline: 0 } : config;
  return (request, signal) => {
    const random = createRandom(deriveSeed(request.seed, "retry"));
    return limit.run(async () => {
      let requests = 0;
      const permit = async (): Promise<void> => {
        await site.permits?.take(name, 0, signal);
        requests++;
      };
      const answer = await retry((tries, deadline) => attempt(request, { tries, deadline, signal, permit }), {
        retries,
        deadlineMs,
        signal,
        random,
      });
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
export async function loadReplies(name: string, { replies }: SimulatedModelConfig, parts: ReplyLoaders): Promise<Replies | null> {
  if (replies === undefined) return null;
  if (typeof replies === "string" && /\.[cm]?[jt]sx?$/.test(replies)) {
    const reply = (await parts.loadModule(replies))["default"];
    if (typeof reply === "function") return reply as Replies;
    throw new MatrixError("module_invalid", `${replies} does not export replies`, {
      hint: "export default (request, { random, settings }) => text",
    });
  }
  const render = await parts.loadTemplate(replies, `models.${name}.replies`);
  return ({ messages, seed }, { random, settings }) => render({ messages, seed, settings, random, last: messages.at(-1) ?? null });
}

/** One try in process: waits as long as the answer would take, and fails as an endpoint would. */
function simulatedTry(config: SimulatedModelConfig, replies: Replies | null): Try {
  return async (request, { tries, signal, permit }): Promise<ChatAnswer> => {
    await permit();
    const { durationMs, failure, message, finishReason, usage } = simulate(config, replies, request, tries);
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

function simulatedError(
  failure: Exclude<Failure, "context_length">,
  { retry_after: retryAfterMs, timeout }: SimulatedModelConfig,
): MatrixError {
  switch (failure) {
    case "rate_limited":
      return new MatrixError("model_overloaded", "the simulated model answered 429", { retryAfterMs });
    case "server_error":
      return new MatrixError("model_failed", "the simulated model answered 500");
    case "timeout":
    case "stalled":
      return new MatrixError("model_timeout", `no answer from the simulated model within ${timeout} ms`);
    case "malformed":
      return new MatrixError("model_bad_answer", "the answer of the simulated model is no JSON");
    case "cut":
      return new MatrixError("model_lost", "the answer of the simulated model broke off");
  }
}
