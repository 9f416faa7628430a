// The input of a role's model beside the conversation: prompts, tools and attachments. They
// are not in a record. They are made again from the recipe in the manifest and from the files that
// it names, as long as these are the ones with which the run was made.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type AttachmentPart, createReadAttachments } from "../../agent/attachments.ts";
import { loadTemplate, readTools } from "../../agent/create.ts";
import { promptTask } from "../../agent/prompt-task.ts";
import type { CompiledTemplate } from "../../agent/template.ts";
import { messageOf } from "../../error.ts";
import { masked, maskedValue } from "../../known-secrets.ts";
import type { Recipe } from "../../recipe/schema/schema.ts";
import type { TemplateSource } from "../../recipe/schema/value-schema.ts";
import { validateRecipe } from "../../recipe/validate.ts";
import type { Manifest } from "../../records/manifest.ts";
import type { JsonObject } from "../../task/json.ts";
import type { TrajectoryRecord } from "../../task/record.ts";
import type { Attachment, PromptsAnswer } from "../api.ts";

interface Prompts {
  readonly system: CompiledTemplate | null;
  readonly prompt: CompiledTemplate | null;
  readonly tools: readonly JsonObject[];
  readonly problems: readonly string[];
}

/** An attachment with its bytes. */
export interface Attached extends Attachment {
  readonly content: Buffer | null;
}

export class Given {
  readonly #manifest: Manifest;
  readonly #recipe: Recipe | null;
  readonly #prompts = new Map<string, Promise<Prompts>>();

  constructor(manifest: Manifest) {
    this.#manifest = manifest;
    this.#recipe = validateRecipe(manifest.recipe).recipe;
  }

  /** The prompts and tools of a hop's role, rendered as they were before the hop. */
  async promptsOf(record: TrajectoryRecord, hop: number): Promise<PromptsAnswer> {
    const role = record.history[hop]?.role ?? "";
    const nothing = { hop, system: null, prompt: null, tools: [] };
    const config = this.#recipe?.roles[role];
    if (config === undefined)
      return { ...nothing, problem: "this version of matrix cannot read the recipe of the run" };
    if (config.request !== undefined)
      return { ...nothing, problem: `the module ${config.request} writes the request` };
    const known = this.#prompts.get(role) ?? this.#load(role, config);
    this.#prompts.set(role, known);
    const { system, prompt, tools, problems } = await known;
    const variables = variablesOf(record, hop, role);
    const found = [...problems];
    const render = (template: CompiledTemplate | null): string | null => {
      try {
        return template === null ? null : masked(template(variables));
      } catch (cause) {
        found.push(`${messageOf(cause)} (records keep no state)`);
        return null;
      }
    };
    return {
      hop,
      system: render(system),
      prompt: render(prompt),
      tools: maskedValue(tools),
      problem: found.length === 0 ? null : found.join("; "),
    };
  }

  /** The attachments of a row, by role. `problem` names the first that could not be read. */
  async attachmentsOf(
    row: JsonObject,
  ): Promise<{ readonly attached: readonly Attached[]; readonly problem: string | null }> {
    const attached: Attached[] = [];
    let problem: string | null = null;
    for (const [role, config] of Object.entries(this.#recipe?.roles ?? {})) {
      const { attachments, attachment_folder: folder } = config;
      if (attachments === undefined) continue;
      try {
        const parts = await createReadAttachments(attachments, folder ?? null)(row);
        attached.push(...parts.map((part) => attachedOf(part, role)));
      } catch (cause) {
        problem ??= `role ${role}: ${messageOf(cause)}`;
      }
    }
    return { attached, problem };
  }

  async #load(role: string, config: Recipe["roles"][string]): Promise<Prompts> {
    const problems: string[] = [];
    const template = async (source: TemplateSource | undefined, key: string) => {
      if (source === undefined) return null;
      try {
        if (typeof source === "string") await this.#requireUnchanged(source);
        return await loadTemplate(source, key);
      } catch (cause) {
        problems.push(messageOf(cause));
        return null;
      }
    };
    const system = await template(config.system, `roles.${role}.system`);
    const prompt = await template(config.prompt, `roles.${role}.prompt`);
    return { system, prompt, tools: await this.#toolsOf(config.tools, problems), problems };
  }

  async #toolsOf(path: string | undefined, problems: string[]): Promise<readonly JsonObject[]> {
    if (path === undefined) return [];
    try {
      await this.#requireUnchanged(path);
      return await readTools(path);
    } catch (cause) {
      problems.push(messageOf(cause));
      return [];
    }
  }

  /** A file that the manifest does not know by its hash is never shown. */
  async #requireUnchanged(path: string): Promise<void> {
    const bytes = await readFile(path).catch(() => {
      throw new Error(`this machine does not have the file ${path}`);
    });
    if (this.#manifest.hashes[path] !== createHash("sha256").update(bytes).digest("hex"))
      throw new Error(`${path} has changed since the run was made`);
  }
}

/** The variables of a prompt. The state is not in the record. */
function variablesOf(
  record: TrajectoryRecord,
  hop: number,
  role: string,
): Readonly<Record<string, unknown>> {
  const task = {
    ...{ rowId: record.id, trial: record.trial, row: record.row, seed: record.seed, role },
    ...{ state: null, attempt: 1, admittedAt: 0, trace: null },
    history: record.history.slice(0, hop),
  };
  const { history } = promptTask(task);
  return {
    row: record.row,
    history,
    last: history.at(-1)?.result ?? null,
    role,
    id: record.id,
    trial: record.trial,
  };
}

function attachedOf(part: AttachmentPart, role: string): Attached {
  if (part.type === "input_audio") {
    const { data, format } = part.input_audio;
    return inline(role, "audio", `audio/${format === "mp3" ? "mpeg" : format}`, data);
  }
  const { url } = part.image_url;
  const [, type, data] = /^data:([\w/+.-]+);base64,(.*)$/s.exec(url) ?? [];
  if (type !== undefined && data !== undefined) return inline(role, "image", type, data);
  return { role, kind: "image", hash: null, type: null, bytes: null, url, content: null };
}

function inline(role: string, kind: Attachment["kind"], type: string, base64: string): Attached {
  const content = Buffer.from(base64, "base64");
  const hash = createHash("sha256").update(content).digest("hex");
  return { role, kind, hash, type, bytes: content.length, url: null, content };
}
