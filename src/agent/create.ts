// From a recipe's [roles.NAME] table to its agent, with everything the agent reads from files
// loaded and checked.

import { readFile } from "node:fs/promises";
import { MatrixError, messageOf } from "../error.ts";
import type { ChatMessage, Model } from "../model/contract.ts";
import type { OrchestratorConfig } from "../recipe/orchestrator-schema.ts";
import type { RoleConfig } from "../recipe/schema.ts";
import type { TemplateSource } from "../recipe/value-schema.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { Task } from "../task/task.ts";
import { createAttach } from "./attachments.ts";
import { createCodeAgent } from "./code.ts";
import type { Agent } from "./contract.ts";
import { createExecAgent } from "./exec.ts";
import { createLanguageAgent } from "./language.ts";
import { createLlmAgent, type LlmRole, renderRequest } from "./llm.ts";
import { createRequestWriter } from "./request.ts";
import { createSandboxedAgent, type SandboxedRole } from "./sandboxed.ts";
import { createAnswerSchema } from "./schema.ts";
import { type CompiledTemplate, compileTemplate } from "./template.ts";

export interface CreatedAgent {
  readonly agent: Agent;
  /** The first messages for a task, of an llm role; null for others. */
  readonly render: ((task: Task) => readonly ChatMessage[]) | null;
}

export interface AgentParts {
  readonly models: ReadonlyMap<string, Model>;
  readonly orchestrator: OrchestratorConfig;
  /** What a role with a sandbox needs of it; left out where no recipe has one. */
  readonly inSandbox?: (name: string, config: RoleConfig) => SandboxedRole;
  readonly loadModule: (path: string) => Promise<Record<string, unknown>>;
}

export async function createAgent(
  name: string,
  config: RoleConfig,
  parts: AgentParts,
): Promise<CreatedAgent> {
  if (config.agent === "llm") return createLlm(name, config, parts);
  if (config.agent === "language") {
    return {
      agent: await under(`roles.${name}.with`, () => createLanguageAgent(config.with)),
      render: null,
    };
  }
  if (config.sandbox !== undefined)
    return { agent: createInSandbox(name, config, parts), render: null };
  const module = await parts.loadModule(config.agent);
  return { agent: createCodeAgent(config.agent, module["default"], config.with), render: null };
}

/** A template's compiled form, from its file or its text. */
export async function loadTemplate(
  source: TemplateSource,
  name: string,
): Promise<CompiledTemplate> {
  return typeof source === "string"
    ? compileTemplate(await readText(source), source)
    : compileTemplate(source.text, name);
}

function createInSandbox(name: string, config: RoleConfig, { inSandbox }: AgentParts): Agent {
  const role = inSandbox?.(name, config);
  if (role === undefined) throw new Error(`bug: ${name} has a sandbox, and nobody has any`);
  return config.agent === "exec" ? createExecAgent(role) : createSandboxedAgent(role);
}

async function createLlm(
  name: string,
  config: RoleConfig,
  { models, orchestrator, loadModule }: AgentParts,
): Promise<CreatedAgent> {
  const model = models.get(config.model ?? "");
  if (model === undefined) throw new MatrixError("recipe_invalid", `roles.${name} has no model`);
  const { system, prompt, tools, schema, request, attachments, attachment_folder: folder } = config;
  const key = (part: string) => `roles.${name}.${part}`;
  const role: LlmRole = {
    name,
    model,
    system:
      system === undefined
        ? null
        : await under(key("system"), () => loadTemplate(system, key("system"))),
    prompt:
      prompt === undefined
        ? null
        : await under(key("prompt"), () => loadTemplate(prompt, key("prompt"))),
    conversation: new Set(config.conversation ?? defaultConversation(name, orchestrator)),
    sampling: config.sampling,
    accepts: new Set(config.accepts),
    tools: tools === undefined ? null : await under(key("tools"), () => readTools(tools)),
    attach: attachments === undefined ? null : createAttach(attachments, folder ?? null),
    schema:
      schema === undefined
        ? null
        : await under(key("schema"), async () => createAnswerSchema(await readSchema(schema))),
    request:
      request === undefined
        ? null
        : createRequestWriter(request, (await loadModule(request))["default"], config.with),
  };
  return { agent: createLlmAgent(role), render: (task) => renderRequest(role, task).messages };
}

/** What goes wrong is wrong with this key of the recipe. */
async function under<T>(key: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (thrown) {
    if (!(thrown instanceof MatrixError) || thrown.problems.length > 0) throw thrown;
    throw new MatrixError(thrown.code, thrown.message, {
      cause: thrown,
      problems: [{ key, message: thrown.message }],
    });
  }
}

/** In a pattern with turns, whoever takes turns sees the turns. */
export function defaultConversation(
  name: string,
  orchestrator: OrchestratorConfig,
): readonly string[] {
  if (!("pattern" in orchestrator)) return [];
  if (orchestrator.pattern === "dialogue")
    return orchestrator.speakers.includes(name) ? orchestrator.speakers : [];
  if (orchestrator.pattern === "tool-loop")
    return orchestrator.speaker === name ? [orchestrator.speaker, orchestrator.tools] : [];
  return [];
}

/** Fails with `recipe_invalid`. */
export async function readTools(path: string): Promise<readonly JsonObject[]> {
  const tools = await readJson(path);
  if (Array.isArray(tools) && tools.every(isJsonObject)) return tools;
  throw new MatrixError("recipe_invalid", `${path} is no list of tools`, {
    hint: 'a JSON list of {"type": "function", "function": {…}}',
  });
}

async function readSchema(source: string | JsonObject): Promise<JsonObject> {
  const schema = typeof source === "string" ? await readJson(source) : source;
  if (isJsonObject(schema)) return schema;
  throw new MatrixError(
    "recipe_invalid",
    `${String(source)} is no JSON schema: it must hold an object`,
  );
}

async function readJson(path: string): Promise<Json> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `${path} is no JSON: ${messageOf(cause)}`, { cause });
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
