// The memory of a process for the models that it asks: their answers, in the journal of the run, so
// that none is paid for twice, and in the cache that the recipe names; and windows of replicas.

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { AnswerFiles, type AnswerFilesOptions } from "../model/answers/answer-files.ts";
import type { Answers, FoundWindows, Journal } from "../model/context.ts";
import { keepsJournal } from "../model/create.ts";
import { FoundWindowsFile } from "../model/replica/found-windows.ts";
import type { LoadedRecipe } from "../recipe/load.ts";
import type { Recipe } from "../recipe/schema/schema.ts";
import { journalPath } from "../records/journal.ts";
import { refuseOthers } from "../task/own-files.ts";
import type { Log } from "../telemetry/log.ts";

export interface AnswerPlace {
  /** The run directory; null where this process cannot reach it. */
  readonly directory: string | null;
  /** Names this process among all that ever take part in the run. */
  readonly writer: string;
  /** Called before the journal is written to; an answer for which it fails is not kept. */
  readonly confirm?: () => Promise<void>;
  /** Tells whether the process of that name takes part in the run now. */
  readonly isWriting: (writer: string) => boolean;
}

export interface KeptAnswers {
  readonly journal: Journal | null;
  readonly cache: Answers | null;
  readonly windows: FoundWindows | null;
  close(): Promise<void>;
}

export function wantsJournal({ models }: Recipe): boolean {
  return Object.values(models).some(keepsJournal);
}

/** Fails with `recipe_invalid` when `run.cache` cannot be used. Makes no folder. */
export async function checkCache({ recipe, problemAt }: LoadedRecipe): Promise<void> {
  const folder = recipe.run.cache;
  const why =
    folder === undefined ? null : ((await whyUnusable(folder)) ?? (await whyForeign(folder)));
  if (why === null) return;
  throw new MatrixError("recipe_invalid", "answers cannot be kept in run.cache", {
    problems: [problemAt("run.cache", `${why}: name a folder that can be written to`)],
  });
}

/** The reason why the folder, or the nearest existing one above it, cannot be written to. */
async function whyUnusable(folder: string): Promise<string | null> {
  const found = await stat(folder).catch(() => null);
  if (found === null && dirname(folder) !== folder) return await whyUnusable(dirname(folder));
  if (found?.isDirectory() !== true) return `${folder} is not a folder`;
  try {
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    return null;
  } catch (cause) {
    return messageOf(cause);
  }
}

/** The reason why other users decide what is in the folder. */
async function whyForeign(folder: string): Promise<string | null> {
  try {
    await refuseOthers(folder);
    return null;
  } catch (thrown) {
    return thrown instanceof MatrixError ? messageOf(thrown) : null; // it is still to be made
  }
}

/**
 * Opens journal and cache. A run goes on without one that cannot be opened, and the log says so.
 */
export async function openAnswers(
  recipe: Recipe,
  place: AnswerPlace | null,
  log: Log,
): Promise<KeptAnswers> {
  if (place === null) return KEEPS_NOTHING;
  const { directory, writer, isWriting } = place;
  const open = async (use: AnswerFilesOptions["use"], folder: string) => {
    const warn: AnswerFilesOptions["warn"] = (text, fields) => log.write("warning", text, fields);
    try {
      const { confirm } = use === "journal" ? place : {};
      const guard = confirm === undefined ? {} : { confirm };
      return await AnswerFiles.open({ folder, writer, use, warn, isWriting, ...guard });
    } catch (cause) {
      const text = `the ${use} cannot be opened: answers are not kept there`;
      log.write("warning", text, { folder, why: messageOf(cause) });
      return null;
    }
  };
  const isWanted = wantsJournal(recipe);
  if (isWanted && directory === null)
    log.write(
      "info",
      "this host joined by URL and cannot reach the run directory: it keeps no journal, and a model may be asked again for an answer that it gave",
    );
  const journal =
    isWanted && directory !== null ? await open("journal", journalPath(directory)) : null;
  const cache = recipe.run.cache === undefined ? null : await open("cache", recipe.run.cache);
  const windows = directory === null ? null : await FoundWindowsFile.open(directory);
  return {
    journal,
    cache,
    windows,
    close: async () =>
      void (await Promise.all([journal?.close(), cache?.close(), windows?.close()])),
  };
}

const KEEPS_NOTHING: KeptAnswers = {
  journal: null,
  cache: null,
  windows: null,
  close: () => Promise.resolve(),
};
