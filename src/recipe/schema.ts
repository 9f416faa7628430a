// The recipe's tables and keys: every setting, its type, its default. Strict: a key that is not here is an error.
// Types are inferred from the schemas. Durations and sizes are strings in the file and numbers here (`…Ms`, bytes).

import * as v from "valibot";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import { matchesKey } from "./key-path.ts";
import { parseDuration, parseShard, parseSize, type Shard } from "./unit.ts";

const DURATION = 'a duration such as "90s", "500ms" or "2h"';
const duration = v.pipe(
  v.string(DURATION),
  v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
    const ms = parseDuration(dataset.value);
    if (ms !== null) return ms;
    addIssue({ message: DURATION });
    return NEVER;
  }),
);
const SIZE = 'a size such as "512B", "64MiB" or "2GB"';
const size = v.pipe(
  v.string(SIZE),
  v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
    const bytes = parseSize(dataset.value);
    if (bytes !== null) return bytes;
    addIssue({ message: SIZE });
    return NEVER;
  }),
);
const name = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "letters, digits, '_', '.' and '-', starting with a letter or digit"),
);
const positive = v.pipe(v.number(), v.integer(), v.minValue(1));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const fraction = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
/** Free JSON that user code or a model reads. */
const settings = v.custom<JsonObject>(isJsonObject, "a table");
/** A path, relative to the file that names it. The loader makes it absolute. */
const path = v.pipe(v.string("a path"), v.nonEmpty("a path"));
/** A template: a path to its file, or its text. */
const template = v.union([path, v.strictObject({ text: v.string() })], 'a path, or { text = "…" }');
/** Names of roles, at least one. */
const names = v.pipe(v.array(v.string()), v.minLength(1, "at least one role"));

const SHARD = 'a shard "INDEX/COUNT" with INDEX from 0, such as "0/4"';
const shard = v.pipe(
  v.string(SHARD),
  v.rawTransform<string, Shard>(({ dataset, addIssue, NEVER }) => {
    const shard = parseShard(dataset.value);
    if (shard !== null && shard.index < shard.count) return shard;
    // What lies past the end was most likely counted from 1.
    addIssue({ message: shard === null ? SHARD : `"0/${shard.count}" to "${shard.count - 1}/${shard.count}", counted from 0` });
    return NEVER;
  }),
);

const dataset = v.strictObject({
  /** A path, folder or glob, or hf://OWNER/NAME, or several. */
  path: v.union([path, v.pipe(v.array(path), v.minLength(1, "a path or several"))], "a path or several"),
  /** From the file's name unless given. */
  format: v.optional(v.picklist(["jsonl", "json", "csv", "parquet"])),
  /** The fields that rows have; unset, all that the files have. */
  columns: v.optional(v.pipe(v.array(v.string()), v.minLength(1, "at least one column"))),
  /** The field that names a row; unset, the row's number from 0. */
  id: v.optional(v.string()),
  limit: v.optional(count),
  shuffle: v.optional(v.boolean(), false),
  /** CEL over `row`: rows for which it is false are not tasks. */
  filter: v.optional(v.string()),
  /** "INDEX/COUNT": of the run's rows, those whose number modulo COUNT is INDEX, with a driver and a run directory of their own. */
  shard: v.optional(shard),
});

/** What all starts of a run may spend together. */
const budget = v.pipe(
  v.strictObject({
    /** In the currency of the models' prices. */
    money: v.optional(v.pipe(v.number(), v.gtValue(0))),
    /** Of prompts and completions. */
    tokens: v.optional(positive),
  }),
  v.check(({ money, tokens }) => money !== undefined || tokens !== undefined, "a table with money, tokens or both"),
);

const run = v.strictObject({
  /** Tasks in flight. */
  concurrency: v.optional(positive, 100),
  trials: v.optional(positive, 1),
  seed: v.optional(count, 0),
  delivery: v.optional(v.picklist(["retry", "at-most-once"]), "retry"),
  max_attempts: v.optional(positive, 3),
  /** Of one task, from admission to end. */
  timeout: v.optional(duration, "1h"),
  max_hops: v.optional(positive, 200),
  fail_above: v.optional(fraction, 0.05),
  /** After a signal: how long tasks in flight may take to finish. */
  grace: v.optional(duration, "30s"),
  /** The run directory. */
  output: v.optional(path),
  /** Records as Zstandard frames, trajectories.jsonl.zst. */
  compress: v.optional(v.boolean(), false),
  /** A folder that keeps answers of real models for all runs that name it. */
  cache: v.optional(path),
  budget: v.optional(budget),
});

