// A record in readable form: the row, a paragraph per hop, the outcome and the error.

import { styleText } from "node:util";
import { isJsonObject, type Json } from "../../task/json.ts";
import { printable } from "../../task/printable.ts";
import { chatContent, type TrajectoryRecord } from "../../task/record.ts";
import type { Hop } from "../../task/task.ts";

/** Lines of one answer, and characters of one field, that are shown unless `full` is set. */
const LINES_MAX = 40;
const FIELD_MAX = 300;

export interface RecordOptions {
  /** Long texts are not cut. */
  readonly full: boolean;
  /** The text has the escape sequences of a terminal. */
  readonly colour: boolean;
}

type Style = (style: "bold" | "dim" | "cyan" | "red", text: string) => string;

export function renderRecord(record: TrajectoryRecord, options: RecordOptions): string {
  const { full, colour } = options;
  const styled: Style = (style, text) =>
    colour ? styleText(style, text, { validateStream: false }) : text;
  const {
    id,
    trial,
    status,
    stop_reason: reason,
    score,
    outcome,
    error,
    simulated,
    row,
    history,
    timing,
  } = record;
  const head = [
    `row ${printable(id)}`,
    `trial ${trial}`,
    `${status} (${reason})`,
    ...(score === null ? [] : [`score ${score}`]),
    ...(simulated ? ["SIMULATED model"] : []),
  ];
  const lines = [styled("bold", head.join(" · ")), ""];
  for (const [field, value] of Object.entries(row))
    lines.push(`${styled("dim", `${printable(field)}:`)} ${cut(inline(value), full)}`);
  for (const hop of history) lines.push("", ...renderHop(hop, full, styled));
  lines.push("");
  if (outcome !== null) lines.push(`${styled("dim", "outcome:")} ${inline(outcome)}`);
  if (error !== null) {
    const where = error.role === null ? "" : ` (${error.role}, hop ${error.hop})`;
    lines.push(`${styled("red", `error ${error.code}:`)} ${printable(error.message)}${where}`);
    lines.push(...framesOf(error.stack).map((frame) => styled("dim", frame)));
  }
  const { total_ms: total, run_ms: inAgents, queue_ms: inQueues } = timing;
  const times = `${total} ms, ${inAgents} in agents, ${inQueues} in queues`;
  lines.push(`${styled("dim", "time:")} ${times}`);
  return lines.join("\n");
}

/** The place at which user code threw. The first line of a JavaScript stack repeats the message. */
function framesOf(stack: string | undefined): string[] {
  if (stack === undefined) return [];
  const lines = stack.split("\n");
  const first = lines.findIndex((line) => line.startsWith("    at "));
  const indented = first === -1 ? lines.map((line) => `  ${line}`) : dedented(lines.slice(first));
  return indented.map((line) => printable(line.trimEnd()));
}

function dedented(frames: readonly string[]): readonly string[] {
  return frames.map((line) => line.slice(2));
}

function renderHop(hop: Hop, full: boolean, styled: Style): string[] {
  const { role, run_ms: runMs, usage, result, tries, missed = [], error } = hop;
  const about = [
    `${Math.round(runMs)} ms`,
    ...(usage === undefined ? [] : [`${usage.completion_tokens} tokens`]),
    ...(tries === undefined ? [] : [`${tries} tries`]),
  ].join(" · ");
  const title = `${styled("cyan", role)} ${styled("dim", `· ${about}`)}`;
  const unused = missed.flatMap((answer) => [
    `  ${styled("red", "not used:")} ${printable(answer.problem)}`,
    `    ${cut(inline(chatContent(answer.result) ?? answer.result), full)}`,
  ]);
  return [...resultLines(title, result, full, error), ...unused];
}

function resultLines(
  title: string,
  result: Json,
  full: boolean,
  error: string | undefined,
): string[] {
  if (error !== undefined) return [`${title}  failed: ${printable(error)}`];
  const content = chatContent(result);
  const calls = isJsonObject(result) ? result["tool_calls"] : undefined;
  if (content === null && calls === undefined) return [`${title}  ${cut(inline(result), full)}`];
  const text =
    content === null
      ? []
      : printable(content)
          .split("\n")
          .map((line) => `  ${line}`);
  const shown =
    full || text.length <= LINES_MAX
      ? text
      : [...text.slice(0, LINES_MAX), `  … ${text.length - LINES_MAX} more lines (--full)`];
  return [title, ...shown, ...(calls === undefined ? [] : [`  calls ${inline(calls)}`])];
}

function inline(value: Json): string {
  return printable(typeof value === "string" ? value : JSON.stringify(value));
}

function cut(text: string, full: boolean): string {
  return full || text.length <= FIELD_MAX
    ? text
    : `${text.slice(0, FIELD_MAX)}… (${text.length} characters)`;
}
