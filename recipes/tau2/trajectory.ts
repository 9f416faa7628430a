// A task's history as the official trajectory: the task's own messages, then what was said and what the tools answered, with
// times that grow from message to message (the official loader sorts by their text).

import type { Hop, Json, JsonObject } from "matrix";
import { type Loaded, type Message, type Side, SPEAKERS, type Spoken, spokenBy, type ToolMessage } from "./message.ts";

/** A solo agent ends by calling `done`; the official agent turns that message into this text. */
export const STOP = "###STOP###";
const SOLO_STOP_TOOL = "done";
const MICROSECONDS = 1000;

/** The message as the official agent hands it on. */
export function soloMessage(spoken: Spoken): Spoken {
  const stops = spoken.tool_calls?.some(({ name }) => name === SOLO_STOP_TOOL) === true;
  return stops ? { ...spoken, content: STOP, tool_calls: null } : spoken;
}

/** From the hop that loaded the task: a simulation that was begun anew has earlier ones before it. */
export function messagesOf(history: readonly Hop[], from: number, solo: boolean): Message[] {
  const loaded = loadedIn(history, from);
  return [...loaded.messages, ...history.slice(from + 1).flatMap((hop) => messagesOfHop(hop, solo))];
}

export function loadedIn(history: readonly Hop[], from: number): Loaded {
  return history[from]?.result as unknown as Loaded;
}

/** The same with times, costs and tokens, as the official results file has them. */
export function trajectoryOf(history: readonly Hop[], from: number, solo: boolean): JsonObject[] {
  const loaded = loadedIn(history, from);
  const begun = Date.parse(history[from]?.at ?? "");
  const before = loaded.messages.length;
  const trajectory: JsonObject[] = [];
  let last = 0;
  const add = (message: Message, at: number, more: JsonObject): void => {
    last = Math.max(at * MICROSECONDS, last + 1);
    trajectory.push({ ...message, turn_idx: trajectory.length, timestamp: isoMicroseconds(last), ...more });
  };
  // What was before the simulation began is dated a second apart, as the official orchestrator dates it.
  for (const [index, message] of loaded.messages.entries()) add(message, begun - (before - index) * 1000, {});
  for (const hop of history.slice(from + 1)) {
    const spent: JsonObject = isSpeaker(hop.role) ? { cost: hop.cost ?? 0, usage: usageOf(hop) } : {};
    for (const message of messagesOfHop(hop, solo)) add(message, Date.parse(hop.at), spent);
  }
  return trajectory;
}

export interface Spent {
  readonly [name: string]: number;
}

/** What each side's model used, over the whole task. */
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

function messagesOfHop({ role, result }: Hop, solo: boolean): readonly Message[] {
  if (role === SPEAKERS.user) return [spokenBy("user", result)];
  if (role === SPEAKERS.assistant) return [solo ? soloMessage(spokenBy("assistant", result)) : spokenBy("assistant", result)];
  // The executor's other answers are no messages.
  return Array.isArray(result) ? (result as unknown as readonly ToolMessage[]) : [];
}

function isSpeaker(role: string): boolean {
  return role === SPEAKERS.user || role === SPEAKERS.assistant;
}

function usageOf({ usage }: Hop): Json {
  return usage === undefined ? null : { completion_tokens: usage.completion_tokens, prompt_tokens: usage.prompt_tokens };
}

/** As Python's isoformat writes it: six digits, no zone. */
function isoMicroseconds(microseconds: number): string {
  const rest = String(microseconds % MICROSECONDS).padStart(3, "0");
  return `${new Date(Math.floor(microseconds / MICROSECONDS)).toISOString().slice(0, -1)}${rest}`;
}
