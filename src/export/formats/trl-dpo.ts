// TRL's DPOTrainer: for each row of the dataset the best of its answers against the worst, after
// the turns that both share. Answers are the trials of a row, and the candidates of each of them.
// The survey finds the two, so that one of them waits in memory only until the other comes.

import { createHash } from "node:crypto";
import type {
  Candidate,
  Conversation,
  ExportFormat,
  ExportWriter,
  FormatOptions,
  RowFile,
  Selected,
  TableRow,
  Turn,
} from "../contract.ts";
import { structColumns } from "../files/structs.ts";
import { openRows, openStructs, rowKey, TABLE_ENDINGS } from "../files/table.ts";
import { mediaCells, mediaColumns } from "../media.ts";
import { templateMessages, toolsText } from "../messages.ts";
import { type Answer, type Pair, pairIn } from "../pairs.ts";
import { taughtBy } from "../selection.ts";

export const trlDpo: ExportFormat = {
  about: "DPOTrainer of TRL: prompt, chosen and rejected: best and worst scored answer of each row",
  endings: TABLE_ENDINGS,
  reads: "conversations",
  structs: true,
  columns,
  open: async (path, options) => {
    const open = options.structs ? openStructs : openRows;
    return new PairWriter(await open(path, columns(options), options), options);
  },
};

function columns(options: FormatOptions) {
  const all = {
    prompt: { list: "message" },
    chosen: { list: "message" },
    rejected: { list: "message" },
    tools: "string",
    score_chosen: "float64",
    score_rejected: "float64",
    ...mediaColumns(options, ["image"]),
  } as const;
  return options.structs ? structColumns(all) : all;
}

class PairWriter implements ExportWriter {
  readonly #file: RowFile;
  readonly #options: FormatOptions;
  readonly #answers = new Map<string, Answer[]>();
  readonly #pairs = new Map<string, Pair | null>();
  /** Conversations of pairs whose other half has not come, by row. */
  readonly #waiting = new Map<string, Conversation>();

  constructor(file: RowFile, options: FormatOptions) {
    this.#file = file;
    this.#options = options;
  }

  survey(selected: Selected): void {
    const row = rowKey(selected);
    const answers = this.#answers.get(row) ?? [];
    this.#answers.set(row, answers);
    for (const [index, { score, conversation }] of selected.candidates().entries()) {
      if (score === null) continue;
      answers.push({ place: `${selected.number}/${index}`, score, text: digestOf(conversation) });
    }
  }

  async add(selected: Selected): Promise<number> {
    const row = rowKey(selected);
    const pair = this.#pairOf(row);
    if (pair === null) return 0;
    let examples = 0;
    for (const [index, candidate] of selected.candidates().entries())
      examples += await this.#addHalf(row, pair, `${selected.number}/${index}`, candidate);
    return examples;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** The pair of a row, chosen once. A reason for having none is counted. */
  #pairOf(row: string): Pair | null {
    const known = this.#pairs.get(row);
    if (known !== undefined) return known;
    const found = pairIn(this.#answers.get(row) ?? []);
    const pair = typeof found === "string" ? null : found;
    if (typeof found === "string") this.#options.omit(found, 1);
    this.#pairs.set(row, pair);
    return pair;
  }

  async #addHalf(
    row: string,
    { best, worst }: Pair,
    place: string,
    { conversation }: Candidate,
  ): Promise<number> {
    if (place !== best.place && place !== worst.place) return 0;
    const other = this.#waiting.get(row);
    if (other === undefined) {
      this.#waiting.set(row, conversation);
      return 0;
    }
    this.#waiting.delete(row);
    const [chosen, rejected] = place === best.place ? [conversation, other] : [other, conversation];
    const cells = await pairCells(chosen, rejected, this.#options);
    if (cells === null) {
      this.#options.omit("rows_with_other_prompts", 1);
      return 0;
    }
    await this.#file.write({ ...cells, score_chosen: best.score, score_rejected: worst.score });
    return 1;
  }
}

/** A digest of what the model says. */
function digestOf({ turns }: Conversation): string {
  const hash = createHash("sha256");
  for (const turn of turns) if (speaks(turn)) hash.update(taughtBy(turn));
  return hash.digest("base64");
}

/** The example of two conversations; null when they do not part at a turn of the assistant. */
async function pairCells(
  chosen: Conversation,
  rejected: Conversation,
  options: FormatOptions,
): Promise<TableRow | null> {
  const limit = Math.min(chosen.turns.length, rejected.turns.length);
  let common = 0;
  while (common < limit && same(chosen.turns[common], rejected.turns[common])) common++;
  // The preference begins at a turn of the assistant in both conversations.
  while (common > 0 && !(speaks(chosen.turns[common]) && speaks(rejected.turns[common]))) common--;
  if (common === 0) return null;
  return {
    prompt: templateMessages(chosen.turns.slice(0, common), options),
    chosen: templateMessages(chosen.turns.slice(common), options),
    rejected: templateMessages(rejected.turns.slice(common), options),
    tools: toolsText(chosen.tools),
    ...(await mediaCells(chosen.turns, options, ["image"])),
  };
}

function same(a: Turn | undefined, b: Turn | undefined): boolean {
  return a !== undefined && b !== undefined && taughtBy(a) === taughtBy(b);
}

function speaks(turn: Turn | undefined): boolean {
  return turn?.role === "assistant";
}
