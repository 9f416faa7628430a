// `matrix show DIR [ID]`: one whole trajectory in readable form.

import { styleText } from "node:util";
import { Command, InvalidArgumentError, Option } from "commander";
import { MatrixError } from "../error.ts";
import { openRecordFile, trajectoriesPath } from "../records/record-file.ts";
import { isJsonObject, type Json } from "../task/json.ts";
import { chatContent, type TrajectoryRecord } from "../task/record.ts";
import type { Hop } from "../task/task.ts";
import { printable } from "./printable.ts";

interface ShowFlags {
  readonly trial: number;
  readonly status?: string;
  readonly full?: boolean;
  readonly json?: boolean;
}

const LINES_MAX = 40;
const FIELD_MAX = 300;
const IDS_SHOWN = 5;

export function showCommand(): Command {
  return new Command("show")
    .description("print one trajectory in readable form: the one with this id, else the first")
    .argument("<dir>", "the run directory")
    .argument("[id]", "the row's id")
    .addOption(
      new Option("--trial <n>", "which trial of the row")
        .env("MATRIX_TRIAL")
        .argParser(wholeNumber)
        .default(0),
    )
    .addOption(
      new Option("--status <status>", "the first with this status")
        .env("MATRIX_STATUS")
        .choices(["ok", "failed", "lost"]),
    )
    .addOption(new Option("--full", "long texts whole").env("MATRIX_FULL"))
    .addOption(new Option("--json", "the record's line as it is").env("MATRIX_JSON"))
    .action(async (directory: string, id: string | undefined, flags: ShowFlags) => {
      const line = await findLine(trajectoriesPath(directory), id, flags);
      console.log(
        flags.json === true
          ? line
          : render(JSON.parse(line) as TrajectoryRecord, flags.full === true),
      );
    });
}

async function findLine(
  path: string,
  id: string | undefined,
  { trial, status }: ShowFlags,
): Promise<string> {
  const { lines, size, close } = await openRecordFile(path);
  const seen: string[] = [];
  try {
    for await (const batch of lines) {
      for (const { text, torn } of batch) {
        if (torn) continue;
        const record = JSON.parse(text) as TrajectoryRecord;
        const wanted =
          id === undefined
            ? status === undefined || record.status === status
            : record.id === id && record.trial === trial;
        if (wanted) return text;
        if (seen.length < IDS_SHOWN) seen.push(record.id);
      }
    }
  } finally {
    await close();
  }
  if (size === 0) throw new MatrixError("usage", `no records in ${path}`);
  const what =
    id === undefined ? `record with status ${status}` : `record of row ${id}, trial ${trial}`;
  throw new MatrixError("usage", `no ${what} in ${path}`, {
    hint: `it has rows like ${seen.join(", ")}`,
  });
}

function render(record: TrajectoryRecord, full: boolean): string {
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
  const head = `row ${printable(id)} · trial ${trial} · ${status} (${reason})${score === null ? "" : ` · score ${score}`}${simulated ? " · SIMULATED model" : ""}`;
  const lines = [styled("bold", head), ""];
  for (const [field, value] of Object.entries(row))
    lines.push(`${styled("dim", `${printable(field)}:`)} ${cut(inline(value), full)}`);
  for (const hop of history) lines.push("", ...renderHop(hop, full));
  lines.push("");
  if (outcome !== null) lines.push(`${styled("dim", "outcome:")} ${inline(outcome)}`);
  if (error !== null)
    lines.push(
      `${styled("red", `error ${error.code}:`)} ${printable(error.message)}${error.role === null ? "" : ` (${error.role}, hop ${error.hop})`}`,
    );
  lines.push(
    `${styled("dim", "time:")} ${timing.total_ms} ms, ${timing.run_ms} in agents, ${timing.queue_ms} in queues`,
  );
  return lines.join("\n");
}

function renderHop({ role, run_ms: runMs, usage, result }: Hop, full: boolean): string[] {
  const tokens = usage === undefined ? "" : ` · ${usage.completion_tokens} tokens`;
  const title = `${styled("cyan", role)} ${styled("dim", `· ${Math.round(runMs)} ms${tokens}`)}`;
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

function styled(style: "bold" | "dim" | "cyan" | "red", text: string): string {
  return process.stdout.isTTY && process.env["NO_COLOR"] === undefined
    ? styleText(style, text)
    : text;
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}
