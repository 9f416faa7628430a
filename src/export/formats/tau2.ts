// The results format of tau2 as its `Results.save` writes it, one file for each domain, for tau2's
// viewer, metrics and leaderboard. It has only tasks with a score: tau2's own runner counts a
// failed task as 0, but a failure of the environment is not a score.

import { type FileHandle, open, rename } from "node:fs/promises";
import { join, parse } from "node:path";
import { valueAt } from "../../recipe/key-path.ts";
import type { Manifest } from "../../records/manifest.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import type { TrajectoryRecord } from "../../task/record.ts";
import type { ExportFormat, ExportWriter, Selected } from "../contract.ts";
import { encodeJson, RawJson } from "../files/raw-json.ts";
import { storageFailed } from "../files/storage.ts";

const SPEAKERS = { assistant: "assistant", user: "user-simulator" } as const;
const NO_SCENARIO = "\n\n<scenario>";

export const tau2: ExportFormat = {
  about: "the results format of tau2, one file for each domain, for its viewer and leaderboard",
  endings: [".json"],
  only: "file",
  reads: "records",
  structs: false,
  columns: () => null,
  open: async (path) => new Tau2Writer(path),
};

/** The results file of a domain, in the making. */
interface DomainFile {
  readonly path: string;
  readonly file: FileHandle;
  /** Tasks by id. They are written at the end of the file. */
  readonly tasks: Map<string, RawJson>;
}

class Tau2Writer implements ExportWriter {
  readonly #path: string;
  readonly #domains = new Map<string, DomainFile>();

  constructor(path: string) {
    this.#path = path;
  }

  async add({ record, run }: Selected): Promise<number> {
    const told = toldIn(record);
    const { outcome, score } = record;
    if (told === null || outcome === null || score === null) return 0;
    const domain = String(outcome["domain"]);
    const known = this.#domains.get(domain);
    const { path, file, tasks } = known ?? (await this.#open(domain));
    const before = known === undefined ? headOf(record, run, told) : ",\n";
    await file
      .appendFile(before + encodeJson(simulationOf(record, outcome)))
      .catch(storageFailed(path));
    tasks.set(String(outcome["task_id"]), new RawJson(told.task));
    return 1;
  }

  /**
   * Ends all files. With a single domain, the file has the user's name for it, without the domain.
   */
  async close(): Promise<void> {
    for (const { path, file, tasks } of this.#domains.values()) {
      await file
        .appendFile(`\n],\n"tasks":[\n${[...tasks.values()].map(encodeJson).join(",\n")}\n]}\n`)
        .catch(storageFailed(path));
      await file.close();
    }
    const [only, ...more] = this.#domains.values();
    if (only !== undefined && more.length === 0)
      await rename(only.path, this.#path).catch(storageFailed(this.#path));
  }

  async #open(domain: string): Promise<DomainFile> {
    const { dir, name, ext } = parse(this.#path);
    const path = join(dir, `${name}-${domain}${ext}`);
    const opened = {
      path,
      file: await open(path, "wx").catch(storageFailed(path)),
      tasks: new Map<string, RawJson>(),
    };
    this.#domains.set(domain, opened);
    return opened;
  }
}

/** The beginning of a file, up to the first simulation. */
function headOf(record: TrajectoryRecord, run: Manifest, told: Told): string {
  const timestamp = JSON.stringify(naive(record.timing.admitted_at));
  const info = encodeJson(infoOf(record, run, told));
  return `{"timestamp":${timestamp},\n"info":${info},\n"simulations":[\n`;
}

function infoOf(
  { outcome, history }: TrajectoryRecord,
  { trials, seed, recipe }: Manifest,
  { system }: Told,
): object {
  const solo = outcome?.["solo"] === true;
  const modelOf = (role: string) => history.find((hop) => hop.role === role)?.model ?? null;
  const samplingOf = (role: string) => valueAt(recipe, `roles.${role}.sampling`) ?? {};
  return {
    git_commit: "unknown",
    num_trials: trials,
    max_steps: outcome?.["max_steps"],
    max_errors: outcome?.["max_errors"],
    user_info: {
      implementation: solo ? "dummy_user" : "user_simulator",
      llm: modelOf(SPEAKERS.user),
      llm_args: samplingOf(SPEAKERS.user),
      global_simulation_guidelines: system.user?.split(NO_SCENARIO)[0] ?? null,
    },
    agent_info: {
      implementation: solo ? "llm_agent_solo" : "llm_agent",
      llm: modelOf(SPEAKERS.assistant),
      llm_args: samplingOf(SPEAKERS.assistant),
    },
    environment_info: {
      domain_name: outcome?.["domain"],
      policy: policyIn(system.assistant),
      tool_defs: null,
    },
    seed,
  };
}

/** The environment's result when it loaded the task. */
interface Told {
  readonly task: string;
  readonly system: { readonly assistant: string; readonly user: string | null };
}

function toldIn({ history }: TrajectoryRecord): Told | null {
  const told = history.findLast(
    ({ result }) => isJsonObject(result) && typeof result["task"] === "string",
  )?.result;
  return isJsonObject(told) && isJsonObject(told["system"]) ? (told as unknown as Told) : null;
}

/** The policy, which tau2's system prompt holds between these tags. */
function policyIn(prompt: string): string {
  return prompt.slice(
    prompt.indexOf("<policy>\n") + "<policy>\n".length,
    prompt.lastIndexOf("\n</policy>"),
  );
}

function simulationOf({ id, trial, seed, timing }: TrajectoryRecord, outcome: JsonObject): object {
  const { task_id, termination_reason, reward_info, messages, usage } = outcome;
  const costOf = (side: string) =>
    isJsonObject(usage) && isJsonObject(usage[side]) ? (usage[side]["cost"] ?? null) : null;
  return {
    id: `${id}#${trial}`,
    task_id,
    timestamp: naive(timing.ended_at),
    start_time: naive(timing.admitted_at),
    end_time: naive(timing.ended_at),
    duration: timing.total_ms / 1000,
    termination_reason,
    agent_cost: costOf("assistant"),
    user_cost: costOf("user"),
    reward_info,
    messages: Array.isArray(messages) ? messages.map(officialMessage) : [],
    trial,
    seed,
    skipped: false,
  };
}

/** A message as tau2 writes it. Arguments of calls are text in records and JSON here. */
function officialMessage(message: Json): object {
  if (!isJsonObject(message)) return {};
  const calls = message["tool_calls"];
  if (!Array.isArray(calls)) return message;
  return {
    ...message,
    tool_calls: calls.map((call: JsonObject) => ({
      ...call,
      arguments: new RawJson(String(call["arguments"])),
    })),
  };
}

/** A time without its zone, as Python's isoformat writes it. */
function naive(iso: string): string {
  return iso.replace(/Z$/, "");
}
