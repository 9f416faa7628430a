// TRL's DPOTrainer: for each row of the dataset the best of its trials against the worst, after the
// turns that both share. The survey finds the two trials of each row, so that one of them waits in
// memory only until the other comes.

import type {
  Columns,
  Conversation,
  ExportFormat,
  ExportWriter,
  RowFile,
  Selected,
  TableRow,
  Turn,
} from "../contract.ts";
import { templateMessage, toolsText } from "../messages.ts";
import { openRows, TABLE_ENDINGS, withConversation } from "../table.ts";

const COLUMNS: Columns = {
  prompt: { list: "json" },
  chosen: { list: "json" },
  rejected: { list: "json" },
  tools: "string",
  score_chosen: "float64",
  score_rejected: "float64",
};

export const trlDpo: ExportFormat = {
  about: "DPOTrainer of TRL: prompt, chosen and rejected: best and worst scored trial of each row",
  endings: TABLE_ENDINGS,
  reads: "conversations",
  columns: () => COLUMNS,
  open: async (path) => new PairWriter(await openRows(path, COLUMNS)),
};

interface Scored {
  /** The record's number in the export. */
  readonly number: number;
  readonly score: number;
}

interface Pair {
  readonly best: Scored;
  readonly worst: Scored;
}

class PairWriter implements ExportWriter {
  readonly #file: RowFile;
  readonly #pairs = new Map<string, Pair>();
  /** Conversations of pairs whose other half has not come, by row. */
  readonly #waiting = new Map<string, Conversation>();

  constructor(file: RowFile) {
    this.#file = file;
  }

  survey({ number, run, record: { id, score } }: Selected): void {
    if (score === null) return;
    const row = rowOf(run.name, id);
    const seen = { number, score };
    const { best, worst } = this.#pairs.get(row) ?? { best: seen, worst: seen };
    this.#pairs.set(row, {
      best: score > best.score ? seen : best,
      worst: score < worst.score ? seen : worst,
    });
  }

  async add(selected: Selected): Promise<number> {
    const { number, run, record, conversation } = withConversation(selected);
    const row = rowOf(run.name, record.id);
    const pair = this.#pairs.get(row);
    if (pair === undefined || pair.best.score === pair.worst.score) return 0;
    const isBest = number === pair.best.number;
    if (!isBest && number !== pair.worst.number) return 0;
    const other = this.#waiting.get(row);
    if (other === undefined) {
      this.#waiting.set(row, conversation);
      return 0;
    }
    this.#waiting.delete(row);
    const columns = isBest ? pairOf(conversation, other) : pairOf(other, conversation);
    if (columns === null) return 0;
    await this.#file.write({
      ...columns,
      score_chosen: pair.best.score,
      score_rejected: pair.worst.score,
    });
    return 1;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** A key that the trials of a row share, also across run directories. */
function rowOf(run: string, id: string): string {
  return `${run}/${id}`;
}

/** The example of two conversations; null when they do not part at a turn of the assistant. */
function pairOf(chosen: Conversation, rejected: Conversation): TableRow | null {
  const limit = Math.min(chosen.turns.length, rejected.turns.length);
  let common = 0;
  while (common < limit && same(chosen.turns[common], rejected.turns[common])) common++;
  // The preference begins at a turn of the assistant in both conversations.
  while (common > 0 && !(speaks(chosen.turns[common]) && speaks(rejected.turns[common]))) common--;
  if (!speaks(chosen.turns[common]) || !speaks(rejected.turns[common])) return null;
  return {
    prompt: chosen.turns.slice(0, common).map(templateMessage),
    chosen: chosen.turns.slice(common).map(templateMessage),
    rejected: rejected.turns.slice(common).map(templateMessage),
    tools: toolsText(chosen.tools),
  };
}

function same(a: Turn | undefined, b: Turn | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    JSON.stringify(templateMessage(a)) === JSON.stringify(templateMessage(b))
  );
}

function speaks(turn: Turn | undefined): boolean {
  return turn?.role === "assistant";
}
