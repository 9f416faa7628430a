// A look at the first row: which role acts first, and what models would be asked.

import { openDataset, type RowStream } from "../dataset/open.ts";
import { messageOf, type Problem } from "../error.ts";
import type { ChatMessage } from "../model/contract.ts";
import { startTask } from "../orchestrator/advance.ts";
import { nearestWord } from "../recipe/complaint.ts";
import { joinKey } from "../recipe/key-path.ts";
import { recipeInvalid } from "../recipe/problem.ts";
import { moveTask } from "../task/encoded.ts";
import type { JsonObject } from "../task/json.ts";
import { deriveSeed } from "../task/seed.ts";
import type { Plan } from "./plan.ts";
import { problemsOf } from "./recipe-problems.ts";
import type { Scanned } from "./scan-rows.ts";

/** First role of the first row, and the first prompt of each role before any other has spoken. */
export interface Preview {
  readonly firstRole: string | null;
  /** Null for roles that ask no model, and for prompts that read results of later steps. */
  readonly prompts: ReadonlyMap<string, readonly ChatMessage[] | null>;
}

/** A row, as a dataset gives it. */
export type FirstRow = Pick<NonNullable<Awaited<ReturnType<RowStream["next"]>>>, "id" | "row">;

export async function previewFirstRow(plan: Plan, scanned: Scanned): Promise<Preview> {
  return previewRow(plan, await firstRowOf(scanned));
}

/** The first row of a dataset; null when it has none. */
export async function firstRowOf({ source, scan }: Scanned): Promise<FirstRow | null> {
  const rows = await openDataset(source, scan.rows);
  const first = await rows.next();
  await rows.close();
  return first;
}

/**
 * Tells whether a prompt failed at a field that the row has under another spelling. No step changes
 * the row, so the prompt of a later role fails there, too.
 */
function misspellsField(thrown: unknown, row: JsonObject): boolean {
  const [, field] = /`row\.(\w+)` is undefined/.exec(messageOf(thrown)) ?? [];
  return field !== undefined && nearestWord(field, Object.keys(row)) !== undefined;
}

/**
 * Takes a row to its first role. Fails with `recipe_invalid` when the rule cannot start it, the
 * first prompt does not render, or the prompt of any role misspells a field of the row.
 */
export async function previewRow(
  { loaded, agents, rule }: Plan,
  first: FirstRow | null,
): Promise<Preview> {
  if (first === null) return { firstRole: null, prompts: new Map() };
  const { seed } = loaded.recipe.run;
  const message = await startTask(rule, {
    rowId: first.id,
    trial: 0,
    row: first.row,
    seed: deriveSeed(seed, first.id, 0),
    attempt: 1,
    admittedAt: 0,
    trace: null,
  });
  if (message.kind === "end") {
    const { error } = message.ending;
    // A row that is too deep or too large fails alone, wherever it stands.
    if (error === null || error.code === "task_too_deep" || error.code === "task_too_large")
      return { firstRole: null, prompts: new Map() };
    throw recipeInvalid("the first row", [loaded.problemAt("orchestrator", error.message)]);
  }
  const prompts = new Map<string, readonly ChatMessage[] | null>();
  const problems: Problem[] = [];
  for (const [name, { render }] of agents) {
    try {
      const task = moveTask(message.task, name, message.task.state);
      prompts.set(name, (await render?.(task)) ?? null);
    } catch (thrown) {
      if (name === message.task.role || misspellsField(thrown, first.row))
        problems.push(...problemsOf(thrown, `${joinKey("roles", name)}.prompt`, loaded));
      prompts.set(name, null);
    }
  }
  if (problems.length > 0) throw recipeInvalid("the first row", problems);
  return { firstRole: message.kind === "fork" ? null : message.task.role, prompts };
}
