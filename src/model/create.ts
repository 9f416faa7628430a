// Makes a model from a recipe's [models.NAME] table: kept answers around a limit around a retry
// loop around one try. Only the try differs between the kinds of models.

import { MatrixError } from "../error.ts";
import { maskedValue } from "../known-secrets.ts";
import type { PythonLoader } from "../python/files.ts";
import { isModule } from "../recipe/files.ts";
import { isPython } from "../recipe/python-imports.ts";
import type {
  ModelConfig,
  ScriptedModelConfig,
  SimulatedModelConfig,
} from "../recipe/schema/model-schema.ts";
import type { TemplateSource } from "../recipe/schema/value-schema.ts";
import { createRandom, deriveSeed } from "../task/seed.ts";
import { NO_USAGE } from "../task/spent.ts";
import type { Usage } from "../task/task.ts";
import { withTexts } from "./content-text.ts";
import type { ModelContext } from "./context.ts";
import type {
  ChatAnswer,
  ChatRequest,
  Model,
  OnRejected,
  RejectedAnswer,
  Replicated,
} from "./contract.ts";
import { sample } from "./distribution.ts";
import { EmptyMessage } from "./endpoint/completion.ts";
import { readCertificates } from "./endpoint/pool.ts";
import { providerOf } from "./endpoint/provider.ts";
import { TokenEstimate } from "./estimate.ts";
import { RequestLimit } from "./limit.ts";
import { metered, recordSpent } from "./metered.ts";
import { type CostOf, planPricing, urlOf } from "./price.ts";
import { createPythonReplies } from "./python-replies.ts";
import { openReplicas } from "./replica/openai.ts";
import { pause, retry, type Try } from "./retry.ts";
import { Script } from "./scripted.ts";
import { type Failure, type RemoteReplies, type Replies, simulate, TOO_LONG } from "./simulated.ts";
import { completeUsage } from "./uncounted.ts";

/** Loads the module or the template that a recipe names for replies. */
export interface ReplyLoaders {
  readonly loadModule: (path: string) => Promise<Record<string, unknown>>;
  readonly loadTemplate: (
    source: TemplateSource,
    name: string,
  ) => Promise<(variables: Readonly<Record<string, unknown>>) => string>;
  readonly python: Pick<PythonLoader, "open">;
}

/** A model of a recipe, checked and not opened yet: nothing was asked and nothing runs. */
export interface ModelPlan extends Omit<Model, "chat" | "replicas"> {
  /** The list that the price comes from; null for a price that the recipe states, or none. */
  readonly priceSource: string | null;
  open(context: ModelContext): Model;
}

/** Reads what the model needs from files. Fails with `recipe_invalid` or `module_invalid`. */
export async function planModel(
  name: string,
  config: ModelConfig,
  loaders: ReplyLoaders,
): Promise<ModelPlan> {
  const pricing = await planPricing(name, config);
  const openSource = await planSource(name, config, loaders);
  const described = {
    name,
    id: config.kind === "openai" ? config.model : `${config.kind}:${name}`,
    simulated: config.kind !== "openai",
    provider: config.kind === "openai" ? providerOf(urlOf(config)) : config.kind,
    costOf: pricing.costOf,
    priceSource: pricing.source,
  };
  return {
    ...described,
    open: (context) => {
      const { attempt, replicas } = openSource(context);
      const tried = metered(attempt, described, context.recorder);
      const ask = asking(name, config, tried, context);
      return { ...described, replicas, chat: paidOnce(config, described, ask, context) };
    },
  };
}

