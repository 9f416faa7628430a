// Doubts about the rule of a pattern: roles that never act, loops that end at once, and expressions
// that read what no result has.

import type { Complaint } from "../complaint.ts";
import { fieldsNamed } from "../expression/expression.ts";
import type { PatternConfig } from "../schema/orchestrator-schema.ts";
import type { Recipe, RoleConfig } from "../schema/schema.ts";

/** Fields of the results of agents that matrix itself has. Code may answer with any. */
const RESULT_FIELDS: Readonly<Record<string, readonly string[]>> = {
  llm: [
    ...["role", "content", "tool_calls", "parsed", "refusal", "audio", "annotations", "name"],
    ...["reasoning", "reasoning_content", "reasoning_details", "function_call"],
  ],
  language: ["language", "share"],
};

export function ruleDoubts({ orchestrator, roles }: Recipe): readonly Complaint[] {
  if (!("pattern" in orchestrator)) return [];
  return [
    ...turnDoubts(orchestrator, roles),
    ...expressionsIn(orchestrator).flatMap(({ key, source, last }) =>
      fieldDoubts(key, source, last, roles),
    ),
  ];
}

function turnDoubts(orchestrator: PatternConfig, roles: Recipe["roles"]): readonly Complaint[] {
  switch (orchestrator.pattern) {
    case "dialogue": {
      const { speakers, max_turns: turns } = orchestrator;
      const silent = speakers
        .slice(turns)
        .filter((name) => !speakers.slice(0, turns).includes(name));
      if (silent.length === 0) return [];
      const message = `with ${turns} turns, ${silent.join(", ")} never speaks`;
      return [{ key: "orchestrator.max_turns", message }];
    }
    case "tool-loop": {
      const speaker = roles[orchestrator.speaker];
      if (speaker?.agent !== "llm" || speaker.tools !== undefined) return [];
      if (speaker.request !== undefined || "tools" in speaker.sampling) return [];
      const message = `${orchestrator.speaker} has no tools, so the loop ends after its first turn`;
      return [{ key: "orchestrator.speaker", message }];
    }
    case "best-of-n": {
      const last = roles[orchestrator.roles.at(-1) ?? ""];
      if (orchestrator.score === undefined && last !== undefined && hasNoField(last, "score"))
        return [
          {
            key: "orchestrator",
            message:
              `no candidate has a score: an answer of the agent ${last.agent} has no field score; ` +
              'set orchestrator.score, such as "result.parsed.score"',
          },
        ];
      if (orchestrator.n > 1) return [];
      return [{ key: "orchestrator.n", message: "with one candidate there is nothing to choose" }];
    }
    default:
      return [];
  }
}

interface RuleExpression {
  readonly key: string;
  readonly source: string;
  /** The role whose result the expression reads as `result`; null where several may be. */
  readonly last: string | null;
}

function expressionsIn(orchestrator: PatternConfig): readonly RuleExpression[] {
  const found: RuleExpression[] = [];
  const add = (key: string, source: string | undefined, last: string | null): void => {
    if (source !== undefined) found.push({ key: `orchestrator.${key}`, source, last });
  };
  switch (orchestrator.pattern) {
    case "sequence":
    case "best-of-n":
      add("score", orchestrator.score, orchestrator.roles.at(-1) ?? null);
      break;
    case "pipeline":
      for (const [index, { role, keep }] of orchestrator.stages.entries())
        add(`stages.${index}.keep`, keep, role);
      add("score", orchestrator.score, null);
      break;
    case "dialogue":
      add("until", orchestrator.until, orchestrator.between.at(-1) ?? null);
      add("score", orchestrator.score, null);
      break;
    default:
      add("score", orchestrator.score, null);
  }
  if (orchestrator.pattern === "best-of-n") add("accept", orchestrator.accept, null);
  return found;
}

function fieldDoubts(
  key: string,
  source: string,
  last: string | null,
  roles: Recipe["roles"],
): readonly Complaint[] {
  // An expression that asks first whether a field is there expects that it may be missing.
  if (/\bhas\s*\(/.test(source)) return [];
  return fieldsNamed(source).flatMap(({ role: named, field }) => {
    const name = named ?? last;
    const role = name === null ? undefined : roles[name];
    if (name === null || role === undefined || !hasNoField(role, field)) return [];
    const text = named === null ? "result" : `results.${name}`;
    const fields = RESULT_FIELDS[role.agent]?.slice(0, 4).join(", ") ?? "";
    const meant = role.agent === "llm" ? `; did you mean ${text}.parsed.${field}?` : "";
    const message = `no answer of ${name} has a field ${field}; it has ${fields}${meant}`;
    return [{ key, message }];
  });
}

function hasNoField({ agent }: RoleConfig, field: string): boolean {
  const fields = Object.hasOwn(RESULT_FIELDS, agent) ? RESULT_FIELDS[agent] : undefined;
  return fields !== undefined && !fields.includes(field);
}
