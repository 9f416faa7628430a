// What each side's model is sent: the official system prompt, and the messages that are its own business. Either side sees its
// own messages, the other's text, and the results of its own calls; never the other's tool traffic. For the user's model the
// roles are flipped: it is the assistant of its own conversation.

import { type ChatMessage, type JsonObject, request } from "matrix";
import { type Message, type Side, SPEAKERS } from "./message.ts";
import { loadedIn, messagesOf } from "./trajectory.ts";

export default request(({ role, state, history }) => {
  const { from } = state as { readonly from: number };
  const side: Side = role === SPEAKERS.user ? "user" : "assistant";
  const loaded = loadedIn(history, from);
  // Without a user there is no other side to hear, and the agent must call a tool.
  const solo = loaded.system.user === null;
  const tools: readonly JsonObject[] = (side === "user" ? loaded.user_tools : loaded.tools) ?? [];
  const messages = messagesOf(history, from, solo).flatMap((message) => seenBy(side, message));
  return {
    messages: [{ role: "system", content: loaded.system[side] ?? "" }, ...messages],
    ...(tools.length > 0 ? { tools, sampling: { tool_choice: solo ? "required" : "auto" } } : {}),
  };
});

function seenBy(side: Side, message: Message): ChatMessage[] {
  if (message.role === "tool")
    return message.requestor === side ? [{ role: "tool", content: message.content, tool_call_id: message.id }] : [];
  const { role, content, tool_calls: calls } = message;
  if (role !== side) return calls === null ? [{ role: "user", content }] : [];
  if (calls === null) return [{ role: "assistant", content }];
  const own = calls.map(({ id, name, arguments: text }) => ({ id, type: "function" as const, function: { name, arguments: text } }));
  return [{ role: "assistant", content, tool_calls: own }];
}
