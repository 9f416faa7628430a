// Parquet for analysis and for the Hugging Face hub: one row for each record, with its conversation
// and all counts of the record.

import type { Columns, TableRow } from "../contract.ts";
import { type ConversationRecord, type Table, tableFormat } from "../files/table.ts";
import { mediaCells, mediaColumns } from "../media.ts";
import { omitDetails, toolsText, wholeMessage } from "../messages.ts";

const COLUMNS: Columns = {
  run: "string",
  id: "string",
  trial: "int64",
  messages: { list: "message" },
  tools: "string",
  /** True for each message that is trained on. */
  train: { list: "bool" },
  score: "float64",
  stop_reason: "string",
  simulated: "bool",
  models: { list: "string" },
  prompt_tokens: "int64",
  completion_tokens: "int64",
  cached_tokens: "int64",
  cache_write_tokens: "int64",
  reasoning_tokens: "int64",
  cost: "float64",
  total_ms: "float64",
  row: "json",
  outcome: "json",
};

const ROWS: Pick<Table, "endings" | "columns" | "rowsOf"> = {
  endings: [".parquet"],
  columns: (options) => ({ ...COLUMNS, ...mediaColumns(options, ["image", "audio"]) }),
  rowsOf: async (selected, options) => {
    const { turns } = selected.conversation;
    // A struct has no place for what only some endpoints say.
    if (options.structs) omitDetails(turns, options);
    return [{ ...rowOf(selected), ...(await mediaCells(turns, options, ["image", "audio"])) }];
  },
};

export const parquet = tableFormat({
  about: "Parquet: one row for each record, with conversation, score, usage and row",
  ...ROWS,
});

/** The same rows in a folder with a card. */
export const hub = tableFormat({
  about: "a folder for the Hugging Face hub: Parquet and a card",
  ...ROWS,
  only: "folder",
});

function rowOf({ run, record, conversation: { turns, tools } }: ConversationRecord): TableRow {
  const models = new Set(record.history.flatMap(({ model }) => model ?? []));
  return {
    run: run.name,
    id: record.id,
    trial: record.trial,
    messages: turns.map(wholeMessage),
    tools: toolsText(tools),
    train: turns.map(({ trained }) => trained),
    score: record.score,
    stop_reason: record.stop_reason,
    simulated: record.simulated,
    models: [...models],
    prompt_tokens: record.usage.prompt_tokens,
    completion_tokens: record.usage.completion_tokens,
    cached_tokens: record.usage.cached_tokens ?? 0,
    cache_write_tokens: record.usage.cache_write_tokens ?? 0,
    reasoning_tokens: record.usage.reasoning_tokens ?? 0,
    cost: record.cost,
    total_ms: record.timing.total_ms,
    row: record.row,
    outcome: record.outcome,
  };
}
