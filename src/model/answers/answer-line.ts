// A kept answer as a line of a segment, and the key that it is found by. The key says all that
// decides an answer and nothing else: not who asked, not where the endpoint is.

import { createHash } from "node:crypto";
import { isJsonObject } from "../../task/json.ts";
import type { ChatAnswer, ChatRequest } from "../contract.ts";

/** One line. Of a request from outside of any task, `row` and `trial` are null. */
export interface KeptAnswer {
  readonly key: string;
  readonly row: string | null;
  readonly trial: number | null;
  readonly model: string;
  readonly answer: ChatAnswer;
}

/** The first of a line, so that an index need not parse the rest. */
const KEY_FIRST = '{"key":"';
/** sha256 in base64url. */
const KEY_CHARS = 43;
const SEGMENT_NAME = /^(.+)-(\d+)\.jsonl$/;

/** Segments of one writer are numbered from 1. */
export function segmentName(writer: string, number: number): string {
  return `${writer}-${number}.jsonl`;
}

/** Null for a file that is none. */
export function parseSegmentName(
  name: string,
): { readonly writer: string; readonly number: number } | null {
  const [, writer, number] = SEGMENT_NAME.exec(name) ?? [];
  return writer === undefined ? null : { writer, number: Number(number) };
}

export function requestKey(
  model: string,
  { messages, sampling, tools, schema, seed }: ChatRequest,
): string {
  const text = JSON.stringify(
    [model, messages, sampling, tools ?? null, schema ?? null, seed],
    sortKeys,
  );
  return createHash("sha256").update(text).digest("base64url");
}

/** With its newline. */
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

/** The key of a line, as it begins; null where it is no answer. */
export function keyOfLine(line: Buffer): string | null {
  if (line.length < KEY_FIRST.length + KEY_CHARS || line.at(-1) !== CLOSING_BRACE) return null;
  const start = line.toString("latin1", 0, KEY_FIRST.length + KEY_CHARS);
  return start.startsWith(KEY_FIRST) ? start.slice(KEY_FIRST.length) : null;
}
const CLOSING_BRACE = 0x7d;

/** Null where it is no answer. */
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

/** A table means the same in any order of its keys. */
function sortKeys(_: string, value: unknown): unknown {
  return isJsonObject(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
}
