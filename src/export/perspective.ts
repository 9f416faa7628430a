// Who is who: which roles of a run's recipe are the assistant and the user of its conversations, which of them are trained
// on, and the prompts and tools that the assistant was given. Read from the run directory and the files that its recipe names.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { defaultConversation, loadTemplate, readTools } from "../agent/create.ts";
import type { CompiledTemplate } from "../agent/template.ts";
import { MatrixError, messageOf } from "../error.ts";
import { hopsOfFirst } from "../orchestrator/best-of-n.ts";
import type { Expression } from "../recipe/expression.ts";
import type { OrchestratorConfig } from "../recipe/orchestrator-schema.ts";
import type { Recipe } from "../recipe/schema.ts";
import { validateRecipe } from "../recipe/validate.ts";
import type { TemplateSource } from "../recipe/value-schema.ts";
import type { Manifest } from "../records/manifest.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import type { Hop } from "../task/task.ts";

export type Part = "assistant" | "user";

export interface Perspective {
  /** Of the roles that take part, by name. */
  readonly parts: ReadonlyMap<string, Part>;
  /** Whether each of the assistant's answers was to its prompt alone, so that only the last makes a conversation with it. */
  readonly lastAnswerOnly: boolean;
  /** Roles whose turns are trained on. */
  readonly trained: ReadonlySet<string>;
  /** The role whose prompts open the conversation. */
  readonly assistant: string;
  readonly system: CompiledTemplate | null;
  readonly prompt: CompiledTemplate | null;
  /** What the conversation is made of: of several candidates, the hops of the chosen one. */
  hopsOf(record: TrajectoryRecord): readonly Hop[];
  toolsOf(record: TrajectoryRecord): readonly JsonObject[];
}

export interface PerspectiveOptions {
  /** Unset, what the recipe's pattern suggests. */
  readonly as: ReadonlyMap<string, Part> | null;
  /** Unset, every assistant. */
  readonly trainOn: readonly string[] | null;
  /** Of a record; unset, the tools of the assistant's role. */
  readonly tools: Expression | null;
  readonly withPrompts: boolean;
}

/** Fails with `usage` when the recipe does not say who is who, names other roles, or its prompts are not what they were. */
export async function createPerspective(
  directory: string,
  manifest: Manifest,
  options: PerspectiveOptions,
): Promise<Perspective> {
  const { recipe } = validateRecipe(manifest.recipe);
  if (recipe === null)
    throw new MatrixError(
      "usage",
      `${directory}: the recipe in its manifest is not one of this version`,
    );
  const { parts, lastAnswerOnly } =
    options.as === null
      ? suggestParts(recipe, directory)
      : { parts: options.as, lastAnswerOnly: false };
  for (const role of [...parts.keys(), ...(options.trainOn ?? [])])
    checkRole(role, recipe, directory);
  const assistants = [...parts].filter(([, part]) => part === "assistant").map(([role]) => role);
  const [assistant] = assistants;
  if (assistant === undefined)
    throw new MatrixError("usage", "--as names no assistant", {
      hint: "for one: --as writer=assistant",
    });
  const stranger = options.trainOn?.find((role) => parts.get(role) !== "assistant");
  if (stranger !== undefined)
    throw new MatrixError(
      "usage",
      `--train-on ${stranger}: it is no assistant in these conversations`,
      {
        hint: `assistants: ${assistants.join(", ")}; more of them with --as ${stranger}=assistant`,
      },
    );
  const { system, prompt, tools } = recipe.roles[assistant] ?? {};
  const template = (source: TemplateSource | undefined, key: string) =>
    source === undefined || !options.withPrompts
      ? null
      : readPrompt(source, `roles.${assistant}.${key}`, manifest);
  const own =
    tools === undefined || options.tools !== null
      ? []
      : await readTools(await unchanged(tools, manifest));
  return {
    parts,
    lastAnswerOnly,
    trained: new Set(options.trainOn ?? assistants),
    assistant,
    system: await template(system, "system"),
    prompt: await template(prompt, "prompt"),
    hopsOf: (record) => chosenHops(record, recipe.orchestrator),
    toolsOf: options.tools === null ? () => own : toolsBy(options.tools),
  };
}

