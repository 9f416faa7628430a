// [models.NAME]: an OpenAI-compatible endpoint, the simulated model, or a script.

import * as v from "valibot";
import { requestFields } from "./request-schema.ts";
import {
  aboveZero,
  count,
  countDistribution,
  described,
  duration,
  durationDistribution,
  flag,
  fraction,
  fromZero,
  path,
  positive,
  settings,
  template,
  text,
  variables,
} from "./value-schema.ts";

const price = v.strictObject({
  prompt: described(fromZero, "The price of a million prompt tokens, in any one currency.", 0.5),
  completion: described(fromZero, "The price of a million completion tokens.", 1.5),
  cached: v.optional(
    described(
      fromZero,
      "The price of a million prompt tokens that the provider read from its cache. Unset, the " +
        "price of `prompt`.",
      0.05,
    ),
  ),
  cache_write: v.optional(
    described(
      fromZero,
      "The price of a million prompt tokens that the provider wrote to its cache. Unset, the " +
        "price of `prompt`.",
      0.6,
    ),
  ),
  reasoning: v.optional(
    described(
      fromZero,
      "The price of a million completion tokens of reasoning. Unset, the price of `completion`.",
      1.5,
    ),
  ),
});

/** The defaults describe a model of medium size. */
const expectation = v.strictObject({
  output_tokens: v.optional(
    described(
      countDistribution,
      "Tokens of an answer. Unset, the forecast guesses them and cannot say whether a budget is " +
        "enough.",
      300,
    ),
  ),
  latency: v.optional(
    described(durationDistribution, "The time until the first token of an answer.", "2s"),
    "1s",
  ),
  tokens_per_second: v.optional(
    described(aboveZero, "Tokens that follow the first one, in each second.", 60),
    50,
  ),
});

/** Keys that every kind of model has. */
const shared = {
  price: v.optional(
    described(
      price,
      "What tokens cost. Unset, answers have no cost. A changed price applies to later answers.",
    ),
  ),
  journal: v.optional(
    described(
      flag,
      "Keeps each answer until its task is recorded, so that no answer is paid for twice. " +
        "Unset, true for endpoints and false for simulated and scripted models.",
      true,
    ),
  ),
};

/** Limits over all hosts of a run. */
const rate = {
  rpm: v.optional(
    described(positive, "Requests a minute, of all hosts together. Unset, there is no limit.", 600),
  ),
  tpm: v.optional(
    described(
      positive,
      "Tokens a minute, of prompts and completions, of all hosts together. " +
        "Unset, there is no limit.",
      1_000_000,
    ),
  ),
};

/** Keys that bound the tries of one answer. */
const patience = {
  timeout: v.optional(described(duration, "The time for one try of a request.", "10m"), "10m"),
  retries: v.optional(
    described(
      count,
      "Tries after the first, for failures that the request itself may cause. Waiting for a " +
        "server that is down or overloaded does not count.",
      5,
    ),
    5,
  ),
  deadline: v.optional(
    described(
      duration,
      "The time after which no further try of an answer begins. Requests wait this long for " +
        "servers that are down or overloaded.",
      "10m",
    ),
    "10m",
  ),
};

const tls = v.pipe(
  v.strictObject({
    ca: v.optional(
      described(
        path,
        "A PEM file with the authorities that are trusted in place of the system's.",
        "ca.pem",
      ),
    ),
    cert: v.optional(
      described(path, "A PEM file with the certificate of the client.", "client.pem"),
    ),
    key: v.optional(
      described(path, "A PEM file with the key of that certificate.", "client-key.pem"),
    ),
  }),
  v.check(
    ({ cert, key }) => (cert === undefined) === (key === undefined),
    "cert and key together, or neither",
  ),
);

