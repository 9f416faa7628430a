// Makes the plan of an agent from a recipe's [roles.NAME] table: everything that the agent reads
// from files is loaded and checked, and nothing is started.

import { readFile } from "node:fs/promises";
import { MatrixError, messageOf } from "../error.ts";
import type { ChatMessage, Model } from "../model/contract.ts";
import type { PythonLoader } from "../python/files.ts";
import { isOfRole } from "../recipe/process-role.ts";
import { isPython } from "../recipe/python-imports.ts";
import type { Recipe, RoleConfig } from "../recipe/schema/schema.ts";
import type { TemplateSource } from "../recipe/schema/value-schema.ts";
import type { SandboxPool } from "../sandbox/pool.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { type Later, whenHere } from "../task/later.ts";
import type { Task } from "../task/task.ts";
import { createAttach } from "./attachments.ts";
import { createCodeAgent } from "./code.ts";
import type { Agent } from "./contract.ts";
import { defaultConversation } from "./conversation.ts";
import { createExecAgent } from "./exec.ts";
import { createLanguageAgent } from "./language.ts";
import { createLlmAgent, type LlmRole, renderRequest } from "./llm.ts";
import { createPythonRequestWriter, createRequestWriter } from "./request.ts";
import { marksAgent, readRoleFiles } from "./role-files.ts";
import { createSandboxedAgent, roleInSandbox } from "./sandboxed.ts";
import { createAnswerSchema } from "./schema.ts";
import { startProgram, withTrueEnd } from "./start-program.ts";
import { type CompiledTemplate, compileTemplate } from "./template.ts";
import { CodeLeftOut } from "./user-module.ts";

/** An agent of a recipe, checked and not opened yet: its files are read, and nothing runs. */
export interface AgentPlan {
  /** Renders the first messages for a task; null for a role that asks no model. */
  readonly render: ((task: Task) => Later<readonly ChatMessage[]>) | null;
  open(live: LiveParts): Agent;
  /** Starts the agent's program once; set for programs alone. Fails with `module_invalid`. */
  start?(pool: LiveParts["pool"]): Promise<void>;
}

/** The models and sandboxes of an open run. */
export interface LiveParts {
  /** The models that roles ask, by name. */
  readonly models: ReadonlyMap<string, Pick<Model, "id" | "chat">>;
  /** The running sandboxes of a name. */
  readonly pool: (sandbox: string) => SandboxPool;
}

export interface PlanParts {
  readonly recipe: Recipe;
  /** The working folder of programs that run without their own sandbox. */
  readonly cwd: string;
  readonly loadModule: (path: string) => Promise<Record<string, unknown>>;
  readonly python: PythonLoader;
}

/** Reads and checks what the role's agent needs. Fails with a MatrixError that names the key. */
export async function planAgent(
  name: string,
  config: RoleConfig,
  parts: PlanParts,
): Promise<AgentPlan> {
  if (config.agent === "llm") return planLlm(name, config, parts);
  if (config.agent === "language") {
    const agent = await under(`roles.${name}.with`, () => createLanguageAgent(config.with));
    return { render: null, open: () => agent };
  }
  if (config.sandbox !== undefined) return planInSandbox(name, config, config.sandbox, parts);
  const module = await parts.loadModule(config.agent);
  const agent = createCodeAgent(config.agent, module["default"], config.with);
  return { render: null, open: () => agent };
}

async function planInSandbox(
  name: string,
  config: RoleConfig,
  sandbox: string,
  { recipe, cwd, python: files }: PlanParts,
): Promise<AgentPlan> {
  const { program } = await readRoleFiles(config);
  const python = isPython(config.agent)
    ? {
        command: isOfRole(sandbox)
          ? await files.commandFor(config.agent, config.python)
          : ["python3"],
        isMarked: await marksAgent(config.agent),
      }
    : null;
  const role = roleInSandbox(name, config, recipe, { cwd, program, python });
  const roleOver = (pool: LiveParts["pool"]) => ({ ...role, pool: pool(sandbox) });
  if (config.agent === "exec")
    return { render: null, open: ({ pool }) => createExecAgent(roleOver(pool)) };
  return {
    render: null,
    open: ({ pool }) => {
      const own = roleOver(pool);
      return withTrueEnd(own, createSandboxedAgent(own));
    },
    start: (pool) => startProgram(roleOver(pool), new AbortController().signal),
  };
}

