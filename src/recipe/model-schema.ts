// [models.NAME]: an OpenAI-compatible endpoint, the simulated model, or a script.

import * as v from "valibot";
import {
  count,
  countDistribution,
  duration,
  durationDistribution,
  fraction,
  path,
  positive,
  settings,
  template,
} from "./value-schema.ts";

/** Per million tokens, in one currency of the user's choice. */
const price = v.strictObject({
  prompt: v.pipe(v.number(), v.minValue(0)),
  completion: v.pipe(v.number(), v.minValue(0)),
});

/** How a model answers: unset, as a model of middle size does. */
const expectation = v.strictObject({
  output_tokens: v.optional(countDistribution),
  /** Until the first token. */
  latency: v.optional(durationDistribution, "1s"),
  tokens_per_second: v.optional(v.pipe(v.number(), v.gtValue(0)), 50),
});

/** Requests and tokens a minute, over all hosts of a run. */
const rate = { rpm: v.optional(positive), tpm: v.optional(positive) };

export function isEndpointUrl(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

const URL_WANTED = "a URL that starts with http:// or https://";
const endpointUrl = v.pipe(v.string(URL_WANTED), v.check(isEndpointUrl, URL_WANTED));
const REPLICAS = '{ file = "replicas.txt" } or { dns = "http://name:8000/v1" }';
const openaiModel = v.strictObject({
  kind: v.literal("openai"),
  /** One or many replicas; a file or name is looked at again while the run goes on. */
  base_url: v.union(
    [
      endpointUrl,
      v.pipe(v.array(endpointUrl), v.minLength(1, "a list of at least one URL")),
      v.pipe(
        v.strictObject({
          /** One URL a line. */
          file: v.optional(path),
          /** Every address of the URL's name is a replica. */
          dns: v.optional(endpointUrl),
        }),
        v.check(({ file, dns }) => (file === undefined) !== (dns === undefined), REPLICAS),
      ),
    ],
    `${URL_WANTED}, a list of them, ${REPLICAS}`,
  ),
  /** The name that the endpoint knows. */
  model: v.pipe(v.string(), v.nonEmpty()),
  /** From the environment only: "${env:OPENAI_API_KEY}". */
  api_key: v.optional(v.string()),
  headers: v.optional(v.record(v.string(), v.string()), {}),
  /** Until a connection to a replica stands. */
  connect_timeout: v.optional(duration, "10s"),
  /** The longest silence, before the first token and between two of them. Answers are streamed where it is given. */
  first_token_timeout: v.optional(duration),
  /** Of one try. */
  timeout: v.optional(duration, "10m"),
  /** Tries after the first, where the request itself may be the cause. */
  retries: v.optional(count, 5),
  /** After which no try of an answer begins: how long replicas that are away or overloaded are waited for. */
  deadline: v.optional(duration, "10m"),
  /** Requests in flight from one host to one replica, at most. */
  concurrency: v.optional(positive, 1000),
  ...rate,
  price: v.optional(price),
  /** Whether answers are kept until their task is recorded, so that none is asked for twice; unset, those of real models. */
  journal: v.optional(v.boolean()),
  /** What a forecast goes by when there are no records to go by (--dry-run). */
  expect: v.optional(expectation),
});

const simulatedModel = v.strictObject({
  kind: v.literal("simulated"),
  /** A Jinja template or a module that writes the reply; unset, words drawn by seed. */
  replies: v.optional(template),
  /** What the template or module reads as `settings`. */
  with: v.optional(settings, {}),
  /** Until the first token. */
  latency: v.optional(durationDistribution, "0ms"),
  tokens_per_second: v.optional(v.pipe(v.number(), v.gtValue(0))),
  /** Length of drawn replies, in tokens. */
  output_tokens: v.optional(countDistribution, 32),
  /** Rates of injected errors, each a fraction of the requests. */
  errors: v.optional(
    v.strictObject({
      rate_limited: v.optional(fraction, 0),
      server_error: v.optional(fraction, 0),
      timeout: v.optional(fraction, 0),
      malformed: v.optional(fraction, 0),
      lost: v.optional(fraction, 0),
      stalled: v.optional(fraction, 0),
      context_length: v.optional(fraction, 0),
      refused: v.optional(fraction, 0),
      content_filtered: v.optional(fraction, 0),
    }),
    {},
  ),
  retry_after: v.optional(duration, "1s"),
  timeout: v.optional(duration, "10m"),
  retries: v.optional(count, 5),
  deadline: v.optional(duration, "10m"),
  concurrency: v.optional(positive, 100_000),
  ...rate,
  price: v.optional(price),
  /** Whether answers are kept until their task is recorded, so that none is asked for twice; unset, those of real models. */
  journal: v.optional(v.boolean()),
});

const scriptedModel = v.strictObject({
  kind: v.literal("scripted"),
  /** JSON lines: the replies of each role for a row. */
  replies: path,
  latency: v.optional(durationDistribution, "0ms"),
  concurrency: v.optional(positive, 100_000),
  price: v.optional(price),
  /** Whether answers are kept until their task is recorded, so that none is asked for twice; unset, those of real models. */
  journal: v.optional(v.boolean()),
});

export const model = v.variant("kind", [openaiModel, simulatedModel, scriptedModel]);

/** What a model that nothing is known of is expected to be like. */
export const EXPECTED = {
  ...v.parse(expectation, {}),
  output_tokens: v.parse(countDistribution, { kind: "uniform", min: 1, max: 512 }),
};
/** A simulated model with nothing set. */
export const PLAIN_SIMULATION = v.parse(simulatedModel, { kind: "simulated" });

export type ModelConfig = v.InferOutput<typeof model>;
export type OpenaiModelConfig = v.InferOutput<typeof openaiModel>;
export type ScriptedModelConfig = v.InferOutput<typeof scriptedModel>;
export type SimulatedModelConfig = v.InferOutput<typeof simulatedModel>;
