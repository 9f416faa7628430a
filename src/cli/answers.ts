// What a process keeps of its models' answers: in the run's journal, so that none is paid for twice, and in the cache that the
// recipe names.

import { journalPath } from "../driver/journal.ts";
import { messageOf } from "../error.ts";
import { AnswerFiles, type AnswerFilesOptions } from "../model/answer-files.ts";
import { keepsJournal } from "../model/create.ts";
import type { Recipe } from "../recipe/schema.ts";
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

/** Opens both for the models of this process. A run goes on without what cannot be opened. */
export async function openAnswers({ loaded, modelSite }: Prepared, { directory, writer, log }: AnswerOptions): Promise<KeptAnswers> {
  const { recipe } = loaded;
  const open = async (use: AnswerFilesOptions["use"], folder: string): Promise<AnswerFiles | null> => {
    try {
      return await AnswerFiles.open({ folder, writer, use, warn: (message, fields) => log.write("warning", message, fields) });
    } catch (cause) {
      log.write("warning", `the ${use} cannot be opened: answers are not kept there`, { folder, why: messageOf(cause) });
      return null;
    }
  };
  const isWanted = wantsJournal(recipe);
  const journal = isWanted && directory !== null ? await open("journal", journalPath(directory)) : null;
  if (isWanted && directory === null)
    log.write("info", "the run directory is not known here (--join URL): answers are not kept, and may be asked for a second time");
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
