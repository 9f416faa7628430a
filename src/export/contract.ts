// What a format of `matrix export` is: a name in the table of formats, and a writer that takes one record after the other. A
// format knows nothing of runs, filters, splits and cards; whoever calls it does.

import type { ToolCall } from "../model/contract.ts";
import type { Manifest } from "../records/manifest.ts";
import type { Json, JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";

export interface ExportFormat {
  /** A few words for --help. */
  readonly about: string;
  /** What its files may be named; those of a folder get the first. */
  readonly endings: readonly [string, ...string[]];
  /** A folder, as it is nothing without its card, or a file, as it is no dataset; unset, what the user names. */
  readonly only?: "folder" | "file";
  /** Whether it is made of conversations between assistant and user, or of whole records whatever their roles. */
  readonly reads: "conversations" | "records";
  /** What stands in its files; null where it is no table. */
  columns(options: FormatOptions): Columns | null;
  /** Writes to `path`, or to files beside it: of NAME.json, to NAME-PART.json. Fails with `storage_failed`, as the writer does. */
  open(path: string, options: FormatOptions): Promise<ExportWriter>;
}

export interface FormatOptions {
  /** Whether only some of the assistant's turns are trained on, so that each example must say which. */
  readonly masked: boolean;
}

export interface ExportWriter {
  /** Sees every record before the first is added, where a format chooses among the trials of a row. */
  survey?(selected: Selected): void;
  /** Answers how many examples came of it. */
  add(selected: Selected): Promise<number>;
  close(): Promise<void>;
}

/** A record that no filter left out. */
export interface Selected {
  /** From 0, over all runs. */
  readonly number: number;
  readonly run: Manifest;
  readonly record: TrajectoryRecord;
  /** Null for a format that reads records. */
  readonly conversation: Conversation | null;
}

export interface Conversation {
  readonly turns: readonly Turn[];
  /** In the OpenAI shape. */
  readonly tools: readonly JsonObject[];
}

/** A message in the OpenAI shape. Arguments of tool calls are the text that the model wrote. */
export interface Turn {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | null;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly ToolCall[];
  readonly tool_call_id?: string;
  /** Whether a model shall learn to say it; only ever of the assistant. */
  readonly trained: boolean;
}

/** `json`: any JSON, kept as it is. Declared, so that no loader guesses a type from the first rows and adds null keys to the others. */
export type ColumnType =
  | "string"
  | "int64"
  | "float64"
  | "bool"
  | "json"
  | { readonly list: ColumnType }
  | { readonly struct: Columns };
export type Columns = { readonly [name: string]: ColumnType };
export type TableRow = { readonly [column: string]: Json };

/** A file of a table. */
export interface RowFile {
  write(row: TableRow): Promise<void>;
  close(): Promise<void>;
}
