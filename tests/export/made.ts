// Records, turns and selected records as a test needs them, and the rows that a format writes of
// them.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readParquet } from "../../src/dataset/parquet/read-parquet.ts";
import type {
  Conversation,
  ExportFormat,
  FormatOptions,
  Selected,
  Turn,
} from "../../src/export/contract.ts";
import type { Perspective } from "../../src/export/perspective.ts";
import type { Manifest } from "../../src/records/manifest.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import type { Hop } from "../../src/task/task.ts";
import { withFolder } from "../parts/folder.ts";
import { recordOf as madeRecord } from "../parts/record.ts";

const AT = "2026-11-24T10:20:30.500Z";

export function hopsOf(...results: readonly (readonly [role: string, result: Json])[]): Hop[] {
  return results.map(([role, result], hop) => ({
    hop,
    role,
    host: "h",
    at: AT,
    queue_ms: 0,
    run_ms: 1,
    result,
  }));
}

export function recordOf(changes: Partial<TrajectoryRecord> = {}): TrajectoryRecord {
  return madeRecord({
    id: "1",
    usage: { requests: 1, prompt_tokens: 10, completion_tokens: 5 },
    timing: { admitted_at: AT, ended_at: AT, total_ms: 1.5, queue_ms: 0, run_ms: 1 },
    row: { question: "Why?" },
    ...changes,
  });
}

/** A manifest with the members that an export reads. */
export function manifestOf(changes: Partial<Manifest> = {}): Manifest {
  return {
    name: "talk",
    ok: 3,
    failed: 2,
    lost: 1,
    seed: 9,
    trials: 2,
    dataset: { rows: 4, digest: "", ids_digest: "" },
    updated_at: AT,
    hashes: {},
    recipe: {},
    ...changes,
  } as Manifest;
}

/** A perspective in which `student` is the trained assistant and `teacher` the user. */
export function perspectiveOf(changes: Partial<Perspective> = {}): Perspective {
  return {
    parts: new Map([
      ["student", "assistant"],
      ["teacher", "user"],
    ]),
    lastAnswerOnly: false,
    ownView: null,
    trained: new Set(["student"]),
    assistant: "student",
    system: null,
    prompt: null,
    hopsOf: ({ history }) => history,
    candidatesOf: () => null,
    mediaOf: null,
    withPrompts: true,
    toolsOf: () => [],
    ...changes,
  };
}

export const CALL = {
  id: "c1",
  type: "function",
  function: { name: "find", arguments: '{"n":  1.0}' },
} as const;
export const TOOL: JsonObject = { type: "function", function: { name: "find" } };

export const system = (content: string): Turn => ({ role: "system", content, trained: false });
export const user = (content: string): Turn => ({ role: "user", content, trained: false });
export const assistant = (content: string | null, more: Partial<Turn> = {}): Turn => ({
  role: "assistant",
  content,
  trained: true,
  ...more,
});
export const tool = (content: string): Turn => ({
  role: "tool",
  content,
  tool_call_id: "c1",
  trained: false,
});

/** A conversation with every kind of turn. */
export const CONVERSATION: Conversation = {
  turns: [
    system("Be brief."),
    user("Who?"),
    assistant(null, { tool_calls: [CALL], reasoning_content: "I look.", trained: false }),
    tool("Ann"),
    assistant("Ann."),
  ],
  tools: [TOOL],
};

export function selectedOf(
  conversation: Conversation | null,
  record: Partial<TrajectoryRecord> = {},
  number = 0,
): Selected {
  const made = recordOf(record);
  return {
    number,
    run: manifestOf(),
    record: made,
    conversation,
    candidates: () => (conversation === null ? [] : [{ score: made.score, conversation }]),
  };
}

/** Options of a format, and the counts of what the format has omitted. */
export function formatOptions(
  changes: Partial<FormatOptions> = {},
  omitted: Record<string, number> = {},
): FormatOptions {
  return {
    masked: false,
    structs: false,
    media: new Set(),
    goodScore: 0.5,
    groundTruth: null,
    outputName: null,
    omit: (part, count) => {
      if (count > 0) omitted[part] = (omitted[part] ?? 0) + count;
    },
    ...changes,
  };
}

export interface Written {
  /** The answers of the writer to each record. */
  readonly examples: readonly number[];
  readonly rows: readonly JsonObject[];
  /** Set when the format had no place for something. */
  readonly omitted?: Readonly<Record<string, number>>;
}

/** Writes the records to a file with this ending, and reads it again. */
export async function written(
  format: ExportFormat,
  selected: readonly Selected[],
  {
    ending = format.endings[0],
    ...changes
  }: Partial<FormatOptions> & { readonly ending?: string } = {},
): Promise<Written> {
  return withFolder(async (folder) => {
    const path = join(folder, `train${ending}`);
    const omitted: Record<string, number> = {};
    const writer = await format.open(path, formatOptions(changes, omitted));
    for (const one of selected) writer.survey?.(one);
    const examples: number[] = [];
    for (const one of selected) examples.push(await writer.add(one));
    await writer.close();
    const rows: JsonObject[] = [];
    if (ending !== ".parquet") rows.push(...linesOf(await readFile(path, "utf8")));
    else
      for await (const batch of readParquet(path, null))
        rows.push(...(batch as readonly JsonObject[]));
    return { examples, rows, ...(Object.keys(omitted).length === 0 ? {} : { omitted }) };
  });
}

export function linesOf(text: string): JsonObject[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as JsonObject);
}
