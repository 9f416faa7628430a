// The request to each side's model: the official system prompt and the messages that this side may
// see. A side sees its own messages, the other side's text, and the results of its own calls, but
// never the tool traffic of the other side. For the user's model the roles are flipped, so that it
// is the assistant of its own conversation. With `malformed = "feed-back"` a malformed answer comes
// back to its own model as an error; the other side does not see it.

import { type ChatMessage, type JsonObject, type PromptHop, request } from "matrix";
import {
  isBlank,
  type Message,
  problemOf,
  type Side,
  SPEAKERS,
  type Spoken,
  spokenBy,
} from "./message.ts";
import { loadedIn, messagesOfHop, sideOf } from "./trajectory.ts";

export default request(({ role, state, history }) => {
  const { from } = state as { readonly from: number };
  const side: Side = role === SPEAKERS.user ? "user" : "assistant";
  const loaded = loadedIn(history, from);
  // In a solo task there is no user, so the agent must call a tool.
  const solo = loaded.system.user === null;
  const tools: readonly JsonObject[] = (side === "user" ? loaded.user_tools : loaded.tools) ?? [];
  const messages = [
    ...loaded.messages.flatMap((message) => seenBy(side, message)),
    ...history
      .slice(from + 1)
      .flatMap(
        (hop) =>
          fedBack(side, hop, solo) ??
          messagesOfHop(hop, solo).flatMap((message) => seenBy(side, message)),
      ),
  ];
  return {
    messages: [{ role: "system", content: loaded.system[side] ?? "" }, ...messages],
    ...(tools.length > 0 ? { tools, sampling: { tool_choice: solo ? "required" : "auto" } } : {}),
  };
});

/** A malformed answer of this side with its error; null for any other hop. */
function fedBack(side: Side, { role, result }: PromptHop, solo: boolean): ChatMessage[] | null {
  if (sideOf(role) !== side) return null;
  const spoken = spokenBy(side, result);
  const problem = problemOf(spoken, solo);
  if (problem === null) return null;
  const { content, tool_calls: calls } = spoken;
  const error: ChatMessage = {
    role: "user",
    content: `Error: your message ${problem}. Nothing of it was done.`,
  };
  // The calls are written as text, because servers refuse arguments that are not JSON.
  const said = [
    ...(content === null || isBlank(content) ? [] : [content]),
    ...(calls ?? []).map(({ name, arguments: text }) => `${name}(${text})`),
  ];
  return said.length === 0 ? [error] : [{ role: "assistant", content: said.join("\n") }, error];
}

function seenBy(side: Side, message: Message): ChatMessage[] {
  if (message.role === "tool")
    return message.requestor === side
      ? [{ role: "tool", content: message.content, tool_call_id: message.id }]
      : [];
  if (message.role === side) return [asOwn(message)];
  return message.tool_calls === null ? [{ role: "user", content: message.content }] : [];
}

function asOwn({ content, tool_calls: calls }: Spoken): ChatMessage {
  if (calls === null) return { role: "assistant", content };
  const own = calls.map(({ id, name, arguments: text }) => ({
    id,
    type: "function" as const,
    function: { name, arguments: text },
  }));
  return { role: "assistant", content, tool_calls: own };
}
