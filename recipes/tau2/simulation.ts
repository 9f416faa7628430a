// What every form of tau2's rules rests on: the limits of a simulation, which messages stop it, and what a record says of it at
// its end.

import type { Hop, JsonObject } from "matrix";
import { type Spoken, STOP } from "./message.ts";
import { fedBackIn, spentBy, trajectoryOf } from "./trajectory.ts";

export interface Settings {
  /** Without a user: the agent has a ticket and all tools. */
  readonly solo?: boolean;
  readonly max_steps?: number;
  readonly max_errors?: number;
  /** How often a simulation is begun anew after a message that the official runner takes for an error. */
  readonly restarts?: number;
  /** What such a message does: begin the simulation anew, as officially, or go back to its model as an error of one step. */
  readonly malformed?: "restart" | "feed-back";
}

export interface Limits {
  readonly solo: boolean;
  readonly maxSteps: number;
  readonly maxErrors: number;
  readonly maxRestarts: number;
  readonly feedsBack: boolean;
}

/** Where a simulation came to. */
export interface Course {
  /** The hop that loaded the task. */
  readonly from: number;
  readonly steps: number;
  /** Failed tool calls, of both sides. */
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

/** `history` ends with the reward's hop. */
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

/** Why a message without calls ends the task; null when it does not. The ordinary agent cannot stop. */
export function stopOf({ role, content }: Spoken, solo: boolean): string | null {
  if (role === "user")
    return USER_STOPS.some((word) => content?.includes(word)) ? "user_stop" : null;
  if (!solo) return null;
  return content?.includes(STOP) ? "agent_stop" : "agent_error";
}
