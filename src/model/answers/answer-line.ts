// A kept answer as a line of a segment, and the key that it is found by. The key covers everything
// that decides the answer, and nothing else: not who asked, and not where the endpoint is.

import { createHash } from "node:crypto";
import { isJsonObject } from "../../task/json.ts";
import type { ChatAnswer, ChatRequest } from "../contract.ts";

/** One line. `row` and `trial` are null for a request that belongs to no task. */
export interface KeptAnswer {
  readonly key: string;
  readonly row: string | null;
  readonly trial: number | null;
  readonly model: string;
  readonly answer: ChatAnswer;
}

/**
 * The note of a process about a request: `wanted` when it would make it, `asked` when it begins,
 * and `dropped` when no answer will come of it. The answer itself comes in a line of its own.
 */
export type Note = "wanted" | "asked" | "dropped";
const NOTE_ENDS: readonly (readonly [end: string, note: Note])[] = [
  ['","note":"asked"}', "asked"],
  ['","note":"wanted"}', "wanted"],
  ['","note":"dropped"}', "dropped"],
];

/** The key comes first in a line, so that the index need not parse the rest. */
const KEY_FIRST = '{"key":"';
/** Length of a sha256 in base64url. */
const KEY_CHARS = 43;
const SEGMENT_NAME = /^(.+)-(\d+)\.jsonl$/;

/** `number`: from 1 for each writer. */
export function segmentName(writer: string, number: number): string {
  return `${writer}-${number}.jsonl`;
}

/** Returns null for a file that is not a segment. */
export function parseSegmentName(
  name: string,
): { readonly writer: string; readonly number: number } | null {
  const [, writer, number] = SEGMENT_NAME.exec(name) ?? [];
  return writer === undefined ? null : { writer, number: Number(number) };
}

/** Keys of requests under way: a key costs as much as all that it covers is long. */
const known = new WeakMap<ChatRequest, { readonly model: string; readonly key: string }>();

export function requestKey(model: string, request: ChatRequest): string {
  const before = known.get(request);
  if (before?.model === model) return before.key;
  const key = hashOf(model, request);
  known.set(request, { model, key });
  return key;
}

function hashOf(model: string, { messages, sampling, tools, schema, seed }: ChatRequest): string {
  const text = JSON.stringify(
    [model, messages, sampling, tools ?? null, schema ?? null, seed],
    sortKeys,
  );
  return createHash("sha256").update(text).digest("base64url");
}

/** The line with its newline. */
export function encodeAnswer(
  key: string,
  model: string,
  { origin }: ChatRequest,
  answer: ChatAnswer,
): string {
  const line: KeptAnswer = {
    key,
    row: origin?.row ?? null,
    trial: origin?.trial ?? null,
    model,
    answer,
  };
  return `${JSON.stringify(line)}\n`;
}

/** The line of a note, with its newline. */
export function encodeNote(key: string, note: Note): string {
  return `${JSON.stringify({ key, note })}\n`;
}

/** The note that a line is, by its end; null for any other line. */
export function noteOfLine(line: Buffer): Note | null {
  for (const [end, note] of NOTE_ENDS)
    if (
      line.length === KEY_FIRST.length + KEY_CHARS + end.length &&
      line.toString("latin1", line.length - end.length) === end
    )
      return note;
  return null;
}

/** The key at the beginning of a line; null when the line is not an answer. */
export function keyOfLine(line: Buffer): string | null {
  if (line.length < KEY_FIRST.length + KEY_CHARS || line.at(-1) !== CLOSING_BRACE) return null;
  const start = line.toString("latin1", 0, KEY_FIRST.length + KEY_CHARS);
  return start.startsWith(KEY_FIRST) ? start.slice(KEY_FIRST.length) : null;
}
const CLOSING_BRACE = 0x7d;

/** Returns null when the line is not an answer. */
export function parseAnswer(line: string): KeptAnswer | null {
  try {
    const value: unknown = JSON.parse(line);
    const answer = isJsonObject(value) ? value["answer"] : null;
    const isWhole =
      isJsonObject(answer) && isJsonObject(answer["message"]) && isJsonObject(answer["usage"]);
    return isWhole ? (value as unknown as KeptAnswer) : null;
  } catch {
    return null;
  }
}

/** Sorts the keys of objects: their order does not change what a request means. */
function sortKeys(_: string, value: unknown): unknown {
  return isJsonObject(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
}
