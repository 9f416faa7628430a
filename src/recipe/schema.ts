// The recipe's tables and keys: every setting, its type, its default. Strict: a key that is not here is an error.
// Types are inferred from the schemas. Durations and sizes are strings in the file and numbers here (`…Ms`, bytes).

import * as v from "valibot";
import { model } from "./model-schema.ts";
import { orchestrator } from "./orchestrator-schema.ts";
import { sandbox } from "./sandbox-schema.ts";
import { parseShard, type Shard } from "./unit.ts";
import {
  count,
  duration,
  fraction,
  name,
  path,
  positive,
  settings,
  size,
  template,
} from "./value-schema.ts";

const SHARD = 'a shard "INDEX/COUNT" with INDEX from 0, such as "0/4"';
const shard = v.pipe(
  v.string(SHARD),
  v.rawTransform<string, Shard>(({ dataset, addIssue, NEVER }) => {
    const shard = parseShard(dataset.value);
    if (shard !== null && shard.index < shard.count) return shard;
    // What lies past the end was most likely counted from 1.
    addIssue({
      message:
        shard === null
          ? SHARD
          : `"0/${shard.count}" to "${shard.count - 1}/${shard.count}", counted from 0`,
    });
    return NEVER;
  }),
);

const dataset = v.strictObject({
  /** A path, folder or glob, or hf://OWNER/NAME, or several. */
  path: v.union(
    [path, v.pipe(v.array(path), v.minLength(1, "a path or several"))],
    "a path or several",
  ),
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
  v.check(
    ({ money, tokens }) => money !== undefined || tokens !== undefined,
    "a table with money, tokens or both",
  ),
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
  orchestrator,
});

/** Agents that are no files. */
export const BUILT_IN_AGENTS: readonly string[] = ["llm", "exec", "language", "process"];

export type Recipe = v.InferOutput<typeof recipeSchema>;
export type StoreConfig = Recipe["store"];
export type RoleConfig = v.InferOutput<typeof role>;
