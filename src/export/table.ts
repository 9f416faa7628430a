// A file of rows, as JSON lines or Parquet, and formats that do nothing but make rows of a
// conversation.

import type {
  Columns,
  Conversation,
  ExportFormat,
  ExportWriter,
  FormatOptions,
  RowFile,
  Selected,
  TableRow,
} from "./contract.ts";
import { openJsonLines } from "./json-lines.ts";
import { openParquet } from "./parquet-file.ts";

/** A format that makes rows of a conversation. */
export interface Table {
  readonly about: string;
  readonly endings?: ExportFormat["endings"];
  readonly only?: "folder";
  columns(options: FormatOptions): Columns;
  rowsOf(selected: ConversationRecord, options: FormatOptions): readonly TableRow[];
}

export type ConversationRecord = Selected & { readonly conversation: Conversation };

export const TABLE_ENDINGS = [".jsonl", ".parquet"] as const;

/** Opens a file in the format of its ending. Fails with `storage_failed`. */
export function openRows(path: string, columns: Columns): Promise<RowFile> {
  return path.endsWith(".parquet") ? openParquet(path, columns) : openJsonLines(path, columns);
}

/** The format of a table. */
export function tableFormat({
  about,
  endings = TABLE_ENDINGS,
  only,
  columns,
  rowsOf,
}: Table): ExportFormat {
  return {
    about,
    endings,
    ...(only === undefined ? {} : { only }),
    reads: "conversations",
    columns,
    open: async (path, options): Promise<ExportWriter> => {
      const file = await openRows(path, columns(options));
      return {
        add: async (selected) => {
          const rows = rowsOf(withConversation(selected), options);
          for (const row of rows) await file.write(row);
          return rows.length;
        },
        close: () => file.close(),
      };
    },
  };
}

/** Asserts that the record has a conversation. */
export function withConversation(selected: Selected): ConversationRecord {
  const { conversation } = selected;
  if (conversation === null)
    throw new Error("bug: a format of conversations was given a record without a conversation");
  return { ...selected, conversation };
}
