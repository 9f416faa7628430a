// The gold scripts as a served model, for `matrix model serve replies=…`. The system prompt of the
// official user's model identifies the task. The user's texts then carry the task's name to the
// agent's model.

import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Message {
  readonly role: string;
  readonly content: string | null;
}
type Reply = string | { readonly content: null; readonly tool_calls: readonly object[] };

const lines = readFileSync(join(import.meta.dirname, "../../../recipes/tau2/gold.jsonl"), "utf8")
  .trim()
  .split("\n");
const scripts = new Map(
  lines
    .map((line) => JSON.parse(line))
    .map(({ id, replies }) => [id as string, replies as Record<string, Reply[]>]),
);
/** Tasks by the system prompt of the user's model, as `tau2_others.py prompts` writes them. */
const tasks = JSON.parse(readFileSync(process.env["TAU2_GOLD_PROMPTS"] ?? "", "utf8")) as Readonly<
  Record<string, string>
>;
const NAME = /\[task (.+?)\]$/;

export default function reply({ messages }: { readonly messages: readonly Message[] }) {
  const [system, ...said] = messages;
  const own = said.filter(({ role }) => role === "assistant").length;
  const asUser = tasks[system?.content ?? ""];
  if (asUser === undefined) {
    const named = said
      .map(({ role, content }) => (role === "user" ? NAME.exec(content ?? "") : null))
      .find((match) => match !== null);
    // The agent's first message is a fixed greeting and not a reply of the script.
    return messageOf(scripts.get(named?.[1] ?? "")?.["assistant"]?.[own - 1]);
  }
  const answer = scripts.get(asUser)?.["user-simulator"]?.[own];
  return typeof answer === "string" ? `${answer} [task ${asUser}]` : messageOf(answer);
}

function messageOf(reply: Reply | undefined) {
  if (reply === undefined) throw new Error("the script has no reply for this turn");
  return typeof reply === "string" ? reply : { role: "assistant" as const, ...reply };
}
