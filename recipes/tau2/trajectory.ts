// The official trajectory of a task: the task's own messages, and then the messages of the sides
// and the results of the tools. Timestamps increase with each message, because the official loader
// sorts by them.

import type { Hop, Json, JsonObject, PromptHop } from "matrix";
import {
  type Loaded,
  type Message,
  problemOf,
  type Side,
  SPEAKERS,
  soloMessage,
  spokenBy,
  type ToolMessage,
} from "./message.ts";

const MICROSECONDS = 1000;

/**
 * The messages since the hop that loaded the task. After a restart, earlier simulations lie before
 * that hop.
 */
export function messagesOf(history: readonly PromptHop[], from: number, solo: boolean): Message[] {
  const loaded = loadedIn(history, from);
  return [
    ...loaded.messages,
    ...history.slice(from + 1).flatMap((hop) => messagesOfHop(hop, solo)),
  ];
}

export function loadedIn(history: readonly PromptHop[], from: number): Loaded {
  return history[from]?.result as unknown as Loaded;
}

/** The messages with times, costs and tokens, in the form of the official results file. */
export function trajectoryOf(history: readonly Hop[], from: number, solo: boolean): JsonObject[] {
  const loaded = loadedIn(history, from);
  const begun = Date.parse(history[from]?.at ?? "");
  const before = loaded.messages.length;
  const trajectory: JsonObject[] = [];
  let last = 0;
  const add = (message: Message, at: number, more: JsonObject): void => {
    last = Math.max(at * MICROSECONDS, last + 1);
    trajectory.push({
      ...message,
      turn_idx: trajectory.length,
      timestamp: isoMicroseconds(last),
      ...more,
    });
  };
  // Messages from before the simulation are dated one second apart, as the official orchestrator
  // does.
  for (const [index, message] of loaded.messages.entries())
    add(message, begun - (before - index) * 1000, {});
  for (const hop of history.slice(from + 1)) {
    const spent: JsonObject =
      sideOf(hop.role) !== null ? { cost: hop.cost ?? 0, usage: usageOf(hop) } : {};
    for (const message of messagesOfHop(hop, solo)) add(message, Date.parse(hop.at), spent);
  }
  return trajectory;
}

/** The number of malformed answers that were fed back to their model. */
export function fedBackIn(history: readonly Hop[], from: number, solo: boolean): number {
  return history.slice(from + 1).filter(({ role, result }) => {
    const side = sideOf(role);
    return side !== null && problemOf(spokenBy(side, result), solo) !== null;
  }).length;
}

export interface Spent {
  readonly [name: string]: number;
}

/** Usage of the model of one side over the whole task. */
export function spentBy(history: readonly Hop[], side: Side): Spent {
  const spent = { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0 };
  for (const { role, usage, cost } of history) {
    if (role !== SPEAKERS[side] || usage === undefined) continue;
    spent.requests += usage.requests;
    spent.prompt_tokens += usage.prompt_tokens;
    spent.completion_tokens += usage.completion_tokens;
    spent.cost += cost ?? 0;
  }
  return spent;
}

/** The messages that a hop added to the simulation. */
export function messagesOfHop(hop: PromptHop, solo: boolean): readonly Message[] {
  const side = sideOf(hop.role);
  // Only answers of the executor that are lists hold messages.
  if (side === null)
    return Array.isArray(hop.result) ? (hop.result as unknown as readonly ToolMessage[]) : [];
  const spoken = spokenBy(side, hop.result);
  // A malformed answer was never said.
  if (problemOf(spoken, solo) !== null) return [];
  return [solo && side === "assistant" ? soloMessage(spoken) : spoken];
}

/** The side for which a role speaks; null for roles of the environment. */
export function sideOf(role: string): Side | null {
  if (role === SPEAKERS.user) return "user";
  return role === SPEAKERS.assistant ? "assistant" : null;
}

function usageOf({ usage }: Hop): Json {
  return usage === undefined
    ? null
    : { completion_tokens: usage.completion_tokens, prompt_tokens: usage.prompt_tokens };
}

/** A time in the form of Python's isoformat: six digits of a second, and no zone. */
function isoMicroseconds(microseconds: number): string {
  const rest = String(microseconds % MICROSECONDS).padStart(3, "0");
  return `${new Date(Math.floor(microseconds / MICROSECONDS)).toISOString().slice(0, -1)}${rest}`;
}