/** Asks only for what neither this run (journal) nor another one (cache) has paid for. */
function paidOnce(
  config: ModelConfig,
  model: Pick<Model, "name" | "id" | "provider" | "costOf">,
  ask: Ask,
  context: ModelContext,
): Model["chat"] {
  const { id, costOf } = model;
  const journal = keepsJournal(config) ? context.journal : null;
  const cache = config.kind === "openai" ? context.cache : null;
  const fields = config.kind === "openai" ? config.extra_body : {};
  const count = <Answer extends Paid>(unpriced: Answer): Answer => {
    // A server may repeat a key. It goes no further: not into prompts of other models either.
    const answer = maskedValue(priced(unpriced, costOf));
    context.spend(answer.usage, answer.cost ?? 0);
    recordSpent(context.recorder, model, answer);
    return answer;
  };
  return async (asked, signal, onRejected = () => undefined) => {
    // The fields decide the answer, so kept answers are found by them, too.
    const request = { ...asked, sampling: { ...fields, ...asked.sampling } };
    const paid = await journal?.findOrClaim(id, request, signal);
    if (paid != null) {
      const { rejected: before = [], ...answer } = paid;
      for (const one of before) onRejected(one);
      return priced(answer, costOf);
    }
    const rejected: RejectedAnswer[] = [];
    const reject: OnRejected = (unpriced) => {
      const answer = count(unpriced);
      rejected.push(answer);
      onRejected(answer);
    };
    let answer: ChatAnswer;
    try {
      const cached = await cache?.find(id, request);
      if (cached != null) {
        journal?.drop(id, request);
        return free(cached, costOf);
      }
      answer = count(await ask(request, signal, reject));
    } catch (thrown) {
      journal?.drop(id, request);
      throw thrown;
    }
    const whole = rejected.length === 0 ? answer : { ...answer, rejected };
    await Promise.all([journal?.keep(id, request, whole), cache?.keep(id, request, answer)]);
    return answer;
  };
}

type Paid = Pick<ChatAnswer, "usage" | "cost">;
type Ask = (...asked: Required<Parameters<Model["chat"]>>) => Promise<ChatAnswer>;

/** An answer that has a cost keeps it: it was paid for at the price of its time. */
function priced<Answer extends Paid>(answer: Answer, costOf: CostOf): Answer {
  const cost = answer.cost ?? costOf(answer.usage);
  return cost === undefined ? answer : { ...answer, cost };
}

function free({ cost: _, ...answer }: ChatAnswer, costOf: CostOf): ChatAnswer {
  return priced({ ...answer, usage: NO_USAGE }, costOf);
}

/** Simulated models keep no journal by default: asking them again costs nothing. */
export function keepsJournal(config: ModelConfig): boolean {
  return config.journal ?? config.kind === "openai";
}

/** Asks with as many tries as the model's limits allow. */
function asking(
  name: string,
  config: ModelConfig,
  attempt: Try,
  { permits, say }: Pick<ModelContext, "permits" | "say">,
): Ask {
  // Replicas have their own limits.
  const limit = new RequestLimit(
    config.kind === "openai" ? Number.POSITIVE_INFINITY : config.concurrency,
  );
  const estimate = new TokenEstimate();
  const complete = config.kind === "openai" ? completeUsage(name, say) : null;
  // A script would say the same again.
  const { retries, deadline: deadlineMs } =
    config.kind === "scripted" ? { retries: 0, deadline: 0 } : config;
  return (request, signal, onRejected) => {
    const random = createRandom(deriveSeed(request.seed, "retry"));
    return limit.run(async () => {
      let requests = 0;
      let taken = 0;
      const reject: OnRejected = (answer) => {
        requests--;
        const used = tokensOf(answer.usage);
        if (used > 0) permits?.settle(name, taken, used);
        onRejected(answer);
      };
      const permit = async (): Promise<void> => {
        taken = (await permits?.take(name, estimate.of(request), signal)) ?? 0;
        requests++;
      };
      const answer = await retry(
        (tries, deadline) =>
          attempt(request, { tries, deadline, signal, permit, onRejected: reject }),
        { retries, deadlineMs, signal, random },
      ).catch((thrown: unknown) => emptyAnswer(request, thrown));
      // The tokens of an empty answer were counted when it came.
      const isEmpty = answer.usage === NO_USAGE;
      const usage = isEmpty ? NO_USAGE : (complete?.(request, answer) ?? answer.usage);
      const used = tokensOf(usage);
      // Tries that failed without an answer stay counted as estimated.
      if (permits !== null && used > 0) {
        permits.settle(name, taken, used);
        estimate.learn(usage);
      }
      const failed = requests > 1 ? { failed_requests: requests - 1 } : {};
      return { ...answer, usage: { ...usage, requests, ...failed } };
    }, signal);
  };
}

