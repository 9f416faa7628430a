// [orchestrator]: one of the patterns, a module, or a graph.

import * as v from "valibot";
import { names, path, positive, settings } from "./value-schema.ts";

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
const isTableWith = (input: unknown, key: string): boolean =>
  typeof input === "object" && input !== null && key in input;

export const orchestrator = v.lazy((input) => {
  if (isTableWith(input, "module")) return moduleOrchestrator;
  return isTableWith(input, "graph") ? graphOrchestrator : pattern;
});

export type PatternConfig = v.InferOutput<typeof pattern>;
export type OrchestratorConfig = v.InferOutput<typeof orchestrator>;
