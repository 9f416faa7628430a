// The parts that the module and the graph share: the limits of a simulation, the messages that stop
// it, and the outcome of its record.

import type { Hop, JsonObject } from "matrix";
import { type Spoken, STOP } from "./message.ts";
import { fedBackIn, spentBy, trajectoryOf } from "./trajectory.ts";

export interface Settings {
  /** Runs without a user. The agent has a ticket and all tools. */
  readonly solo?: boolean;
  readonly max_steps?: number;
  readonly max_errors?: number;
  /** The most restarts of a simulation after malformed messages. */
  readonly restarts?: number;
  /**
   * The effect of a malformed message: it restarts the simulation, as officially, or goes back to
   * its model as an error.
   */
  readonly malformed?: "restart" | "feed-back";
}

export interface Limits {
  readonly solo: boolean;
  readonly maxSteps: number;
  readonly maxErrors: number;
  readonly maxRestarts: number;
  readonly feedsBack: boolean;
}

/** The state of a simulation at its end. */
export interface Course {
  /** The index of the hop that loaded the task. */
  readonly from: number;
  readonly steps: number;
  /** Failed tool calls and fed-back messages of both sides. */
  readonly errors: number;
  readonly restarts: number;
  readonly termination: string | null;
}

const USER_STOPS = [STOP, "###TRANSFER###", "###OUT-OF-SCOPE###"];

export function limitsOf(settings: Settings): Limits {
  const {
    solo = false,
    max_steps: maxSteps = 200,
    max_errors: maxErrors = 10,
    restarts = 3,
    malformed = "restart",
  } = settings;
  if (malformed !== "restart" && malformed !== "feed-back")
    throw new Error(
      `malformed is ${JSON.stringify(malformed)}; it must be "restart" or "feed-back"`,
    );
  return { solo, maxSteps, maxErrors, maxRestarts: restarts, feedsBack: malformed === "feed-back" };
}

/** The outcome of a record. The last hop of `history` is the reward. */
export function outcomeOf(
  { from, steps, errors, restarts, termination }: Course,
  reward: JsonObject,
  { row, history }: { readonly row: JsonObject; readonly history: readonly Hop[] },
  { solo, maxSteps, maxErrors, feedsBack }: Limits,
): JsonObject {
  return {
    domain: row["domain"] ?? null,
    task_id: row["task_id"] ?? null,
    solo,
    termination_reason: termination,
    ...{ steps, errors, restarts, max_steps: maxSteps, max_errors: maxErrors },
    ...(feedsBack ? { fed_back: fedBackIn(history, from, solo) } : {}),
    usage: { assistant: spentBy(history, "assistant"), user: spentBy(history, "user") },
    reward_info: reward,
    messages: trajectoryOf(history.slice(0, -1), from, solo),
  };
}

/**
 * Why a message without calls ends the task; null when it does not. A solo agent has no other
 * message without calls than its stop, and an agent with a user cannot stop.
 */
export function stopOf({ role, content }: Spoken, solo: boolean): string | null {
  if (role === "user")
    return USER_STOPS.some((word) => content?.includes(word)) ? "user_stop" : null;
  return solo ? "agent_stop" : null;
}
