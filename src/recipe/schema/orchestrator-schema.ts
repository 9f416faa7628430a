// [orchestrator]: one of the patterns, a module, or a graph.

import * as v from "valibot";
import {
  described,
  expression,
  flag,
  path,
  positive,
  role,
  roles,
  settings,
  someRoles,
} from "./value-schema.ts";

const scored = {
  score: v.optional(
    described(
      expression,
      "An expression for the score of the record. Unset, the field `score` of the outcome.",
      "result.points / 10.0",
    ),
  ),
};

const stage = v.strictObject({
  role: described(role, "The role that runs.", "judge"),
  keep: v.optional(
    described(
      expression,
      "An expression. When it is not true, the task ends here as `filtered`. Unset, every task " +
        "goes on.",
      "result.quality >= 5",
    ),
  ),
});

const sequence = v.strictObject({
  pattern: v.literal("sequence"),
  roles: described(someRoles, "The roles, in order.", ["writer", "judge"]),
  ...scored,
});
const pipeline = v.strictObject({
  pattern: v.literal("pipeline"),
  stages: described(
    v.pipe(v.array(stage), v.minLength(1, "at least one stage")),
    "The stages, in order.",
  ),
  ...scored,
});
const dialogue = v.strictObject({
  pattern: v.literal("dialogue"),
  speakers: described(someRoles, "The roles that take turns.", ["student", "teacher"]),
  between: v.optional(
    described(
      roles,
      "Roles that run after each turn, in order. The last one's result is the outcome.",
      ["extractor", "matcher"],
    ),
    [],
  ),
  until: v.optional(
    described(
      expression,
      "An expression, read after each turn. When it is true, the task ends as `agreed`.",
      "results.matcher.agreed",
    ),
  ),
  max_turns: v.optional(
    described(
      positive,
      "Turns of all speakers together, after which the task ends as `max_turns`.",
      8,
    ),
    8,
  ),
  ...scored,
});
const toolLoop = v.strictObject({
  pattern: v.literal("tool-loop"),
  speaker: described(role, "The role whose model calls tools.", "coder"),
  tools: described(role, "The role that answers the calls.", "shell"),
  until: v.optional(
    described(
      expression,
      "An expression, read after each step. When it is true, the loop ends as `stopped`. Unset, " +
        "the loop ends when the speaker calls no tool.",
      "turn >= 3",
    ),
  ),
  reward: v.optional(described(role, "A role that scores the finished loop.", "tests")),
  max_turns: v.optional(
    described(positive, "Turns of the speaker, after which the loop ends as `max_turns`.", 30),
    50,
  ),
  ...scored,
});
const bestOfN = v.strictObject({
  pattern: v.literal("best-of-n"),
  roles: described(
    someRoles,
    "The roles that make one candidate, in order. The last one's result is the candidate.",
    ["solver", "judge"],
  ),
  n: described(positive, "The most candidates.", 8),
  score: v.optional(
    described(
      expression,
      "An expression for the score of a candidate. Unset, the field `score` of the candidate.",
      "result.points / 10.0",
    ),
  ),
  accept: v.optional(
    described(
      expression,
      "An expression that also reads `score` and `candidate` (from 0). When it is true, no " +
        "further candidate is made. Unset, all are made and the best one is chosen.",
      "score >= 0.9",
    ),
  ),
  parallel: v.optional(
    described(
      flag,
      "Makes all candidates at once, each in a branch. An accepted one cancels the others.",
      true,
    ),
    false,
  ),
});
const fanOut = v.strictObject({
  pattern: v.literal("fan-out"),
  roles: described(
    v.pipe(
      someRoles,
      v.check((roles) => new Set(roles).size === roles.length, "each role once"),
    ),
    "The roles that are asked at once, each in a branch and each named once.",
    ["chemist", "biologist"],
  ),
  after: v.optional(
    described(roles, "Roles that run when all have answered, in order.", ["moderator"]),
    [],
  ),
  ...scored,
});
const pattern = v.variant("pattern", [sequence, pipeline, dialogue, toolLoop, bestOfN, fanOut]);

const moduleOrchestrator = v.strictObject({
  module: described(
    path,
    "A Python file with a rule, or a module whose default export is an orchestrator or a function " +
      "of the `with` table that returns one.",
    "route.ts",
  ),
  with: v.optional(
    described(settings, "Settings that the function, or the class in Python, is called with.", {
      drafts: 3,
    }),
    {},
  ),
});

const graphOrchestrator = v.strictObject({
  graph: described(
    v.pipe(path, v.title("path, with `#EXPORT`")),
    "A module or a file of Python, and after `#` the compiled StateGraph of LangGraph in it, or a " +
      "function of the `with` table that returns one. Without `#`, the default export; in Python " +
      "`graph`, or else `build`. The nodes are roles.",
    "graph.ts#build",
  ),
  with: v.optional(
    described(settings, "Settings that the function is called with.", { max_turns: 8 }),
    {},
  ),
  ...scored,
});

/** Every form of the table. The reference page has a section for each. */
export const ORCHESTRATORS = { pattern, module: moduleOrchestrator, graph: graphOrchestrator };

const isTableWith = (input: unknown, key: string): boolean =>
  typeof input === "object" && input !== null && key in input;

export const orchestrator = v.lazy((input) => {
  if (isTableWith(input, "module")) return moduleOrchestrator;
  return isTableWith(input, "graph") ? graphOrchestrator : pattern;
});

export type PatternConfig = v.InferOutput<typeof pattern>;
export type OrchestratorConfig = v.InferOutput<typeof orchestrator>;