/** The last answer, which is empty, where the request takes one. Fails with the error otherwise. */
function emptyAnswer({ takesMalformed }: ChatRequest, thrown: unknown): ChatAnswer {
  const isEmpty = thrown instanceof MatrixError && thrown.cause instanceof EmptyMessage;
  if (!isEmpty || takesMalformed !== true) throw thrown;
  return { ...(thrown.cause as EmptyMessage).said, usage: NO_USAGE };
}

function tokensOf({ prompt_tokens: prompt, completion_tokens: completion }: Usage): number {
  return prompt + completion;
}

/** One try of a model, and its replicas if it has any. */
interface Source {
  readonly attempt: Try;
  readonly replicas: Replicated | null;
}

async function planSource(
  name: string,
  config: ModelConfig,
  loaders: ReplyLoaders,
): Promise<(context: ModelContext) => Source> {
  if (config.kind === "openai") {
    readCertificates(config.tls ?? null);
    return (context) => openReplicas(name, config, context);
  }
  const attempt =
    config.kind === "simulated"
      ? simulatedTry(config, await loadReplies(name, config, loaders))
      : scriptedTry(config, await Script.read(config.replies));
  return () => ({ attempt, replicas: null });
}

/** The recipe's replies: a module's default export, or a template over the request. */
export async function loadReplies(
  name: string,
  { replies }: SimulatedModelConfig,
  loaders: ReplyLoaders,
): Promise<Replies | RemoteReplies | null> {
  if (replies === undefined) return null;
  if (typeof replies === "string" && isModule(replies)) {
    const reply = (await loaders.loadModule(replies))["default"];
    if (typeof reply === "function") return reply as Replies;
    throw new MatrixError("module_invalid", `${replies} does not export replies`, {
      hint: "export default (request, { random, settings }) => text",
    });
  }
  if (typeof replies === "string" && isPython(replies))
    return createPythonReplies(
      replies,
      await loaders.python.open({ kind: "replies", path: replies, settings: null }),
    );
  const render = await loaders.loadTemplate(replies, `models.${name}.replies`);
  return ({ messages, seed }, { random, settings }) =>
    render({ messages, seed, settings, random, last: messages.at(-1) ?? null });
}

/**
 * One try in this process. It waits as long as the answer would take and fails as an endpoint
 * would.
 */
function simulatedTry(config: SimulatedModelConfig, replies: Replies | RemoteReplies | null): Try {
  return async (request, { tries, signal, permit }): Promise<ChatAnswer> => {
    await permit();
    const { durationMs, failure, message, finishReason, usage } = await simulate(
      config,
      replies,
      // Code of the user reads attachments as an endpoint would.
      replies === null ? request : await withTexts(request),
      triesBefore(request) + tries,
    );
    const late = failure === "timeout" || failure === "stalled" || durationMs > config.timeout;
    await pause(late ? config.timeout : durationMs, signal);
    if (late) throw simulatedError("timeout", config);
    if (failure === "context_length") return TOO_LONG;
    if (failure !== null) throw simulatedError(failure, config);
    return { message, finishReason, usage };
  };
}

/**
 * Most tries of one request. The tries of a later attempt are numbered after those of an earlier
 * one, so that a retry does not meet the same failure again.
 */
const TRIES_MAX = 1000;

function triesBefore({ origin }: ChatRequest): number {
  return ((origin?.attempt ?? 1) - 1) * TRIES_MAX;
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
      return new MatrixError("model_bad_answer", "the answer of the simulated model is not JSON");
    case "lost":
      return new MatrixError("model_lost", "the answer of the simulated model broke off");
  }
}
