// The parts of a run's roles in the conversations of an export. When the user names none, the
// assistant is the role whose own view of the task is most likely wanted. Its turns are the
// assistant's, and those of the other roles that it was shown are the user's.

import { defaultConversation } from "../agent/conversation.ts";
import { MatrixError } from "../error.ts";
import type { OrchestratorConfig } from "../recipe/schema/orchestrator-schema.ts";
import type { Recipe } from "../recipe/schema/schema.ts";

export type Part = "assistant" | "user";

export interface Parts {
  /** The roles that speak in the conversation, with their parts. */
  readonly parts: ReadonlyMap<string, Part>;
  /**
   * True when the assistant's model was never shown its earlier answers: a conversation then has
   * only the last one.
   */
  readonly lastAnswerOnly: boolean;
  /** Set when the assistant had the own view of its role, which needs no list of roles. */
  readonly ownView: { readonly hasPrompt: boolean } | null;
}

/**
 * Suggests the parts. Fails with `usage` when the recipe does not tell which role is the assistant,
 * or what its model was shown.
 */
export function suggestParts(recipe: Recipe, directory: string): Parts {
  const assistant = suggestAssistant(recipe);
  const parts = assistant === null ? null : partsFor(assistant, recipe);
  if (parts === null) {
    const roles = Object.keys(recipe.roles).join(", ");
    throw new MatrixError(
      "usage",
      `${directory}: its recipe does not tell which role is the assistant, or what it was shown`,
      {
        hint: `name the parts, for example --as NAME=assistant,NAME=user; roles: ${roles}`,
      },
    );
  }
  return parts;
}

/** The parts by what one role was shown; null when the recipe does not tell it. */
export function partsFor(assistant: string, { roles, orchestrator }: Recipe): Parts | null {
  const { agent, request, prompt, conversation } = roles[assistant] ?? {};
  const seen = conversation ?? defaultConversation(assistant, orchestrator);
  if (seen === null && agent === "llm" && request === undefined)
    return {
      parts: new Map([[assistant, "assistant"]]),
      lastAnswerOnly: false,
      ownView: { hasPrompt: prompt !== undefined },
    };
  // A role without turns and without a prompt in the recipe does not show what its model saw.
  if (seen === null || (seen.length === 0 && prompt === undefined)) return null;
  const others = seen.filter((name) => name !== assistant);
  return {
    parts: new Map([[assistant, "assistant"], ...others.map((name) => [name, "user"] as const)]),
    lastAnswerOnly: !seen.includes(assistant),
    ownView: null,
  };
}

/**
 * The role named "assistant", or the only role that asks a model, or the most likely role of the
 * pattern among those that do; null when there is none.
 */
function suggestAssistant({ roles, orchestrator }: Recipe): string | null {
  if ("assistant" in roles) return "assistant";
  const asking = (names: readonly string[]) => names.filter((name) => roles[name]?.agent === "llm");
  const all = asking(Object.keys(roles));
  if (all.length === 1) return all[0] ?? null;
  return asking(speakersOf(orchestrator)).at(0) ?? null;
}

/** Roles of a pattern that may be the assistant, the most likely first. */
function speakersOf(orchestrator: OrchestratorConfig): readonly string[] {
  if (!("pattern" in orchestrator)) return [];
  switch (orchestrator.pattern) {
    case "dialogue":
      return orchestrator.speakers;
    case "tool-loop":
      return [orchestrator.speaker];
    case "sequence":
    case "best-of-n":
      return orchestrator.roles.toReversed();
    case "fan-out":
      return [...orchestrator.roles, ...orchestrator.after].toReversed();
    case "pipeline":
      return orchestrator.stages.map(({ role }) => role).toReversed();
  }
}
