// Checks one role: its model, its sandbox and the roles of its conversation exist, and its agent
// reads every key that is set.

import { type Complaint, unknownName } from "./complaint.ts";
import { interpreterOf } from "./interpreter.ts";
import { isOfRole } from "./process-role.ts";
import { isPython } from "./python-imports.ts";
import type { Recipe, RoleConfig } from "./schema/schema.ts";

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
/** Keys whose place is taken by a module that writes the whole request. */
const WRITTEN_KEYS = ["system", "prompt", "conversation", "tools"] as const;

/** Names of a recipe's tables; null for a section whose names are not known. */
export interface KnownNames {
  readonly roles: readonly string[] | null;
  readonly models: readonly string[] | null;
  readonly sandboxes: readonly string[] | null;
}

/** Complaints about names in a role that refer to nothing. */
export function checkNames(
  key: string,
  { agent, model, sandbox, conversation = [] }: RoleConfig,
  { roles, models, sandboxes }: KnownNames,
): Complaint[] {
  const unknown = (
    part: string,
    what: "role" | "model" | "sandbox",
    name: string | undefined,
    names: readonly string[] | null,
  ): Complaint[] =>
    name === undefined || names === null || names.includes(name)
      ? []
      : [unknownName(`${key}.${part}`, what, name, names)];
  return [
    ...unknown("model", "model", agent === "llm" ? model : undefined, models),
    ...unknown("sandbox", "sandbox", sandbox, sandboxes),
    ...conversation.flatMap((name, index) => unknown(`conversation.${index}`, "role", name, roles)),
  ];
}

/** `key` is the path of the role's table. */
export function checkRole(key: string, role: RoleConfig, recipe: Recipe): Complaint[] {
  return [
    ...checkPlace(key, role, recipe.sandboxes),
    ...checkRetries(key, role),
    ...checkFiles(key, role),
    ...checkPython(key, role),
    ...(role.agent === "llm" ? checkLlm(key, role) : idleLlmKeys(key, role)),
  ];
}

/** Steps of user code alone are tried again as a whole. */
function checkRetries(key: string, { agent, retries, model = "NAME" }: RoleConfig): Complaint[] {
  if (retries === 0 || (agent !== "llm" && agent !== "language")) return [];
  const message =
    agent === "llm"
      ? `an llm role does not read this key; set models.${model}.retries`
      : "a language role does not read this key: it answers the same each time";
  return [{ key: `${key}.retries`, message }];
}

/** Only code of the user reads files of its own. */
function checkFiles(key: string, { agent, files }: RoleConfig): Complaint[] {
  if (files.length === 0 || (agent !== "llm" && agent !== "language")) return [];
  return [{ key: `${key}.files`, message: `a role of the agent ${agent} does not read this key` }];
}

/** Only a Python file outside a container has an interpreter of its own. */
function checkPython(key: string, role: RoleConfig): Complaint[] {
  const { agent, request = "", python, command, sandbox } = role;
  if (python === undefined) return [];
  const complain = (message: string): Complaint[] => [{ key: `${key}.python`, message }];
  if (!isPython(agent === "llm" ? request : agent))
    return complain("only a role whose agent or request is a Python file reads this key");
  if (command !== undefined)
    return complain("this key has no effect: command says how the program is started");
  if (sandbox !== undefined && !isOfRole(sandbox))
    return complain("a program in a sandbox runs with the sandbox's own python3; remove this key");
  return [];
}

/** Complaints about keys of an llm role in a role of another agent. */
function idleLlmKeys(key: string, role: RoleConfig): Complaint[] {
  const idle = [
    ...LLM_KEYS.filter((name) => role[name] !== undefined),
    ...(Object.keys(role.sampling).length > 0 ? ["sampling"] : []),
    ...(role.accepts.length > 0 ? ["accepts"] : []),
  ];
  const message = `only an llm role reads this key; the agent of this role is ${role.agent}`;
  return idle.map((name) => ({ key: `${key}.${name}`, message }));
}

function checkLlm(key: string, role: RoleConfig): Complaint[] {
  const { model, system, prompt, request } = role;
  const complaints: Complaint[] = [];
  if (model === undefined)
    complaints.push({ key, message: "an llm role needs a model, one of [models]" });
  if (request === undefined && prompt === undefined && system === undefined)
    complaints.push({ key, message: "an llm role needs a prompt, a system message or a request" });
  if (request !== undefined)
    for (const name of WRITTEN_KEYS.filter((name) => role[name] !== undefined))
      complaints.push({
        key: `${key}.${name}`,
        message: "this key has no effect: the role's request module writes the whole request",
      });
  return complaints;
}

/** Checks the place where the agent runs. A role with a sandbox gets at most one complaint. */
function checkPlace(key: string, role: RoleConfig, sandboxes: Recipe["sandboxes"]): Complaint[] {
  const { agent, sandbox, command, processes } = role;
  if (sandbox === undefined) return checkNoSandbox(key, role);
  const complain = (name: string, message: string): Complaint[] => [
    { key: `${key}.${name}`, message },
  ];
  // The name is complained of already.
  if (!(sandbox in sandboxes)) return [];
  if (agent === "llm")
    return complain(
      "sandbox",
      "an llm role cannot have a sandbox: its model answers outside of it",
    );
  if (agent === "language")
    return complain("sandbox", "a language role cannot have a sandbox: it is a part of matrix");
  if (processes !== undefined && !isOfRole(sandbox))
    return complain(
      "processes",
      "this key is for programs without a sandbox; set sandboxes.NAME.count instead",
    );
  if (agent === "exec" && command !== undefined)
    return complain("command", "an exec role takes its commands from the task; remove this key");
  if (agent === "exec" || command !== undefined || interpreterOf(agent) !== null) return [];
  return complain("agent", 'the name does not say how to start this program; set command = ["…"]');
}

/** Every program role has a sandbox by now, so a role without one is not a program. */
function checkNoSandbox(key: string, role: RoleConfig): Complaint[] {
  const idle = [
    ...(["command", "processes"] as const).filter((name) => role[name] !== undefined),
    ...(role.history ? [] : ["history"]),
  ];
  const message = "only a program reads this key; the agent of this role is not a program";
  const complaints = idle.map((name) => ({ key: `${key}.${name}`, message }));
  if (role.agent !== "exec") return complaints;
  return [...complaints, { key, message: "an exec role needs a sandbox, one of [sandboxes]" }];
}