/** A distribution of a duration (ms) or a count: a constant, or a table. */
const distributionOf = <T extends v.GenericSchema<unknown, number>>(value: T, wanted: string) =>
  v.union(
    [
      v.pipe(
        value,
        v.transform((constant) => ({ kind: "constant" as const, value: constant })),
      ),
      v.variant("kind", [
        v.strictObject({ kind: v.literal("constant"), value }),
        v.strictObject({ kind: v.literal("uniform"), min: value, max: value }),
        v.strictObject({ kind: v.literal("normal"), mean: value, sigma: value }),
        v.strictObject({ kind: v.literal("exponential"), mean: value }),
        v.strictObject({ kind: v.literal("lognormal"), median: value, sigma: v.pipe(v.number(), v.minValue(0)) }),
        v.strictObject({ kind: v.literal("pareto"), min: value, alpha: v.pipe(v.number(), v.gtValue(0)) }),
      ]),
    ],
    `${wanted}, or a distribution such as { kind = "lognormal", … }`,
  );
const durationDistribution = distributionOf(duration, DURATION);
const countDistribution = distributionOf(v.pipe(v.number(), v.minValue(0)), "a number");

/** Per million tokens, in one currency of the user's choice. */
const price = v.strictObject({ prompt: v.pipe(v.number(), v.minValue(0)), completion: v.pipe(v.number(), v.minValue(0)) });

