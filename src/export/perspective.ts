// The perspective from which the records of a run become conversations: which roles are the
// assistant and the user, which of them are trained on, and the prompts and tools that the
// assistant was given. It is read from the run directory and from the files that its recipe names.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createReadAttachments } from "../agent/attachments.ts";
import { loadTemplate, readTools } from "../agent/create.ts";
import type { CompiledTemplate } from "../agent/template.ts";
import { MatrixError, messageOf } from "../error.ts";
import type { Expression } from "../recipe/expression/expression.ts";
import type { Recipe } from "../recipe/schema/schema.ts";
import type { TemplateSource } from "../recipe/schema/value-schema.ts";
import { validateRecipe } from "../recipe/validate.ts";
import type { Manifest } from "../records/manifest.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import type { Hop } from "../task/task.ts";
import { type CandidateHops, candidatesOf, chosenHops } from "./candidates.ts";
import type { Medium } from "./contract.ts";
import { evaluated } from "./evaluated.ts";
import { mediumOf } from "./media.ts";
import { type Part, type Parts, partsFor, suggestParts } from "./parts.ts";

export interface Perspective extends Parts {
  /** Roles whose turns are trained on. */
  readonly trained: ReadonlySet<string>;
  /** The role whose prompts open the conversation. */
  readonly assistant: string;
  readonly system: CompiledTemplate | null;
  readonly prompt: CompiledTemplate | null;
  /**
   * The hops that make the conversation. Of several candidates these are the hops of the chosen
   * one.
   */
  hopsOf(record: TrajectoryRecord): readonly Hop[];
  /** All candidates of a record; null when its pattern makes none. */
  candidatesOf(record: TrajectoryRecord): readonly CandidateHops[] | null;
  /** Reads the attachments of a record's prompt; null when the role has none. */
  readonly mediaOf: ((record: TrajectoryRecord) => Promise<readonly Medium[]>) | null;
  /** False when the user wants no prompts. */
  readonly withPrompts: boolean;
  toolsOf(record: TrajectoryRecord): readonly JsonObject[];
}

export interface PerspectiveOptions {
  /** Null to use the role that the recipe suggests. */
  readonly as: ReadonlyMap<string, Part> | null;
  /** Null to train on every assistant message. */
  readonly trainOn: readonly string[] | null;
  /**
   * An expression over a record that gives its tools; null to take the tools of the assistant's
   * role.
   */
  readonly tools: Expression | null;
  readonly withPrompts: boolean;
}

/**
 * Reads the perspective of a run. Fails with `usage` when the recipe does not show which role is
 * the assistant, when options name a role that the recipe does not have, or when a prompt or tool
 * file has changed since the run.
 */
export async function createPerspective(
  directory: string,
  manifest: Manifest,
  options: PerspectiveOptions,
): Promise<Perspective> {
  const { recipe } = validateRecipe(manifest.recipe);
  if (recipe === null)
    throw new MatrixError(
      "usage",
      `${directory}: this version of matrix cannot read the recipe in its manifest.json`,
    );
  const { parts, lastAnswerOnly, ownView } =
    options.as === null ? suggestParts(recipe, directory) : namedParts(options.as, recipe);
  for (const role of [...parts.keys(), ...(options.trainOn ?? [])])
    checkRole(role, recipe, directory);
  const assistants = [...parts].filter(([, part]) => part === "assistant").map(([role]) => role);
  const [assistant] = assistants;
  if (assistant === undefined)
    throw new MatrixError("usage", "--as names no assistant", {
      hint: "for example --as writer=assistant",
    });
  checkTrained(options.trainOn ?? [], parts, assistants);
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
    ownView,
    trained: new Set(options.trainOn ?? assistants),
    assistant,
    system: await template(system, "system"),
    prompt: await template(prompt, "prompt"),
    hopsOf: (record) => chosenHops(record, recipe.orchestrator),
    candidatesOf: (record) => candidatesOf(record, recipe.orchestrator),
    mediaOf: readMedia(assistant, recipe),
    withPrompts: options.withPrompts,
    toolsOf: options.tools === null ? () => own : toolsBy(options.tools),
  };
}

/** The user's parts. A role that is named alone keeps the own view that its model had. */
function namedParts(parts: Parts["parts"], recipe: Recipe): Parts {
  const [first] = parts;
  const own = parts.size === 1 && first?.[1] === "assistant" ? partsFor(first[0], recipe) : null;
  return { parts, lastAnswerOnly: false, ownView: own?.ownView ?? null };
}

function checkRole(role: string, { roles }: Recipe, directory: string): void {
  if (role in roles) return;
  throw new MatrixError(
    "usage",
    `${directory}: its recipe has no role ${role}; roles: ${Object.keys(roles).join(", ")}`,
  );
}

function checkTrained(
  trainOn: readonly string[],
  parts: ReadonlyMap<string, Part>,
  assistants: readonly string[],
): void {
  const stranger = trainOn.find((role) => parts.get(role) !== "assistant");
  if (stranger === undefined) return;
  throw new MatrixError(
    "usage",
    `--train-on ${stranger}: this role is not an assistant in these conversations`,
    {
      hint: `assistants: ${assistants.join(", ")}; add one with --as ${stranger}=assistant`,
    },
  );
}

/** The path, if its file is the one that the run was made with. Fails with `usage`. */
async function unchanged(path: string, { hashes }: Manifest): Promise<string> {
  const hint = {
    hint: "restore the file, or export without prompts (--no-prompts) and tools (--tools '[]')",
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
      throw new MatrixError("usage", `${key} cannot be rendered: ${messageOf(cause)}`, {
        cause,
        hint:
          "records keep no state, so a prompt that reads the state cannot be repeated; " +
          "--no-prompts exports without prompts",
      });
    }
  };
}

function readMedia(assistant: string, { roles }: Recipe): Perspective["mediaOf"] {
  const { attachments, attachment_folder: folder } = roles[assistant] ?? {};
  if (attachments === undefined) return null;
  const read = createReadAttachments(attachments, folder ?? null);
  return async ({ row, id }) => {
    const parts = await read(row).catch((cause: unknown) => {
      throw new MatrixError("usage", `row ${id}: ${messageOf(cause)}`, {
        cause,
        hint: "restore the file; an export reads attachments again, as it renders prompts again",
      });
    });
    return parts.map(mediumOf);
  };
}

function toolsBy(expression: Expression): Perspective["toolsOf"] {
  const hint = "has(row.tools) ? row.tools : [] is empty where a row lacks the field";
  return (record) => {
    const tools = evaluated({ flag: "--tools", expression, hint }, record);
    if (Array.isArray(tools) && tools.every(isJsonObject)) return tools;
    throw new MatrixError(
      "usage",
      `--tools does not give a list of tools for row ${record.id}, trial ${record.trial}`,
    );
  };
}
