// What a schema cannot say: that the names in a recipe refer to something, and that nothing in it is idle.

import { existsSync } from "node:fs";
import { MatrixError } from "../error.ts";
import { compileExpression } from "./expression.ts";
import { parseGraphPath } from "./graph-path.ts";
import { interpreterOf } from "./interpreter.ts";
import { joinKey } from "./key-path.ts";
import type { OrchestratorConfig } from "./orchestrator-schema.ts";
import { isOfRole } from "./process-role.ts";
import { BUILT_IN_AGENTS } from "./role-schema.ts";
import { isImagePath, type SandboxConfig } from "./sandbox-schema.ts";
import type { Recipe, RoleConfig } from "./schema.ts";
import { type Complaint, nearest } from "./validate.ts";

export function checkReferences(recipe: Recipe): Complaint[] {
  const roles = Object.keys(recipe.roles);
  const complaints: Complaint[] = [];
  for (const [name, role] of Object.entries(recipe.roles))
    complaints.push(...checkRole(joinKey("roles", name), role, recipe));
  for (const [name, sandbox] of Object.entries(recipe.sandboxes))
    complaints.push(...checkSandbox(name, joinKey("sandboxes", name), sandbox, recipe));
  const routed = new Set<string>();
  for (const [key, role] of routedRoles(recipe.orchestrator)) {
    routed.add(role);
    if (!roles.includes(role)) complaints.push(unknownName(key, "role", role, roles));
  }
  if ("pattern" in recipe.orchestrator) {
    for (const role of roles.filter((role) => !routed.has(role))) {
      complaints.push({
        key: joinKey("roles", role),
        message: "no task ever comes here: the orchestrator does not name this role",
      });
    }
  }
  for (const [key, expression] of expressionsOf(recipe))
    complaints.push(...checkExpression(key, expression));
  for (const [key, path] of filesOf(recipe))
    if (!existsSync(path)) complaints.push({ key, message: `no such file: ${path}` });
  return complaints;
}

/** Files that a recipe's roles and models read, with the keys that name them. */
export function filesOf({
  roles,
  models,
  orchestrator,
}: Recipe): (readonly [key: string, path: string])[] {
  const files: [string, string][] = [];
  const add = (key: string, value: unknown): void => {
    if (typeof value === "string") files.push([key, value]);
  };
  for (const [name, role] of Object.entries(roles)) {
    if (!BUILT_IN_AGENTS.includes(role.agent)) add(`${joinKey("roles", name)}.agent`, role.agent);
    for (const key of ["system", "prompt", "tools", "schema", "request"] as const)
      add(`${joinKey("roles", name)}.${key}`, role[key]);
  }
  for (const [name, model] of Object.entries(models))
    if (model.kind !== "openai") add(`${joinKey("models", name)}.replies`, model.replies);
  if ("module" in orchestrator) add("orchestrator.module", orchestrator.module);
  if ("graph" in orchestrator) add("orchestrator.graph", parseGraphPath(orchestrator.graph).module);
  return files;
}

const LLM_KEYS = [
  "model",
  "system",
  "prompt",
  "conversation",
  "tools",
  "schema",
  "request",
  "attachments",
  "attachment_folder",
] as const;
/** What a module that writes the whole request takes the place of. */
const WRITTEN_KEYS = ["system", "prompt", "conversation", "tools"] as const;

function checkRole(
  key: string,
  role: RoleConfig,
  { roles, models, sandboxes }: Recipe,
): Complaint[] {
  const complaints: Complaint[] = checkPlace(key, role, sandboxes);
  if (role.agent !== "llm") {
    const isSet = {
      sampling: Object.keys(role.sampling).length > 0,
      accepts: role.accepts.length > 0,
    };
    const idle = [
      ...LLM_KEYS.filter((name) => role[name] !== undefined),
      ...(["sampling", "accepts"] as const).filter((name) => isSet[name]),
    ];
    const message = `only an llm role reads it; this role's agent is ${role.agent}`;
    return [...complaints, ...idle.map((name) => ({ key: `${key}.${name}`, message }))];
  }
  if (role.model === undefined)
    complaints.push({ key, message: "an llm role needs a model, one of [models]" });
  else if (!(role.model in models))
    complaints.push(unknownName(`${key}.model`, "model", role.model, Object.keys(models)));
  if (role.request === undefined && role.prompt === undefined && role.system === undefined)
    complaints.push({ key, message: "an llm role needs a prompt, a system message or a request" });
  if (role.request !== undefined)
    for (const name of WRITTEN_KEYS.filter((name) => role[name] !== undefined))
      complaints.push({
        key: `${key}.${name}`,
        message: "nothing reads it: the role's request module writes the whole request",
      });
  role.conversation?.forEach((name, index) => {
    if (!(name in roles))
      complaints.push(
        unknownName(`${key}.conversation.${index}`, "role", name, Object.keys(roles)),
      );
  });
  return complaints;
}

