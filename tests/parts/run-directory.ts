// A finished run directory, written by hand: what an export reads, without the time that a run
// takes.

import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Manifest } from "../../src/records/manifest.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import type { Hop, StopReason } from "../../src/task/task.ts";

export interface Made {
  readonly id: string;
  readonly trial?: number;
  readonly score?: number | null;
  readonly status?: "ok" | "failed";
  readonly stop_reason?: StopReason;
  readonly row?: JsonObject;
  readonly outcome?: JsonObject;
  readonly history: readonly (readonly [role: string, result: Json])[];
}

export const said = (content: string): JsonObject => ({ role: "assistant", content });
export const calls = (id: string, name: string, text: string): JsonObject => ({
  role: "assistant",
  content: null,
  tool_calls: [{ id, type: "function", function: { name, arguments: text } }],
});
export const toolResult = (id: string, content: string): JsonObject => ({
  role: "tool",
  tool_call_id: id,
  content,
});

/** A recipe with a tool loop whose speaker has a system and a user prompt. */
export const TOOL_LOOP: JsonObject = {
  name: "helpdesk",
  dataset: { path: "d.jsonl" },
  models: { m: { kind: "simulated" } },
  roles: {
    solver: {
      agent: "llm",
      model: "m",
      system: { text: "You help." },
      prompt: { text: "{{ row.question }}" },
    },
    tools: { agent: "tools.ts" },
  },
  orchestrator: { pattern: "tool-loop", speaker: "solver", tools: "tools" },
};

export const DIALOGUE: JsonObject = {
  name: "talk",
  dataset: { path: "d.jsonl" },
  models: { m: { kind: "simulated" } },
  roles: {
    student: {
      agent: "llm",
      model: "m",
      system: { text: "You study." },
      prompt: { text: "{{ row.question }}" },
    },
    teacher: { agent: "llm", model: "m", prompt: { text: "{{ row.question }}" } },
    judge: { agent: "judge.ts" },
  },
  orchestrator: { pattern: "dialogue", speakers: ["student", "teacher"], between: ["judge"] },
};

export const BEST_OF_THREE: JsonObject = {
  ...DIALOGUE,
  orchestrator: { pattern: "best-of-n", roles: ["student", "judge"], n: 3 },
};

export async function writeRun(
  directory: string,
  recipe: JsonObject,
  records: Iterable<Made>,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(
    join(directory, "recipe.toml"),
    `name = ${JSON.stringify(recipe["name"])}\nprompt = "/home/somebody/secret/prompt.md"\n`,
  );
  const counts = { ok: 0, failed: 0, lost: 0 };
  const lines = function* () {
    for (const made of records) {
      const record = recordOf(made);
      counts[record.status]++;
      yield `${JSON.stringify(record)}\n`;
    }
  };
  await pipeline(lines, createWriteStream(join(directory, "trajectories.jsonl")));
  const all = counts.ok + counts.failed;
  const manifest: Manifest = {
    format: "matrix-manifest-1",
    name: String(recipe["name"]),
    state: "complete",
    expected: all,
    ...counts,
    spent: { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0, hosts: {} },
    simulated: true,
    seed: 0,
    trials: 1,
    dataset: { rows: all, digest: "", ids_digest: "" },
    recipe,
    hashes: {},
    versions: { matrix: "0", runtime: "bun" },
    created_at: "2026-11-24T00:00:00.000Z",
    updated_at: "2026-11-24T00:00:00.000Z",
  };
  await writeFile(join(directory, "manifest.json"), JSON.stringify(manifest));
}

function recordOf({
  id,
  trial = 0,
  score = null,
  status = "ok",
  history,
  ...made
}: Made): TrajectoryRecord {
  const { row = { question: `Question ${id}?` }, outcome = { turns: history.length } } = made;
  const usage = { requests: 1, prompt_tokens: 10, completion_tokens: 5 };
  const at = "2026-11-24T00:00:00.000Z";
  return {
    format: "matrix-trajectory-1",
    id,
    trial,
    seed: 1,
    attempt: 1,
    status,
    stop_reason: made.stop_reason ?? (status === "ok" ? "stopped" : "error"),
    score,
    outcome,
    error: status === "ok" ? null : { code: "agent_failed", message: "no", role: null, hop: null },
    simulated: true,
    usage,
    cost: null,
    timing: { admitted_at: at, ended_at: at, total_ms: 1.5, queue_ms: 0, run_ms: 1 },
    trace_id: null,
    row,
    history: history.map(
      ([role, result], hop): Hop => ({
        hop,
        role,
        host: "h",
        at,
        queue_ms: 0,
        run_ms: 1,
        model: "simulated:m",
        usage,
        result,
      }),
    ),
  };
}
