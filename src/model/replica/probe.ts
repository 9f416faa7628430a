// Asks each endpoint of a model once, before a run: is there a server, does it take the key, and
// does it have the model?

import { MatrixError, messageOf } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import type { ChatRequest } from "../contract.ts";
import { Endpoint } from "../endpoint/endpoint.ts";
import { createAddresses } from "./addresses.ts";

/**
 * `list` reads GET /models, which costs nothing; servers without it pass. `ask` asks for one token,
 * which a wrong key or model cannot pass.
 */
export type ProbeKind = "list" | "ask";

export interface ProbeProblem {
  /** Key of the model's table that is most likely at fault. */
  readonly key: "api_key" | "model" | "base_url";
  readonly message: string;
}

const LIMIT_MS = { list: 5000, ask: 60_000 } as const;
/** Advice for the user. */
const HELP: Readonly<Record<ProbeProblem["key"], string>> = {
  api_key: "set a key that this endpoint takes",
  model: "set the name of a model that this endpoint has",
  base_url: "start the server or correct the address; a run waits for it until `deadline`",
};
/** Names of models that a message lists at most. */
const NAMES_SHOWN = 10;

const ONE_TOKEN: ChatRequest = {
  messages: [{ role: "user", content: "Hi" }],
  seed: 0,
  sampling: { max_tokens: 1 },
  origin: null,
};

/** Answers with one problem for each address that has one. */
export async function probeModel(
  config: OpenaiModelConfig,
  kind: ProbeKind,
  signal: AbortSignal,
): Promise<readonly ProbeProblem[]> {
  const { addresses, problem } = await createAddresses(config.base_url).find();
  const found = (addresses ?? []).map(async (address) => {
    const limit = AbortSignal.timeout(LIMIT_MS[kind]);
    const endpoint = new Endpoint(config, address);
    const either = AbortSignal.any([signal, limit]);
    try {
      return kind === "ask"
        ? await askOnce(endpoint, config.model, either)
        : await readList(endpoint, config.model, address.label, either);
    } catch (thrown) {
      signal.throwIfAborted();
      const late = `${address.label} gave no answer within ${LIMIT_MS[kind] / 1000} s`;
      return problemOf(thrown, limit.aborted ? late : messageOf(thrown));
    }
  });
  const problems = (await Promise.all(found))
    .filter((one) => one !== null)
    .map(({ key, message }) => ({ key, message: `${message} (${HELP[key]})` }));
  return problem === null ? problems : [...problems, { key: "base_url", message: problem }];
}

async function readList(
  endpoint: Endpoint,
  model: string,
  label: string,
  signal: AbortSignal,
): Promise<ProbeProblem | null> {
  const names = await endpoint.listModels(signal);
  if (names === null || names.length === 0 || names.includes(model)) return null;
  return { key: "model", message: `${label} does not list the model "${model}"; ${listed(names)}` };
}

/** An error that is about this one request says that key and model are known. */
async function askOnce(
  endpoint: Endpoint,
  model: string,
  signal: AbortSignal,
): Promise<ProbeProblem | null> {
  try {
    await endpoint.ask(ONE_TOKEN, signal);
    return null;
  } catch (thrown) {
    if (!(thrown instanceof MatrixError) || PASSED.has(thrown.code)) {
      signal.throwIfAborted();
      return null;
    }
    const problem = problemOf(thrown, thrown.message);
    if (problem?.key !== "model") return problem;
    const names = await endpoint.listModels(signal).catch(() => null);
    return names === null || names.length === 0 || names.includes(model)
      ? problem
      : { ...problem, message: `${problem.message}; ${listed(names)}` };
  }
}

/** Errors of a server that knows the key and the model. */
const PASSED: ReadonlySet<string> = new Set([
  "model_refused_request",
  "model_overloaded",
  "model_bad_answer",
]);

function problemOf(thrown: unknown, message: string): ProbeProblem | null {
  if (!(thrown instanceof MatrixError) || thrown.code !== "model_denied")
    return { key: "base_url", message };
  return { key: / answered 404\b|model/i.test(message) ? "model" : "api_key", message };
}

function listed(names: readonly string[]): string {
  const more = names.length > NAMES_SHOWN ? ", …" : "";
  return `it lists ${names.slice(0, NAMES_SHOWN).join(", ")}${more}`;
}