/** Where a role's agent runs. */
function checkPlace(key: string, role: RoleConfig, sandboxes: Recipe["sandboxes"]): Complaint[] {
  const { agent, sandbox, command, history, processes } = role;
  if (sandbox === undefined) {
    const idle = [
      ...(["command", "processes"] as const).filter((name) => role[name] !== undefined),
      ...(history ? [] : (["history"] as const)),
    ];
    const complaints = idle.map((name) => ({
      key: `${key}.${name}`,
      message: "only a program reads it; this role's agent is none",
    }));
    if (agent !== "exec") return complaints;
    return [...complaints, { key, message: "an exec role needs a sandbox, one of [sandboxes]" }];
  }
  if (!(sandbox in sandboxes))
    return [unknownName(`${key}.sandbox`, "sandbox", sandbox, Object.keys(sandboxes))];
  if (agent === "llm")
    return [
      {
        key: `${key}.sandbox`,
        message: "an llm role has no sandbox: its model answers outside of it",
      },
    ];
  if (agent === "language")
    return [
      { key: `${key}.sandbox`, message: "a language role has no sandbox: it is part of matrix" },
    ];
  if (processes !== undefined && !isOfRole(sandbox))
    return [
      {
        key: `${key}.processes`,
        message: "how many programs run in sandboxes is said there: sandboxes.NAME.count",
      },
    ];
  if (agent === "exec" && command !== undefined)
    return [{ key: `${key}.command`, message: "an exec role takes its commands from the task" }];
  if (agent === "exec" || command !== undefined || interpreterOf(agent) !== null) return [];
  return [
    {
      key: `${key}.agent`,
      message: 'how it is started is not known from its name; say it: command = ["…"]',
    },
  ];
}

function checkSandbox(
  name: string,
  key: string,
  { image, engine, warm, count, mounts }: SandboxConfig,
  { roles }: Recipe,
): Complaint[] {
  const complaints: Complaint[] = [];
  const add = (part: string, message: string): void =>
    void complaints.push({ key: part === "" ? key : `${key}.${part}`, message });
  if (!Object.values(roles).some(({ sandbox }) => sandbox === name)) add("", "no role runs in it");
  if (image === undefined && engine !== "process") add("", "it needs an image");
  if (image?.endsWith(".sif") && engine === "docker")
    add("image", "Docker takes no SIF; leave engine at auto, or apptainer");
  if (image !== undefined && engine !== "process" && isImagePath(image) && !existsSync(image))
    add("image", `no such file or folder: ${image}`);
  if (warm > count) add("warm", `more than count, ${count}`);
  for (const [index, { source }] of mounts.entries())
    if (!existsSync(source)) add(`mounts.${index}.source`, `no such file or folder: ${source}`);
  if (mounts.length > 0 && engine === "process")
    add("mounts", "plain processes see this machine's files as they are");
  return complaints;
}

function routedRoles(orchestrator: OrchestratorConfig): (readonly [key: string, role: string])[] {
  if (!("pattern" in orchestrator)) return [];
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

function checkExpression(key: string, source: string): Complaint[] {
  try {
    compileExpression(source);
    return [];
  } catch (thrown) {
    if (thrown instanceof MatrixError) return [{ key, message: thrown.message }];
    throw thrown;
  }
}

function unknownName(key: string, what: string, name: string, names: readonly string[]): Complaint {
  const plural = what.endsWith("x") ? `${what}es` : `${what}s`;
  const known = names.length === 0 ? `there are no ${plural}` : `${plural}: ${names.join(", ")}`;
  const suggestion = nearest(name, names);
  return {
    key,
    message: `no ${what} is named "${name}"; ${known}`,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}
