// A task's history as the messages that one role's model sees: own results as assistant, others' as user, tool results as
// tool. A role is shown only the roles of its conversation, so that an extractor's or a judge's notes stay unseen.

import type { ChatMessage } from "../model/contract.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { chatContent } from "../task/record.ts";
import type { Hop } from "../task/task.ts";

/** What was said holds no attachments: those are the row's. */
type SpokenMessage = ChatMessage & { readonly content: string | null };

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

/** Joins neighbours of one role: many chat templates refuse two user messages in a row. Tool traffic stays apart. */
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

/** What one hop said, as one of its own role or to another. */
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
 * What a model thought before it called tools goes back to it, as those that think between calls demand (DeepSeek, "Thinking
 * mode": left out there, it is an error; of other answers it is no part of the context). Names differ by endpoint.
 */
function reasoningOf({ reasoning_content, reasoning }: JsonObject): JsonObject {
  return {
    ...(reasoning_content === undefined ? {} : { reasoning_content }),
    ...(reasoning === undefined ? {} : { reasoning }),
  };
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