/** The role whose own view of the task is most likely wanted: its turns as assistant, those of its conversation as user. */
function suggestParts(
  recipe: Recipe,
  directory: string,
): Pick<Perspective, "parts" | "lastAnswerOnly"> {
  const assistant = suggestAssistant(recipe);
  const role = recipe.roles[assistant ?? ""];
  const seen = role?.conversation ?? defaultConversation(assistant ?? "", recipe.orchestrator);
  // Without turns and a prompt of its recipe, nothing tells what its model was shown.
  if (assistant === null || (seen.length === 0 && role?.prompt === undefined)) {
    const roles = Object.keys(recipe.roles).join(", ");
    throw new MatrixError(
      "usage",
      `${directory}: its recipe does not tell which role is the assistant, or what it was shown`,
      {
        hint: `say who is who, for one --as NAME=assistant,NAME=user; its roles: ${roles}`,
      },
    );
  }
  const others = seen.filter((name) => name !== assistant);
  return {
    parts: new Map([[assistant, "assistant"], ...others.map((name) => [name, "user"] as const)]),
    lastAnswerOnly: !seen.includes(assistant),
  };
}

/** In a dialogue the first speaker, in a tool loop its speaker; elsewhere the role named so, or the last that asks a model. */
function suggestAssistant({ roles, orchestrator }: Recipe): string | null {
  if ("assistant" in roles) return "assistant";
  const asking = (names: readonly string[]) => names.filter((name) => roles[name]?.agent === "llm");
  const all = asking(Object.keys(roles));
  if (all.length === 1) return all[0] ?? null;
  return asking(speakersOf(orchestrator)).at(0) ?? null;
}

/** Most likely first. */
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

function chosenHops(
  { history, outcome }: TrajectoryRecord,
  orchestrator: OrchestratorConfig,
): readonly Hop[] {
  const chosen = outcome?.["chosen"];
  if (
    !("pattern" in orchestrator) ||
    orchestrator.pattern !== "best-of-n" ||
    typeof chosen !== "number"
  )
    return history;
  if (orchestrator.parallel) return history.filter(({ branch }) => branch === chosen);
  const candidates = (outcome?.["candidates"] ?? []) as readonly { readonly hops?: number }[];
  const upTo = (count: number) => hopsOfFirst(candidates, count, orchestrator.roles.length);
  return history.slice(upTo(chosen), upTo(chosen + 1));
}

function checkRole(role: string, { roles }: Recipe, directory: string): void {
  if (role in roles) return;
  throw new MatrixError(
    "usage",
    `${directory}: its recipe has no role ${role}; roles: ${Object.keys(roles).join(", ")}`,
  );
}

async function readPrompt(
  source: TemplateSource,
  key: string,
  manifest: Manifest,
): Promise<CompiledTemplate> {
  if (typeof source === "string") await unchanged(source, manifest);
  const render = await loadTemplate(source, key);
  return (variables) => {
    try {
      return render(variables);
    } catch (cause) {
      throw new MatrixError("usage", `${key} does not render: ${messageOf(cause)}`, {
        cause,
        hint: WITHOUT_PROMPTS,
      });
    }
  };
}

const WITHOUT_PROMPTS =
  "records keep no state, so a prompt that reads it cannot be repeated; --no-prompts leaves prompts out";

/** The path, if its file is what it was when the run was made. */
async function unchanged(path: string, { hashes }: Manifest): Promise<string> {
  const hint = {
    hint: "bring it back as it was, or leave prompts out with --no-prompts and tools with --tools '[]'",
  };
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new MatrixError(
      "usage",
      `cannot read ${path}, which the run was made with: ${messageOf(cause)}`,
      { cause, ...hint },
    );
  });
  if (hashes[path] === createHash("sha256").update(bytes).digest("hex")) return path;
  throw new MatrixError("usage", `${path} has changed since the run was made`, hint);
}

function toolsBy(expression: Expression): Perspective["toolsOf"] {
  return (record) => {
    const tools = expression(record as unknown as JsonObject);
    if (Array.isArray(tools) && tools.every(isJsonObject)) return tools;
    throw new MatrixError(
      "usage",
      `--tools gives no list of tools for row ${record.id}, trial ${record.trial}`,
    );
  };
}