export function isEndpointUrl(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

const URL_WANTED = "a URL that starts with http:// or https://";
const endpointUrl = v.pipe(
  v.string(URL_WANTED),
  // A URL with credentials stays a reference where the recipe is written down.
  v.check((text) => isEndpointUrl(text) || text.includes("${env:"), URL_WANTED),
  v.title("URL"),
);
const REPLICAS = '{ file = "replicas.txt" } or { dns = "http://name:8000/v1" }';
const openaiModel = v.strictObject({
  kind: v.literal("openai"),
  base_url: described(
    v.pipe(
      v.union(
        [
          endpointUrl,
          v.pipe(v.array(endpointUrl), v.minLength(1, "a list of at least one URL")),
          v.pipe(
            v.strictObject({
              file: v.optional(
                described(
                  path,
                  "A file with one URL a line. It is read again while the run goes on.",
                  "replicas.txt",
                ),
              ),
              dns: v.optional(
                described(
                  endpointUrl,
                  "A URL. Every address of its host name is a replica. The name is looked up " +
                    "again while the run goes on.",
                  "https://vllm.svc/v1",
                ),
              ),
            }),
            v.check(({ file, dns }) => (file === undefined) !== (dns === undefined), REPLICAS),
          ),
        ],
        `${URL_WANTED}, a list of them, ${REPLICAS}`,
      ),
      v.title("URL, list of URLs, or table"),
    ),
    "The endpoint up to and including `/v1`, or several replicas of it: a list of URLs, or a " +
      "table with either `file` or `dns`.",
    "http://localhost:8000/v1",
  ),
  model: described(
    v.pipe(v.string(), v.nonEmpty(), v.title("text")),
    "The name by which the endpoint knows the model.",
    "my-model",
  ),
  api_key: v.optional(
    described(
      text,
      "The key that is sent as `Authorization: Bearer`. A secret: it must come from the " +
        "environment.",
      "${env:OPENAI_API_KEY:-}",
    ),
  ),
  headers: v.optional(
    described(
      variables,
      "Further headers of each request. A secret, such as the value of `Authorization` or of " +
        "`X-API-Key`, must come from the environment.",
      { "X-Team": "research", "X-API-Key": "${env:GATEWAY_KEY:-}" },
    ),
    {},
  ),
  extra_body: v.optional(
    described(
      requestFields,
      "Further fields of each request's body, sent as they are. A role's `sampling` goes before " +
        "them.",
      { chat_template_kwargs: { enable_thinking: false } },
    ),
    {},
  ),
  affinity_header: v.optional(
    described(
      v.pipe(
        v.string(),
        v.regex(/^[!#$%&'*+.^_`|~\w-]+$/, "the name of a header, such as X-Session-ID"),
        v.title("text"),
      ),
      "The name of a header that is the same in all requests of a task, for routers that keep a " +
        "session at one server. Unset, no such header is sent.",
      "X-Session-ID",
    ),
  ),
  seed: v.optional(
    described(
      flag,
      "Sends the request's derived seed. Turn it off for an endpoint that refuses `seed`.",
      false,
    ),
    true,
  ),
  tls: v.optional(
    described(
      tls,
      "Certificates for `https`. Unset, the authorities of the system are trusted and the client " +
        "has no certificate.",
    ),
  ),
  connect_timeout: v.optional(
    described(duration, "The time until a replica has accepted the connection.", "10s"),
    "10s",
  ),
  first_token_timeout: v.optional(
    described(
      duration,
      "The time until the first token, and the longest silence between two tokens. Answers are " +
        "streamed only when it is set.",
      "2m",
    ),
  ),
  ...patience,
  concurrency: v.optional(
    described(
      positive,
      "The most requests in flight from one host to one replica. Unset, 1,000, or " +
        "`run.concurrency` when that is more.",
      1000,
    ),
    1000,
  ),
  ...rate,
  expect: v.optional(
    described(
      expectation,
      "What a forecast (`drive --dry-run`) assumes of the model when it has no records.",
    ),
  ),
  ...shared,
  price: v.optional(
    described(
      v.pipe(
        v.union([price, v.literal("auto")], 'a table with prompt and completion, or "auto"'),
        v.title('table, or "auto"'),
      ),
      "What tokens cost, or `auto` for the price in the list that is part of the program. A cost " +
        "that the endpoint states comes before it. Unset, answers have no other cost. A changed " +
        "price applies to later answers.",
      "auto",
    ),
  ),
});

const failure = (what: string) =>
  v.optional(described(fraction, `The share of requests ${what}.`, 0.01), 0);

const simulatedModel = v.strictObject({
  kind: v.literal("simulated"),
  replies: v.optional(
    described(
      template,
      "What answers say: a Jinja template, or a module or a Python file that writes it. Unset, words drawn " +
        "by seed, or JSON that fits the role's schema.",
      "replies.ts",
    ),
  ),
  with: v.optional(
    described(settings, "What the template or module reads as `settings`.", { any: "settings" }),
    {},
  ),
  latency: v.optional(
    described(durationDistribution, "The time until the first token of an answer.", {
      kind: "lognormal",
      median: "1s",
      sigma: 0.5,
    }),
    "0ms",
  ),
  tokens_per_second: v.optional(
    described(
      aboveZero,
      "Tokens that follow the first one, in each second. Unset, all come at once.",
      50,
    ),
  ),
  output_tokens: v.optional(
    described(countDistribution, "Tokens of a reply, when words are drawn.", {
      kind: "uniform",
      min: 10,
      max: 200,
    }),
    32,
  ),
  errors: v.optional(
    described(
      v.strictObject({
        rate_limited: failure("that are answered with status 429 and `retry_after`"),
        server_error: failure("that are answered with status 500"),
        timeout: failure("that get no answer within `timeout`"),
        malformed: failure("whose answer is not JSON"),
        lost: failure("whose connection breaks off during the answer"),
        stalled: failure("whose answer stops in the middle, without an end"),
        context_length: failure("that are longer than the model takes"),
        refused: failure("that the model declines to answer"),
        content_filtered: failure("whose answer is held back by a filter"),
      }),
      "The share of requests that fail in each way.",
    ),
    {},
  ),
  retry_after: v.optional(
    described(duration, "The `Retry-After` that is sent with status 429.", "1s"),
    "1s",
  ),
  ...patience,
  concurrency: v.optional(
    described(positive, "The most requests in flight from one host.", 1000),
    100_000,
  ),
  ...rate,
  ...shared,
});

const scriptedModel = v.strictObject({
  kind: v.literal("scripted"),
  replies: described(
    path,
    "A file of JSON lines with the replies of each role for a row: " +
      '`{"id": "ROW", "replies": {"ROLE": ["text", {"content": …, "tool_calls": […]}]}}`. ' +
      "`trial` in a line limits it to that trial.",
    "gold.jsonl",
  ),
  latency: v.optional(described(durationDistribution, "The time until the answer.", "10ms"), "0ms"),
  concurrency: v.optional(
    described(positive, "The most requests in flight from one host.", 1000),
    100_000,
  ),
  ...shared,
});

export const model = v.variant("kind", [openaiModel, simulatedModel, scriptedModel]);

/** Values that a forecast assumes for a model when the recipe states none. */
export const EXPECTED = {
  ...v.parse(expectation, {}),
  output_tokens: v.parse(countDistribution, { kind: "uniform", min: 1, max: 512 }),
};
/** A simulated model with every key at its default. */
export const PLAIN_SIMULATION = v.parse(simulatedModel, { kind: "simulated" });

export type ModelConfig = v.InferOutput<typeof model>;
export type OpenaiModelConfig = v.InferOutput<typeof openaiModel>;
export type ScriptedModelConfig = v.InferOutput<typeof scriptedModel>;
export type SimulatedModelConfig = v.InferOutput<typeof simulatedModel>;