/** Compiles a template from its file or its own text. */
export async function loadTemplate(
  source: TemplateSource,
  name: string,
): Promise<CompiledTemplate> {
  return typeof source === "string"
    ? compileTemplate(await readText(source), source)
    : compileTemplate(source.text, name);
}

async function planLlm(
  name: string,
  config: RoleConfig,
  { recipe: { orchestrator, run }, loadModule, python }: PlanParts,
): Promise<AgentPlan> {
  const { system, prompt, tools, schema, request, attachments, attachment_folder: folder } = config;
  const key = (part: string) => `roles.${name}.${part}`;
  const members = config.conversation ?? defaultConversation(name, orchestrator);
  const template = (part: string, source: TemplateSource | undefined) =>
    ifSet(source, (set) => under(key(part), () => loadTemplate(set, key(part))));
  const attach = attachments === undefined ? null : createAttach(attachments, folder ?? null);
  const read = await together({
    system: template("system", system),
    prompt: template("prompt", prompt),
    tools: ifSet(tools, (path) => under(key("tools"), () => readTools(path))),
    schema: ifSet(schema, (source) =>
      under(key("schema"), async () => createAnswerSchema(await readSchema(source))),
    ),
    request: ifSet(request, async (path) =>
      isPython(path)
        ? createPythonRequestWriter(
            path,
            await python.open({ kind: "request", path, settings: null, command: config.python }),
            config.with,
          )
        : createRequestWriter(path, (await loadModule(path))["default"], config.with),
    ),
  });
  const role: Omit<LlmRole, "model"> = {
    ...read,
    name,
    conversation: members === null ? null : new Set(members),
    sampling: config.sampling,
    accepts: new Set(config.accepts),
    limit: run.task_limit ?? null,
    attach,
  };
  return {
    render: (task) => whenHere(renderRequest(role, task), ({ messages }) => messages),
    open: ({ models }) => {
      const model = models.get(config.model ?? "");
      if (model === undefined) throw new Error(`bug: the model of ${name} is not open`);
      return createLlmAgent({ ...role, model });
    },
  };
}

function ifSet<T, R>(value: T | undefined, make: (value: T) => Promise<R>): Promise<R | null> {
  return value === undefined ? Promise.resolve(null) : make(value);
}

type AllAwaited<T> = { readonly [K in keyof T]: Awaited<T[K]> };

/** Waits for all parts. Fails with the problems of every part that failed. */
async function together<T extends Readonly<Record<string, Promise<unknown>>>>(
  parts: T,
): Promise<AllAwaited<T>> {
  const settled = await Promise.allSettled(Object.values(parts));
  const reasons = settled.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  // A problem of a part is said, also when another part was left out.
  const wrong = reasons.filter((reason) => !(reason instanceof CodeLeftOut));
  const failures = wrong.length > 0 ? wrong : reasons.slice(0, 1);
  const [first] = failures;
  if (failures.length === 0)
    return Object.fromEntries(
      Object.keys(parts).map((name, index) => [
        name,
        (settled[index] as { value?: unknown }).value,
      ]),
    ) as AllAwaited<T>;
  if (failures.length === 1 || !failures.every((one) => one instanceof MatrixError)) throw first;
  throw new MatrixError("recipe_invalid", "parts of the role are wrong", {
    problems: failures.flatMap(({ problems, message }) =>
      problems.length > 0 ? problems : [{ message }],
    ),
  });
}

/** Reports what goes wrong in `make` under this key of the recipe. */
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

/** Reads a JSON list of tools. Fails with `recipe_invalid`. */
export async function readTools(path: string): Promise<readonly JsonObject[]> {
  const tools = await readJson(path);
  if (Array.isArray(tools) && tools.every(isJsonObject)) return tools;
  throw new MatrixError("recipe_invalid", `${path} is not a list of tools`, {
    hint: 'a JSON list of {"type": "function", "function": {…}}',
  });
}

async function readSchema(source: string | JsonObject): Promise<JsonObject> {
  const schema = typeof source === "string" ? await readJson(source) : source;
  if (isJsonObject(schema)) return schema;
  throw new MatrixError(
    "recipe_invalid",
    `${String(source)} is not a JSON schema: it must hold an object`,
  );
}

async function readJson(path: string): Promise<Json> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `${path} is not JSON: ${messageOf(cause)}`, { cause });
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
