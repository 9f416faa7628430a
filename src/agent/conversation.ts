// A task's history as messages for one role's model: the role's own results as assistant, those of
// others as user, and tool results as tool. A role sees only the roles of its conversation, so that
// the notes of an extractor or a judge stay hidden. Without a list of roles it has its own view.

import type { ChatMessage } from "../model/contract.ts";
import type { OrchestratorConfig } from "../recipe/schema/orchestrator-schema.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { chatContent } from "../task/record.ts";
import type { Hop } from "../task/task.ts";
import { callIdsOf } from "./call-ids.ts";

/** A message of the history. It never has attachments, which belong to the row. */
export type SpokenMessage = ChatMessage & { readonly content: string | null };

/**
 * The roles that a role sees by default: in a pattern with turns, those that take turns; in any
 * other pattern, none; null for the own view, which modules and graphs give.
 */
export function defaultConversation(
  name: string,
  orchestrator: OrchestratorConfig,
): readonly string[] | null {
  if (!("pattern" in orchestrator)) return null;
  if (orchestrator.pattern === "dialogue")
    return orchestrator.speakers.includes(name) ? orchestrator.speakers : [];
  if (orchestrator.pattern === "tool-loop")
    return orchestrator.speaker === name ? [orchestrator.speaker, orchestrator.tools] : [];
  return [];
}

export function conversationOf(
  history: readonly Hop[],
  role: string,
  members: ReadonlySet<string>,
): ChatMessage[] {
  const messages: ChatMessage[] = [];
  for (const hop of history) {
    if (members.has(hop.role)) messages.push(...messagesOf(hop, hop.role === role));
  }
  return messages;
}

/**
 * The own view of a role, as messages of each hop: its results, the tool results that answer its
 * calls, and the results with which other roles handed the task back to it. The prompt takes the
 * place of what was said to it before its first turn.
 */
export function ownView(
  history: readonly Hop[],
  role: string,
  hasPrompt: boolean,
): readonly (readonly SpokenMessage[])[] {
  const calls = new Set<string>();
  let hears = !hasPrompt;
  return history.map((hop, index) => {
    const messages = messagesOf(hop, hop.role === role);
    if (hop.role === role) {
      hears = true;
      for (const id of callIdsOf(hop)) calls.add(id);
      return messages;
    }
    if (messages.some((message) => message.role === "tool"))
      return messages.filter((message) => answers(message, calls));
    // The task is at this role now when no hop follows.
    const receiver = history[index + 1]?.role ?? role;
    return hears && receiver === role ? messages : [];
  });
}

/** True for a tool result that answers one of these calls. */
export function answers(message: SpokenMessage, calls: ReadonlySet<string>): boolean {
  return message.tool_call_id !== undefined && calls.has(message.tool_call_id);
}

/**
 * Joins neighbouring messages of one role, because many chat templates refuse two user messages in
 * a row. Tool calls and their results stay apart.
 */
export function mergeNeighbours(messages: readonly ChatMessage[]): ChatMessage[] {
  const merged: ChatMessage[] = [];
  for (const message of messages) {
    const last = merged.at(-1);
    if (last !== undefined && last.role === message.role && isPlain(last) && isPlain(message)) {
      merged[merged.length - 1] = {
        role: last.role,
        content: `${last.content}\n\n${message.content}`,
      };
    } else merged.push(message);
  }
  return merged;
}

/** Messages of one hop, as they look to its own role or to another. */
export function messagesOf({ result }: Hop, own: boolean): SpokenMessage[] {
  const toolResults = (Array.isArray(result) ? result : [result]).filter(isToolMessage);
  if (toolResults.length > 0) return toolResults;
  if (!own) return [{ role: "user", content: chatContent(result) ?? JSON.stringify(result) }];
  const said = { role: "assistant" as const, content: chatContent(result) };
  const calls = isJsonObject(result) ? result["tool_calls"] : undefined;
  if (!isJsonObject(result) || !Array.isArray(calls) || calls.length === 0) return [said];
  return [
    {
      ...said,
      tool_calls: calls as NonNullable<ChatMessage["tool_calls"]>,
      ...reasoningOf(result),
    },
  ];
}

/**
 * Fields with a model's reasoning, which goes back to it together with the tool calls that
 * followed. Models that think between calls demand it (DeepSeek, "Thinking mode": leaving it out is
 * an error). With any other answer the reasoning is not sent. Its name differs by endpoint:
 * OpenRouter has `reasoning_details`, litellm `thinking_blocks`.
 */
const REASONING = ["reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"];

function reasoningOf(result: JsonObject): JsonObject {
  return Object.fromEntries(
    REASONING.flatMap((name) => {
      const value = result[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

function isToolMessage(value: Json): value is Json & SpokenMessage {
  return (
    isJsonObject(value) && value["role"] === "tool" && typeof value["tool_call_id"] === "string"
  );
}

function isPlain(message: ChatMessage): boolean {
  return (
    message.role !== "tool" &&
    message.tool_calls === undefined &&
    typeof message.content === "string"
  );
}
