// [run] and [store]: how much happens at once, when a run stops, and what its processes remember.

import * as v from "valibot";
import {
  aboveZero,
  count,
  described,
  duration,
  flag,
  fraction,
  path,
  positive,
  size,
} from "./value-schema.ts";

const budget = v.pipe(
  v.strictObject({
    money: v.optional(
      described(
        aboveZero,
        "The most that the run may cost, in the currency of the models' prices. " +
          "Every model in use then needs a `price`.",
        5,
      ),
    ),
    tokens: v.optional(
      described(
        positive,
        "The most tokens that the run may use, of prompts and completions together.",
        10_000_000,
      ),
    ),
  }),
  v.check(
    ({ money, tokens }) => money !== undefined || tokens !== undefined,
    "a table with money, tokens or both",
  ),
);

const taskLimit = v.pipe(
  v.strictObject({
    tokens: v.optional(
      described(
        positive,
        "The most tokens that a task may use, of prompts and completions together.",
        50_000,
      ),
    ),
    cost: v.optional(
      described(
        aboveZero,
        "The most that a task may cost, in the currency of the models' prices. Every model in use " +
          "then needs a `price`.",
        0.05,
      ),
    ),
    calls: v.optional(
      described(
        positive,
        "The most answers of models that a task may get. Failed tries do not count.",
        40,
      ),
    ),
  }),
  v.check(
    ({ tokens, cost, calls }) => tokens !== undefined || cost !== undefined || calls !== undefined,
    "a table with tokens, cost, calls or several of them",
  ),
);

export const run = v.strictObject({
  concurrency: v.optional(
    described(positive, "Tasks in flight at once, over all hosts.", 500),
    100,
  ),
  trials: v.optional(described(positive, "Independent attempts at each row.", 4), 1),
  seed: v.optional(described(count, "The number from which everything random is derived.", 7), 0),
  delivery: v.optional(
    described(
      v.picklist(["retry", "at-most-once"]),
      "What happens to the tasks of a host that dies. `retry` sends them to another host, and " +
        "none is lost. `at-most-once` records them as `lost`.",
      "retry",
    ),
    "retry",
  ),
  max_attempts: v.optional(
    described(
      positive,
      "A task fails when this many hosts died while it was the only task they worked on, or when " +
        "its row was started this often because sandboxes were lost.",
      3,
    ),
    3,
  ),
  timeout: v.optional(
    described(duration, "The time for one task, from its admission to its end.", "1h"),
    "1h",
  ),
  max_hops: v.optional(
    described(positive, "The most steps of one task. A task that needs more fails.", 200),
    200,
  ),
  fail_above: v.optional(
    described(
      fraction,
      "The share of tasks that may fail or be lost. When more do, a complete run exits with 1.",
      0.05,
    ),
    0.05,
  ),
  stop_after: v.optional(
    described(
      count,
      "The run stops early, and can go on, when this many tasks ended alike with an error that no " +
        "row can change: a refused key, a model or program that is not there, no whole answer at " +
        "all. None of them is recorded. 0 turns this off.",
      20,
    ),
    20,
  ),
  grace: v.optional(
    described(
      duration,
      "The time that tasks in flight may still take after the first Ctrl-C, SIGTERM or SIGHUP.",
      "20s",
    ),
    "20s",
  ),
  output: v.optional(described(path, "The run directory. Unset, it is `runs/NAME`.", "runs/mine")),
  compress: v.optional(
    described(flag, "Writes records compressed by Zstandard: `trajectories.jsonl.zst`.", true),
    false,
  ),
  cache: v.optional(
    described(
      path,
      "A folder that keeps the answers of endpoints for every run that names it. " +
        "Unset, answers are not kept beyond their run.",
      "answers",
    ),
  ),
  budget: v.optional(
    described(
      budget,
      "What all starts of the run may spend together: `money`, `tokens`, or both. " +
        "Unset, there is no bound.",
    ),
  ),
  task_limit: v.optional(
    described(
      taskLimit,
      "What one task may use: `tokens`, `cost`, `calls`, or several of them. A task that has used " +
        "it fails when it would ask a model again. Unset, there is no limit.",
    ),
  ),
});

export const store = v.strictObject({
  enabled: v.optional(
    described(
      flag,
      "Leaves out of a message what its receiver has already seen of the task.",
      true,
    ),
    true,
  ),
  above: v.optional(
    described(size, "How much leaving out must save before it is done.", "512B"),
    "512B",
  ),
  memory: v.optional(
    described(
      size,
      "The memory in which each process keeps tasks that went on to others, for their return.",
      "64MiB",
    ),
    "64MiB",
  ),
});
