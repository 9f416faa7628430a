// tau2's own results format, as its `Results.save` writes it, one file a domain: for its viewer, its metrics and its leaderboard.
// Only scored tasks are in it. Its runner would count what failed as 0; here a failure of the environment is no score.

import { MatrixError } from "../error.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { encodeJson, RawJson } from "./raw-json.ts";

/** What a run says of itself that its records do not. */
export interface Tau2Run {
  readonly trials: number;
  readonly seed: number;
  /** The sampling of the role that speaks for each side. */
  readonly sampling: { readonly assistant: JsonObject; readonly user: JsonObject };
}

/** A file in the making: text to append. */
export interface Tau2File {
  readonly domain: string;
  readonly simulations: number;
  readonly tasks: number;
}

const SPEAKERS = { assistant: "assistant", user: "user-simulator" } as const;
const NO_SCENARIO = "\n\n<scenario>";

/** Files by domain, written through `append` as records come. */
export class Tau2Results {
  readonly #run: Tau2Run;
  readonly #append: (domain: string, text: string) => Promise<void>;
  readonly #domains = new Map<string, { simulations: number; readonly tasks: Map<string, RawJson> }>();
  /** Records without a score, or that are none of tau2's. */
  left = 0;

  constructor(run: Tau2Run, append: (domain: string, text: string) => Promise<void>) {
    this.#run = run;
    this.#append = append;
  }

  async add(record: TrajectoryRecord): Promise<void> {
    const told = toldIn(record);
    const { outcome, score } = record;
    if (told === null || outcome === null || score === null) {
      this.left++;
      return;
    }
    const domain = String(outcome["domain"]);
    let known = this.#domains.get(domain);
    const separator = known === undefined ? "" : ",\n";
    if (known === undefined) {
      known = { simulations: 0, tasks: new Map() };
      this.#domains.set(domain, known);
      await this.#append(
        domain,
        `{"timestamp":${JSON.stringify(naive(record.timing.admitted_at))},\n"info":${this.#info(record, told)},\n"simulations":[\n`,
      );
    }
    known.simulations++;
    known.tasks.set(String(outcome["task_id"]), new RawJson(told.task));
    await this.#append(domain, separator + encodeJson(simulationOf(record, outcome)));
  }

  /** Ends every file. Fails with `usage` when there is none to end. */
  async finish(): Promise<readonly Tau2File[]> {
    if (this.#domains.size === 0)
      throw new MatrixError("usage", "no record of this run is a scored tau2 task", { hint: "export runs of recipes/tau2.toml" });
    const files: Tau2File[] = [];
    for (const [domain, { simulations, tasks }] of this.#domains) {
      await this.#append(domain, `\n],\n"tasks":[\n${[...tasks.values()].map(encodeJson).join(",\n")}\n]}\n`);
      files.push({ domain, simulations, tasks: tasks.size });
    }
    return files;
  }

  #info({ outcome, history }: TrajectoryRecord, { system }: Told): string {
    const { trials, seed, sampling } = this.#run;
    const solo = outcome?.["solo"] === true;
    const modelOf = (role: string) => history.find((hop) => hop.role === role)?.model ?? null;
    return encodeJson({
      git_commit: "unknown",
      num_trials: trials,
      max_steps: outcome?.["max_steps"],
      max_errors: outcome?.["max_errors"],
      user_info: {
        implementation: solo ? "dummy_user" : "user_simulator",
        llm: modelOf(SPEAKERS.user),
        llm_args: sampling.user,
        global_simulation_guidelines: system.user?.split(NO_SCENARIO)[0] ?? null,
      },
      agent_info: { implementation: solo ? "llm_agent_solo" : "llm_agent", llm: modelOf(SPEAKERS.assistant), llm_args: sampling.assistant },
      environment_info: { domain_name: outcome?.["domain"], policy: policyIn(system.assistant), tool_defs: null },
      seed,
    });
  }
}

/** What the environment said when it loaded the task. */
interface Told {
  readonly task: string;
  readonly system: { readonly assistant: string; readonly user: string | null };
}

function toldIn({ history }: TrajectoryRecord): Told | null {
  const told = history.findLast(({ result }) => isJsonObject(result) && typeof result["task"] === "string")?.result;
  return isJsonObject(told) && isJsonObject(told["system"]) ? (told as unknown as Told) : null;
}

/** The official system prompt holds the policy between these tags. */
function policyIn(prompt: string): string {
  return prompt.slice(prompt.indexOf("<policy>\n") + "<policy>\n".length, prompt.lastIndexOf("\n</policy>"));
}

function simulationOf({ id, trial, seed, timing }: TrajectoryRecord, outcome: JsonObject): object {
  const { task_id, termination_reason, reward_info, messages, usage } = outcome;
  const costOf = (side: string) => (isJsonObject(usage) && isJsonObject(usage[side]) ? (usage[side]["cost"] ?? null) : null);
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

/** Arguments of calls are JSON text in records, and JSON here. */
function officialMessage(message: Json): object {
  if (!isJsonObject(message)) return {};
  const calls = message["tool_calls"];
  if (!Array.isArray(calls)) return message;
  return { ...message, tool_calls: calls.map((call: JsonObject) => ({ ...call, arguments: new RawJson(String(call["arguments"])) })) };
}

/** As Python's isoformat writes a time without a zone. */
function naive(iso: string): string {
  return iso.replace(/Z$/, "");
}
