// Checks what a schema cannot: every name in a recipe refers to something, every file exists, every
// expression parses, and every role and sandbox is used.

import { existsSync } from "node:fs";
import { basename } from "node:path";
import { MatrixError } from "../error.ts";
import { type Complaint, unknownName, wrongWord } from "./complaint.ts";
import { compileExpression, keysNamed } from "./expression/expression.ts";
import { filesOf } from "./files.ts";
import { joinKey } from "./key-path.ts";
import { Soundness } from "./mending.ts";
import { checkNames, checkRole, type KnownNames } from "./role-check.ts";
import { checkSandbox } from "./sandbox-check.ts";
import type { OrchestratorConfig, PatternConfig } from "./schema/orchestrator-schema.ts";
import { BUILT_IN_AGENTS } from "./schema/role-schema.ts";
import type { Recipe } from "./schema/schema.ts";

/**
 * Complaints about a recipe, or about the sound parts of one. Nothing is said about what may be the
 * consequence of a part that was taken out.
 */
export function checkReferences(recipe: Recipe, soundness = new Soundness()): Complaint[] {
  const { roles, sandboxes, orchestrator } = recipe;
  const { whole, known } = soundPartOf(recipe, soundness);
  const missing = filesOf(recipe)
    .filter(([, path]) => !existsSync(path))
    .map(([key, path]) => missingFile(key, path));
  // The keys that fit such a role are known when its agent is spelt right.
  const misspelt = new Set(missing.filter(({ suggestion }) => suggestion).map(({ key }) => key));
  const complaints = [
    ...Object.entries(roles).flatMap(([name, role]) => {
      const key = joinKey("roles", name);
      if (misspelt.has(`${key}.agent`)) return [];
      const names = checkNames(key, role, known);
      return whole.roles.has(name) ? [...names, ...checkRole(key, role, recipe)] : names;
    }),
    ...Object.entries(sandboxes).flatMap(([name, sandbox]) => {
      const key = joinKey("sandboxes", name);
      const isIdle = !Object.values(roles).some((role) => role.sandbox === name);
      return [
        ...checkSandbox(key, sandbox),
        ...(isIdle && whole.allRoles ? [{ key, message: "no role uses this sandbox" }] : []),
      ];
    }),
    ...checkRoutes(orchestrator, known.roles, soundness.isWhole("orchestrator")),
    ...expressionsOf(recipe).flatMap(([key, source]) => checkExpression(key, source, known.roles)),
    ...missing,
  ];
  return complaints.filter(({ key }) => soundness.isWhole(key));
}

/** Roles that were left as they are, and the names to which others may refer. */
function soundPartOf({ roles, models, sandboxes }: Recipe, soundness: Soundness) {
  const whole = new Set(
    Object.keys(roles).filter((name) => soundness.isWhole(joinKey("roles", name))),
  );
  const namesIn = (section: string, table: object) =>
    soundness.isSound(section) ? Object.keys(table) : null;
  const known: KnownNames = {
    roles: namesIn("roles", roles),
    models: namesIn("models", models),
    sandboxes: namesIn("sandboxes", sandboxes),
  };
  const allRoles = known.roles !== null && whole.size === known.roles.length;
  return { whole: { roles: whole, allRoles }, known };
}

/** A misspelt name of a built-in agent is taken for the path of a program. */
function missingFile(key: string, path: string): Complaint {
  const message = `no such file: ${path}`;
  return /^roles\..*\.agent$/.test(key)
    ? wrongWord(key, message, basename(path), BUILT_IN_AGENTS)
    : { key, message };
}

/** Only a pattern names its roles; modules and graphs are checked when they are loaded. */
function checkRoutes(
  orchestrator: OrchestratorConfig,
  roles: readonly string[] | null,
  isWhole: boolean,
): Complaint[] {
  if (!("pattern" in orchestrator) || roles === null) return [];
  const routed = routedRoles(orchestrator);
  const reached = new Set(routed.map(([, role]) => role));
  return [
    ...routed
      .filter(([, role]) => !roles.includes(role))
      .map(([key, role]) => unknownName(key, "role", role, roles)),
    ...roles
      .filter((role) => isWhole && !reached.has(role))
      .map((role) => ({
        key: joinKey("roles", role),
        message: "no task reaches this role: the orchestrator does not name it",
      })),
  ];
}

/** Every role that a pattern names, with its key. */
function routedRoles(orchestrator: PatternConfig): (readonly [key: string, role: string])[] {
  const list = (key: string, names: readonly string[]) =>
    names.map((name, index) => [`orchestrator.${key}.${index}`, name] as const);
  switch (orchestrator.pattern) {
    case "sequence":
    case "best-of-n":
      return list("roles", orchestrator.roles);
    case "fan-out":
      return [...list("roles", orchestrator.roles), ...list("after", orchestrator.after)];
    case "pipeline":
      return orchestrator.stages.map(
        ({ role }, index) => [`orchestrator.stages.${index}.role`, role] as const,
      );
    case "dialogue":
      return [...list("speakers", orchestrator.speakers), ...list("between", orchestrator.between)];
    case "tool-loop": {
      const { speaker, tools, reward } = orchestrator;
      const named = [
        ["orchestrator.speaker", speaker] as const,
        ["orchestrator.tools", tools] as const,
      ];
      return reward === undefined ? named : [...named, ["orchestrator.reward", reward] as const];
    }
  }
}

/** Every expression of a recipe, with its key. */
function expressionsOf({
  dataset,
  roles,
  orchestrator,
}: Recipe): (readonly [key: string, source: string])[] {
  const found: [string, string][] = [];
  const add = (key: string, source: string | undefined): void => {
    if (source !== undefined) found.push([key, source]);
  };
  add("dataset.filter", dataset.filter);
  for (const [name, { attachments = [] }] of Object.entries(roles))
    for (const [index, source] of attachments.entries())
      add(`${joinKey("roles", name)}.attachments.${index}`, source);
  if ("module" in orchestrator) return found;
  add("orchestrator.score", orchestrator.score);
  if ("graph" in orchestrator) return found;
  if (orchestrator.pattern === "dialogue" || orchestrator.pattern === "tool-loop")
    add("orchestrator.until", orchestrator.until);
  if (orchestrator.pattern === "best-of-n") add("orchestrator.accept", orchestrator.accept);
  if (orchestrator.pattern !== "pipeline") return found;
  for (const [index, { keep }] of orchestrator.stages.entries())
    add(`orchestrator.stages.${index}.keep`, keep);
  return found;
}

function checkExpression(
  key: string,
  source: string,
  roles: readonly string[] | null,
): Complaint[] {
  try {
    compileExpression(source);
  } catch (thrown) {
    if (thrown instanceof MatrixError) return [{ key, message: thrown.message }];
    throw thrown;
  }
  // Only the rule's expressions read `results`. It has the roles as its keys.
  if (!key.startsWith("orchestrator.") || roles === null) return [];
  return [...keysNamed(source, "results")]
    .filter((name) => !roles.includes(name))
    .map((name) => unknownName(key, "role", name, roles));
}
