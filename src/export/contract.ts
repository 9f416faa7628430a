// The contract of a format of `matrix export`: an entry in the table of formats, and a writer that
// takes one record after the other. A format knows nothing about filters, splits and cards;
// exportRuns does.

import type { ToolCall } from "../model/contract.ts";
import type { Expression } from "../recipe/expression/expression.ts";
import type { Manifest } from "../records/manifest.ts";
import type { Json, JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";

export interface ExportFormat {
  /** A description for --help, in a few words. */
  readonly about: string;
  /** The endings that a file of this format may have. Files in a folder get the first. */
  readonly endings: readonly [string, ...string[]];
  /**
   * "folder" for a format that needs its card, "file" for one that has no splits and no card; unset
   * when the user may choose.
   */
  readonly only?: "folder" | "file";
  /**
   * "conversations" for a format of turns between assistant and user; "records" for one that reads
   * whole records, with any roles.
   */
  readonly reads: "conversations" | "records";
  /** True when `structs` changes its columns. */
  readonly structs: boolean;
  /** The columns of its files; null for a format that is not a table. */
  columns(options: FormatOptions): Columns | null;
  /**
   * Opens a writer to `path`, or to files beside it: to NAME-PART.json when `path` is NAME.json.
   * Opening and writing fail with `storage_failed`.
   */
  open(path: string, options: FormatOptions): Promise<ExportWriter>;
}

export interface FormatOptions {
  /**
   * True when the user chose the roles to train on, so that each example must say which turns are
   * trained on.
   */
  readonly masked: boolean;
  /** True for columns of plain structs and text in place of columns of JSON. */
  readonly structs: boolean;
  /** Kinds of the media in the conversations to come. */
  readonly media: ReadonlySet<Medium["kind"]>;
  /** An example with at least this score is a good one, for formats that label examples. */
  readonly goodScore: number;
  /** An expression over a record that gives the right answer; null to look for one in the row. */
  readonly groundTruth: Expression | null;
  /**
   * The name of the only file without its ending; null in a folder, where files have the names of
   * their splits.
   */
  readonly outputName: string | null;
  /** Counts parts of the examples that the format has no place for. */
  omit(part: Omitted, count: number): void;
}

/**
 * Parts of examples that a format may have no place for. `lone_surrogates` are rows with
 * halves of characters, which UTF-8 cannot hold. `untrained_marks` are turns that are
 * trained on although the user chose other roles. An example without a prompt, or an answer without
 * a score, is left out where a format needs one. The last ones are reasons why a row gives no pair.
 */
export const OMITTED = [
  "reasoning",
  "reasoning_details",
  "images",
  "audio",
  "tools",
  "lone_surrogates",
  "untrained_marks",
  "examples_without_prompt",
  "answers_without_score",
  "rows_with_one_answer",
  "rows_with_equal_scores",
  "rows_with_equal_texts",
  "rows_with_other_prompts",
] as const;
export type Omitted = (typeof OMITTED)[number];

export interface ExportWriter {
  /**
   * Sees every record before the first one is added. Formats that choose among the trials of a row
   * implement it.
   */
  survey?(selected: Selected): void;
  /** Writes a record. Answers the number of examples that it gave. */
  add(selected: Selected): Promise<number>;
  close(): Promise<void>;
}

/** A record that no rule left out. */
export interface Selected {
  /** Counts the records of all runs from 0, also those that were left out. */
  readonly number: number;
  readonly run: Manifest;
  readonly record: TrajectoryRecord;
  /** May be null for a format that reads records. */
  readonly conversation: Conversation | null;
  /** All candidates of a record of best-of-n; for another record, its conversation alone. */
  candidates(): readonly Candidate[];
}

export interface Candidate {
  /** Null for a candidate that was not scored, or whose answers are not whole. */
  readonly score: number | null;
  readonly conversation: Conversation;
}

export interface Conversation {
  readonly turns: readonly Turn[];
  /** Tools in the OpenAI shape. */
  readonly tools: readonly JsonObject[];
  /** Attachments of the prompt, when the prompt is not a part of the conversation. */
  readonly unplaced?: readonly Medium[];
}

/** An image or a recording, as a `data:` URL or the address where it is. */
export interface Medium {
  readonly kind: "image" | "audio";
  readonly url: string;
}

/** A message in the OpenAI shape. The arguments of tool calls are the text that the model wrote. */
export interface Turn {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | null;
  /** The model's reasoning, by whatever name the endpoint gave it; unset for none. */
  readonly reasoning_content?: string;
  /** Fields of the answer that describe the reasoning by more than text; unset for none. */
  readonly reasoning_details?: JsonObject;
  readonly tool_calls?: readonly ToolCall[];
  readonly tool_call_id?: string;
  /** Media that follow the text of a user's turn; unset for none. */
  readonly media?: readonly Medium[];
  /** True when a model is to learn this turn. Only turns of the assistant are trained on. */
  readonly trained: boolean;
}

/**
 * The type of a column. `json` keeps any JSON as it is. `message` is a chat message: JSON, or a
 * struct with the members that all messages have. `image` and `audio` are URLs in a row, and bytes
 * in Parquet. Types are declared so that a loader does not guess one from the first rows and add
 * null keys to the others.
 */
export type ColumnType =
  | "string"
  | "int64"
  | "float64"
  | "bool"
  | "json"
  | "message"
  | "image"
  | "audio"
  | { readonly list: ColumnType }
  | { readonly struct: Columns };
export type Columns = { readonly [name: string]: ColumnType };
export type TableRow = { readonly [column: string]: Json };

/** A file of a table, in the making. */
export interface RowFile {
  write(row: TableRow): Promise<void>;
  close(): Promise<void>;
}
