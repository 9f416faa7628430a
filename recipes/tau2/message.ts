// The messages of a tau2 simulation, with the official fields. The arguments of a call are the
// exception: they stay the text that the model wrote, because its numbers must reach Python as they
// were written. Also here: which answers of a model are malformed, and what the bridge returns for
// a loaded task.

import type { Json, JsonObject } from "matrix";

/** A side of the conversation. Both sides speak, and both may request tools. */
export type Side = "user" | "assistant";

export type Call = {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
  readonly requestor: Side;
};

export type Spoken = {
  readonly role: Side;
  readonly content: string | null;
  /** Null without calls, never an empty list: tau2 takes any list for a tool call. */
  readonly tool_calls: readonly Call[] | null;
};

export type ToolMessage = {
  readonly role: "tool";
  readonly id: string;
  readonly content: string | null;
  readonly requestor: Side;
  readonly error: boolean;
};

export type Message = Spoken | ToolMessage;

export type Loaded = {
  /** The task as JSON text. */
  readonly task: string;
  readonly tools: readonly JsonObject[];
  readonly user_tools: readonly JsonObject[] | null;
  /** The task's own history, or else the greeting; empty for a solo task without a history. */
  readonly messages: readonly Message[];
  readonly next: Side | "environment" | null;
  readonly termination_reason: string | null;
  readonly system: { readonly assistant: string; readonly user: string | null };
};

/** The role that speaks for a side. */
export const SPEAKERS: { readonly [side in Side]: string } = {
  user: "user-simulator",
  assistant: "assistant",
};

/** The message of a side, from its model's answer in the OpenAI shape. */
export function spokenBy(side: Side, answer: Json): Spoken {
  const { content = null, tool_calls: calls } = answer as {
    content?: string | null;
    tool_calls?: readonly ModelCall[];
  };
  if (calls === undefined || calls.length === 0) return { role: side, content, tool_calls: null };
  const requested = calls.map(({ id, function: { name, arguments: text } }) => ({
    id,
    name,
    arguments: text,
    requestor: side,
  }));
  return { role: side, content, tool_calls: requested };
}

interface ModelCall {
  readonly id: string;
  readonly function: { readonly name: string; readonly arguments: string };
}

/**
 * The text that ends a simulation. A solo agent ends it by calling `done`, which becomes this text.
 */
export const STOP = "###STOP###";
const SOLO_STOP_TOOL = "done";

/** A solo agent's message in the form in which the official agent passes it on. */
export function soloMessage(spoken: Spoken): Spoken {
  const stops = spoken.tool_calls?.some(({ name }) => name === SOLO_STOP_TOOL) === true;
  return stops ? { ...spoken, content: STOP, tool_calls: null } : spoken;
}

/**
 * Why the official runner treats a message as an error and not as a turn; null for a sound message.
 */
export function problemOf({ content, tool_calls: calls }: Spoken, solo: boolean): string | null {
  if (calls === null && isBlank(content)) return "is empty";
  if (calls === null) return solo ? "calls no tool" : null;
  for (const { name, arguments: text } of calls)
    if (!isObject(text))
      return `calls ${name === "" ? "a tool without a name" : name} with arguments that are not a JSON object`;
  const stopsAndCalls =
    solo && calls.every(({ name }) => name !== SOLO_STOP_TOOL) && content?.includes(STOP) === true;
  return stopsAndCalls ? "stops and calls tools at once" : null;
}

/** The white space of Python's `strip`, which differs from that of JavaScript. */
const SPACES: ReadonlySet<string> = new Set(
  "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006" +
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
);

export function isBlank(content: string | null): boolean {
  return content === null || Array.from(content).every((letter) => SPACES.has(letter));
}

/** A text, which may lack its end; one of Python's words that are not JSON; a number. */
const TOKENS = /"(?:[^"\\]|\\[\s\S])*(?:"|$)|NaN|-?Infinity|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** Python reads no whole number with more digits than 4,300. */
const TOO_LONG_NUMBER = /^-?\d{4301}\d*$/;

/** True for the text of an object, as Python's `json.loads` reads it. */
function isObject(text: string): boolean {
  const strict = text.replaceAll(TOKENS, (token) => {
    if (/^(?:NaN|-?Infinity)$/.test(token)) return "null";
    return TOO_LONG_NUMBER.test(token) ? "?" : token;
  });
  try {
    const value: unknown = JSON.parse(strict);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