/** How a model answers: unset, as a model of middle size does. */
const expectation = v.strictObject({
  output_tokens: v.optional(countDistribution, { kind: "uniform", min: 1, max: 512 }),
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
const openaiModel = v.strictObject({
  kind: v.literal("openai"),
  /** One or many replicas; a file or name is looked at again while the run goes on. */
  base_url: v.union(
    [
      endpointUrl,
      v.pipe(v.array(endpointUrl), v.minLength(1)),
      /** One URL a line. */
      v.strictObject({ file: path }),
      /** Every address of the URL's name is a replica. */
      v.strictObject({ dns: endpointUrl }),
    ],
    `${URL_WANTED}, a list of them, { file = "replicas.txt" } or { dns = "http://name:8000/v1" }`,
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
      cut: v.optional(fraction, 0),
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

const model = v.variant("kind", [openaiModel, simulatedModel, scriptedModel]);

const mount = v.strictObject({
  /** A file or folder of this machine. */
  source: path,
  target: v.pipe(v.string(), v.startsWith("/", "an absolute path in the sandbox")),
  writable: v.optional(v.boolean(), false),
});

/** Where commands start unless a recipe says otherwise: an empty folder of the sandbox's own, always writable. */
export const SCRATCH = "/work";

const sandbox = v.strictObject({
  /** A Docker reference, the path of a SIF, or a folder with a Dockerfile or an Apptainer definition ("./…"). */
  image: v.optional(v.pipe(v.string(), v.nonEmpty("an image"))),
  /** `auto` takes Docker or Apptainer, whichever is there; `process` isolates nothing, and takes no notice of an image. */
  engine: v.optional(v.picklist(["auto", "docker", "apptainer", "process"]), "auto"),
  /** How many tasks share a sandbox, each with a session of its own. */
  serves: v.optional(v.picklist(["many", "one"]), "many"),
  /** Something of a task stays in its sandbox between calls: the task stays with it, and starts again when it is lost. */
  stateful: v.optional(v.boolean(), true),
  /** Sandboxes at once on one host. */
  count: v.optional(positive, 1),
  /** Sandboxes that are started before a task asks. */
  warm: v.optional(count, 0),
  memory: v.optional(size, "2GiB"),
  cpus: v.optional(v.pipe(v.number(), v.gtValue(0)), 1),
  /** Processes and threads. */
  pids: v.optional(positive, 256),
  /** Of one request or command. */
  timeout: v.optional(duration, "10m"),
  network: v.optional(v.picklist(["none", "host"]), "none"),
  /** The image's file system; /tmp and /work stay writable. */
  read_only: v.optional(v.boolean(), true),
  mounts: v.optional(v.array(mount), []),
  env: v.optional(v.record(v.string(), v.string()), {}),
  /** Where commands start; anything but /work is the image's own. */
  workdir: v.optional(v.pipe(v.string(), v.startsWith("/", "an absolute path in the sandbox")), SCRATCH),
});

const role = v.strictObject({
  /** "llm", "exec", "language", "process", or a path: of a module that exports an agent, or of a program in any language. */
  agent: v.pipe(v.string(), v.nonEmpty()),
  /** Of [sandboxes]: where the agent runs. */
  sandbox: v.optional(v.string()),
  /** How a program is started (its file is $MATRIX_AGENT there); unset, by its ending: .py, .mjs, .js, .sh. */
  command: v.optional(v.pipe(v.array(v.string()), v.minLength(1, "a program and its arguments"))),
  /** Of a program without a sandbox: how many of it run on one host. */
  processes: v.optional(positive),
  /** Whether a program is sent the task's whole history, or only its last result. */
  history: v.optional(v.boolean(), true),
  /** What the module reads as `settings`. */
  with: v.optional(settings, {}),
  /** Of [models]; for "llm". */
  model: v.optional(v.string()),
  /** The system message. */
  system: v.optional(template),
  /** The first user message. */
  prompt: v.optional(template),
  /** Roles whose results follow the prompt as turns: own ones as assistant, others' as user, tool results as tool. */
  conversation: v.optional(v.array(v.string())),
  /** Instead of system, prompt, conversation and tools: a module that writes the messages and tools that the model is sent. */
  request: v.optional(path),
  /** Sent to the model as they are: temperature, top_p, max_tokens, stop … */
  sampling: v.optional(settings, {}),
  /** A JSON file with a list of tools in the OpenAI shape. */
  tools: v.optional(path),
  /** CEL over `row`: images and audio that stand beside the prompt, by path, URL or base64. */
  attachments: v.optional(v.pipe(v.array(v.string()), v.minLength(1, "at least one expression"))),
  /** Where the paths of attachments are. */
  attachment_folder: v.optional(path),
  /** A JSON schema of the answer: its file, or the table itself. */
  schema: v.optional(v.union([path, settings], "a path, or the schema as a table")),
  /** Answers that are none, with which the task goes on all the same. */
  accepts: v.optional(v.array(v.picklist(["refused", "content_filtered", "cut"])), []),
  /** Steps of this role that run at once on one host. */
  concurrency: v.optional(positive, 1000),
  /** Of one step. */
  timeout: v.optional(duration, "15m"),
});

const stage = v.strictObject({
  role: v.string(),
  /** CEL over `result`, `results`, `row`: when false, the task ends here as filtered. */
  keep: v.optional(v.string()),
});

const sequence = v.strictObject({
  pattern: v.literal("sequence"),
  roles: names,
  score: v.optional(v.string()),
});
const pipeline = v.strictObject({
  pattern: v.literal("pipeline"),
  stages: v.pipe(v.array(stage), v.minLength(1, "at least one stage")),
  score: v.optional(v.string()),
});
const dialogue = v.strictObject({
  pattern: v.literal("dialogue"),
  speakers: names,
  /** Roles that run after each turn, in order: extractors, then a judge. The last one's result is the task's outcome. */
  between: v.optional(v.array(v.string()), []),
  /** CEL over `results` (last result of each role), `turn` (turns so far) and `row`: when true, the dialogue has agreed. */
  until: v.optional(v.string()),
  max_turns: v.optional(positive, 8),
  /** CEL that gives the record's score; unset, the outcome's `score`. */
  score: v.optional(v.string()),
});
const toolLoop = v.strictObject({
  pattern: v.literal("tool-loop"),
  speaker: v.string(),
  tools: v.string(),
  /** CEL over `result`, `results`, `row`; unset, the speaker stops by calling no tool. */
  until: v.optional(v.string()),
  /** A role that scores the finished loop. */
  reward: v.optional(v.string()),
  /** Turns of the speaker. */
  max_turns: v.optional(positive, 50),
  score: v.optional(v.string()),
});
const bestOfN = v.strictObject({
  pattern: v.literal("best-of-n"),
  /** What makes one candidate, in order; the last one's result is what it comes to. */
  roles: names,
  /** Candidates at most. */
  n: positive,
  /** CEL that scores a candidate; unset, the `score` of what it comes to. */
  score: v.optional(v.string()),
  /** CEL over `score`, `candidate` (from 0), `result`, `results` and `row`: when true, no further one is made. */
  accept: v.optional(v.string()),
  /** Candidates at once, each in a branch of its own; what is under way when one is accepted is dropped. */
  parallel: v.optional(v.boolean(), false),
});
const fanOut = v.strictObject({
  pattern: v.literal("fan-out"),
  /** Asked at once, each in a branch of its own. */
  roles: v.pipe(
    names,
    v.check((roles) => new Set(roles).size === roles.length, "each role once"),
  ),
  /** In order, when all have answered. */
  after: v.optional(v.array(v.string()), []),
  score: v.optional(v.string()),
});
const pattern = v.variant("pattern", [sequence, pipeline, dialogue, toolLoop, bestOfN, fanOut]);
const moduleOrchestrator = v.strictObject({
  /** A module whose default export is an orchestrator. */
  module: path,
  /** What the module reads as `settings`. */
  with: v.optional(settings, {}),
});

const graphOrchestrator = v.strictObject({
  /** "graph.ts#build": an export that is, or that returns, a compiled StateGraph of LangGraph.js. Its nodes are roles. */
  graph: path,
  /** What that function is given. */
  with: v.optional(settings, {}),
  score: v.optional(v.string()),
});
const isTableWith = (input: unknown, key: string): boolean => typeof input === "object" && input !== null && key in input;

const store = v.strictObject({
  /** Whether a process is sent only what it has not seen of a task before. */
  enabled: v.optional(v.boolean(), true),
  /** How much that must save. */
  above: v.optional(size, "512B"),
  /** What a process keeps of tasks that went on, for when they come back. */
  memory: v.optional(size, "64MiB"),
});

export const recipeSchema = v.strictObject({
  name,
  dataset,
  run: v.optional(run, {}),
  store: v.optional(store, {}),
  models: v.optional(v.record(name, model), {}),
  sandboxes: v.optional(v.record(name, sandbox), {}),
  roles: v.pipe(v.record(name, role), v.minEntries(1, "at least one role")),
  orchestrator: v.lazy((input) => {
    if (isTableWith(input, "module")) return moduleOrchestrator;
    return isTableWith(input, "graph") ? graphOrchestrator : pattern;
  }),
});

/** Agents that are no files. */
export const BUILT_IN_AGENTS: readonly string[] = ["llm", "exec", "language", "process"];

/** Programs of this machine that nothing isolates, and that keep nothing of a task. */
export const PLAIN_PROCESSES = v.parse(sandbox, { engine: "process", stateful: false });

/** What a model that nothing is known of is expected to be like. */
export const EXPECTED = v.parse(expectation, {});
/** A simulated model with nothing set. */
export const PLAIN_SIMULATION = v.parse(simulatedModel, { kind: "simulated" });

/** Whether an image is something on disk; anything else is a Docker reference. */
export function isImagePath(image: string): boolean {
  return /^\.{0,2}\//.test(image) || image.endsWith(".sif");
}

/** Keys whose values are paths, `*` for any name, so that the loader can resolve them where they are written. */
export const PATH_KEYS: readonly string[] = [
  "dataset.path",
  "dataset.path.*",
  "run.output",
  "run.cache",
  "models.*.replies",
  "models.*.base_url.file",
  "sandboxes.*.image", // unless it is a reference
  "sandboxes.*.mounts.*.source",
  "roles.*.agent", // unless it is built in
  "roles.*.system",
  "roles.*.prompt",
  "roles.*.tools",
  "roles.*.schema",
  "roles.*.request",
  "roles.*.attachment_folder",
  "orchestrator.module",
  "orchestrator.graph",
];

/** Keys that hold secrets: they come from the environment and never reach the resolved recipe. */
const SECRET_KEYS: readonly string[] = ["models.*.api_key", "models.*.headers.*"];

export function isSecretKey(path: string): boolean {
  return SECRET_KEYS.some((pattern) => matchesKey(path, pattern));
}

/** Keys that a continued run may change: they bear on how it runs, not on what it makes. */
export const FREE_KEYS: readonly string[] = [
  "run.concurrency",
  "run.output",
  "run.fail_above",
  "run.grace",
  "run.cache",
  "run.budget",
  "store.enabled",
  "store.above",
  "store.memory",
  "roles.*.concurrency",
  "roles.*.processes",
  "sandboxes.*.engine",
  "sandboxes.*.count",
  "sandboxes.*.warm",
  "sandboxes.*.memory",
  "sandboxes.*.cpus",
  "sandboxes.*.pids",
  "models.*.base_url",
  "models.*.connect_timeout",
  "models.*.first_token_timeout",
  "models.*.timeout",
  "models.*.retries",
  "models.*.deadline",
  "models.*.concurrency",
  "models.*.journal",
  "models.*.rpm",
  "models.*.tpm",
  "models.*.expect",
  "models.*.expect.*",
  "models.*.api_key",
  "models.*.headers",
];

/** Keys that a continued run may raise (an unset limit is the highest). */
export const GROWING_KEYS: readonly string[] = ["run.trials", "dataset.limit"];

export type Recipe = v.InferOutput<typeof recipeSchema>;
export type StoreConfig = Recipe["store"];
export type ModelConfig = v.InferOutput<typeof model>;
export type OpenaiModelConfig = v.InferOutput<typeof openaiModel>;
export type ScriptedModelConfig = v.InferOutput<typeof scriptedModel>;
export type SimulatedModelConfig = v.InferOutput<typeof simulatedModel>;
export type SandboxConfig = v.InferOutput<typeof sandbox>;
export type RoleConfig = v.InferOutput<typeof role>;
export type OrchestratorConfig = Recipe["orchestrator"];
export type PatternConfig = v.InferOutput<typeof pattern>;
export type Distribution = v.InferOutput<typeof durationDistribution>;
export type TemplateSource = v.InferOutput<typeof template>;
