// What every form of tau2's rules rests on: the limits of a simulation, which messages stop or spoil it, and what a record says of
// it at its end.

import type { Hop, JsonObject } from "matrix";
import { hasText, type Spoken } from "./message.ts";
import { STOP, soloMessage, spentBy, trajectoryOf } from "./trajectory.ts";

export interface Settings {
  /** Without a user: the agent has a ticket and all tools. */
  readonly solo?: boolean;
  readonly max_steps?: number;
  readonly max_errors?: number;
  /** How often a simulation is begun anew after a message that the official runner takes for an error. */
  readonly restarts?: number;
}

export interface Limits {
  readonly solo: boolean;
  readonly maxSteps: number;
  readonly maxErrors: number;
  readonly maxRestarts: number;
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

export function limitsOf({ solo = false, max_steps: maxSteps = 200, max_errors: maxErrors = 10, restarts = 3 }: Settings): Limits {
  return { solo, maxSteps, maxErrors, maxRestarts: restarts };
}

/** `history` ends with the reward's hop. */
export function outcomeOf(
  { from, steps, errors, restarts, termination }: Course,
  reward: JsonObject,
  { row, history }: { readonly row: JsonObject; readonly history: readonly Hop[] },
  { solo, maxSteps, maxErrors }: Limits,
): JsonObject {
  return {
    domain: row["domain"] ?? null,
    task_id: row["task_id"] ?? null,
    solo,
    termination_reason: termination,
    ...{ steps, errors, restarts, max_steps: maxSteps, max_errors: maxErrors },
    usage: { assistant: spentBy(history, "assistant"), user: spentBy(history, "user") },
    reward_info: reward,
    messages: trajectoryOf(history.slice(0, -1), from, solo),
  };
}

/** What the official runner takes for an error rather than a turn; null when the message is sound. */
export function problemOf(spoken: Spoken, solo: boolean): string | null {
  if (spoken.tool_calls === null) return hasText(spoken) ? null : "is empty";
  for (const call of spoken.tool_calls) if (!isObject(call.arguments)) return `calls ${call.name} with arguments that are no JSON object`;
  const stopsAndCalls = solo && soloMessage(spoken).tool_calls !== null && spoken.content?.includes(STOP) === true;
  return stopsAndCalls ? "stops and calls tools at once" : null;
}

/** Why a message without calls ends the task; null when it does not. The ordinary agent cannot stop. */
export function stopOf({ role, content }: Spoken, solo: boolean): string | null {
  if (role === "user") return USER_STOPS.some((word) => content?.includes(word)) ? "user_stop" : null;
  if (!solo) return null;
  return content?.includes(STOP) ? "agent_stop" : "agent_error";
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
