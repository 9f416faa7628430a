// A file of rows, as JSON lines or Parquet, and formats that do nothing but make rows of a
// conversation.

import { IdSet } from "../../task/id-set.ts";
import type {
  Columns,
  Conversation,
  ExportFormat,
  ExportWriter,
  FormatOptions,
  RowFile,
  Selected,
  TableRow,
} from "../contract.ts";
import { openJsonLines } from "./json-lines.ts";
import { openParquet } from "./parquet-file.ts";
import { structColumns, structRow } from "./structs.ts";
import { wellFormedRow } from "./well-formed.ts";

/** A format that makes rows of a conversation. */
export interface Table {
  readonly about: string;
  readonly endings?: ExportFormat["endings"];
  readonly only?: "folder";
  /**
   * "always" for a format whose readers know no columns of JSON, "never" for one that has none;
   * unset when the user may choose.
   */
  readonly structs?: "always" | "never";
  /** True for a format of prompts, which has one example for all trials of a row. */
  readonly once?: true;
  columns(options: FormatOptions): Columns;
  rowsOf(
    selected: ConversationRecord,
    options: FormatOptions,
    path: string,
  ): readonly TableRow[] | Promise<readonly TableRow[]>;
}

export type ConversationRecord = Selected & { readonly conversation: Conversation };

export const TABLE_ENDINGS = [".jsonl", ".parquet"] as const;

/** Opens a file in the format of its ending. Fails with `storage_failed`. */
export async function openRows(
  path: string,
  columns: Columns,
  options: FormatOptions,
): Promise<RowFile> {
  const isParquet = path.endsWith(".parquet");
  const file = isParquet ? await openParquet(path, columns) : await openJsonLines(path);
  return {
    write: (row) => file.write(wellFormedRow(row, options)),
    close: () => file.close(),
  };
}

/** Opens a file whose rows are fitted to columns of structs. Fails with `storage_failed`. */
export async function openStructs(
  path: string,
  columns: Columns,
  options: FormatOptions,
): Promise<RowFile> {
  const file = await openRows(path, columns, options);
  return {
    write: (row) => file.write(structRow(row, columns)),
    close: () => file.close(),
  };
}

/** The format of a table. */
export function tableFormat({
  about,
  endings = TABLE_ENDINGS,
  only,
  ...table
}: Table): ExportFormat {
  const isPlain = ({ structs }: FormatOptions) =>
    table.structs === "always" || (structs && table.structs !== "never");
  const columns = (options: FormatOptions) =>
    isPlain(options) ? structColumns(table.columns(options)) : table.columns(options);
  return {
    about,
    endings,
    ...(only === undefined ? {} : { only }),
    reads: "conversations",
    structs: table.structs === undefined,
    columns,
    open: async (path, options): Promise<ExportWriter> => {
      const open = isPlain(options) ? openStructs : openRows;
      const file = await open(path, columns(options), options);
      const seen = new IdSet();
      return {
        add: async (selected) => {
          if (table.once && !seen.add(rowKey(selected))) return 0;
          const rows = await table.rowsOf(withConversation(selected), options, path);
          for (const row of rows) await file.write(row);
          return rows.length;
        },
        close: () => file.close(),
      };
    },
  };
}

/** A key that the trials of a row share, also across run directories. */
export function rowKey({ run, record }: Selected): string {
  return `${run.name}/${record.id}`;
}

/** Asserts that the record has a conversation. */
export function withConversation(selected: Selected): ConversationRecord {
  const { conversation } = selected;
  if (conversation === null)
    throw new Error("bug: a format of conversations was given a record without a conversation");
  return { ...selected, conversation };
}
