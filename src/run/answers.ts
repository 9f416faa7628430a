// What a process keeps of its models' answers: in the run's journal, so that none is paid for twice, and in the cache that the
// recipe names.

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { AnswerFiles, type AnswerFilesOptions } from "../model/answers/answer-files.ts";
import { keepsJournal } from "../model/create.ts";
import type { Recipe } from "../recipe/schema.ts";
import { journalPath } from "../records/journal.ts";
import type { Log } from "../telemetry/log.ts";
import type { Prepared } from "./prepare.ts";

export interface AnswerOptions {
  /** The run directory; null where it cannot be reached. */
  readonly directory: string | null;
  /** Names this process among all that ever take part. */
  readonly writer: string;
  readonly log: Log;
}

export interface KeptAnswers {
  /** A process died: what it was answered counts here from now on. */
  noteLoss(): void;
  close(): Promise<void>;
}

export function wantsJournal({ models }: Recipe): boolean {
  return Object.values(models).some(keepsJournal);
}

/** Fails with `recipe_invalid` where there can be no such cache. Nothing is made. */
export async function checkCache({ loaded: { recipe, problemAt } }: Prepared): Promise<void> {
  const folder = recipe.run.cache;
  const why = folder === undefined ? null : await whyUnusable(folder);
  if (why === null) return;
  throw new MatrixError("recipe_invalid", "answers cannot be kept in run.cache", {
    problems: [problemAt("run.cache", `${why}: name a folder that can be written to`)],
  });
}

/** Of a folder, or of the nearest one above it that is there. */
async function whyUnusable(folder: string): Promise<string | null> {
  const found = await stat(folder).catch(() => null);
  if (found === null && dirname(folder) !== folder) return await whyUnusable(dirname(folder));
  if (found?.isDirectory() !== true) return `${folder} is no folder`;
  try {
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    return null;
  } catch (cause) {
    return messageOf(cause);
  }
}

/** Opens both for the models of this process. A run goes on without what cannot be opened. */
export async function openAnswers(
  { loaded, modelSite }: Prepared,
  { directory, writer, log }: AnswerOptions,
): Promise<KeptAnswers> {
  const { recipe } = loaded;
  const open = async (
    use: AnswerFilesOptions["use"],
    folder: string,
  ): Promise<AnswerFiles | null> => {
    try {
      return await AnswerFiles.open({
        folder,
        writer,
        use,
        warn: (message, fields) => log.write("warning", message, fields),
      });
    } catch (cause) {
      log.write("warning", `the ${use} cannot be opened: answers are not kept there`, {
        folder,
        why: messageOf(cause),
      });
      return null;
    }
  };
  const isWanted = wantsJournal(recipe);
  const journal =
    isWanted && directory !== null ? await open("journal", journalPath(directory)) : null;
  if (isWanted && directory === null)
    log.write(
      "info",
      "the run directory is not known here (--join URL): answers are not kept, and may be asked for a second time",
    );
  const cache = recipe.run.cache === undefined ? null : await open("cache", recipe.run.cache);
  modelSite.journal = journal;
  modelSite.cache = cache;
  return {
    noteLoss: () => journal?.noteLoss(),
    close: async () => {
      modelSite.journal = null;
      modelSite.cache = null;
      await Promise.all([journal?.close(), cache?.close()]);
    },
  };
}
