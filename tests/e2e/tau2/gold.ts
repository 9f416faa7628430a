// Gold scripts of the recipe, and their replay by hand over the bridge alone, without our rules and
// runtime.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../../src/task/json.ts";
import { ROOT } from "../../parts/repository.ts";
import type { Bridge } from "./bridge.ts";

interface Call {
  readonly id: string;
  readonly function: { readonly name: string; readonly arguments: string };
}
type Reply = string | { readonly content: string | null; readonly tool_calls: readonly Call[] };

export interface GoldScript {
  readonly id: string;
  readonly replies: {
    readonly assistant: readonly Reply[];
    readonly "user-simulator": readonly Reply[];
  };
}

export const goldScripts: readonly GoldScript[] = readFileSync(
  join(ROOT, "recipes/tau2/gold.jsonl"),
  "utf8",
)
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as GoldScript);

export function goldScript(id: string): GoldScript {
  const script = goldScripts.find((one) => one.id === id);
  if (script === undefined) throw new Error(`no gold script ${id}`);
  return script;
}

export function taskOf({ id }: GoldScript): { readonly domain: string; readonly task_id: string } {
  const slash = id.indexOf("/");
  return { domain: id.slice(0, slash), task_id: id.slice(slash + 1) };
}

/** A change to a trajectory before it is evaluated. */
export type Tamper = (messages: JsonObject[]) => JsonObject[];

/** The official reward of a script. */
export async function replay(
  bridge: Bridge,
  script: GoldScript,
  tamper: Tamper = (messages) => messages,
): Promise<number> {
  const session = `${script.id}#${crypto.randomUUID()}`;
  const loaded = await bridge.request<{ messages: JsonObject[]; next: "user" | "assistant" }>(
    "load",
    { session, ...taskOf(script) },
  );
  const messages = [...loaded.messages];
  const left = {
    user: [...script.replies["user-simulator"]],
    assistant: [...script.replies.assistant],
  };
  let at = loaded.next;
  for (;;) {
    const reply = left[at].shift();
    if (reply === undefined)
      throw new Error(`the script of ${script.id} has no further reply of the ${at}`);
    if (typeof reply === "string") {
      messages.push({ role: at, content: reply, tool_calls: null });
      if (at === "user" && reply.includes("###STOP###")) break;
      at = at === "user" ? "assistant" : "user";
      continue;
    }
    const calls = reply.tool_calls.map(({ id, function: { name, arguments: text } }) => ({
      id,
      name,
      arguments: text,
      requestor: at,
    }));
    messages.push({ role: at, content: reply.content, tool_calls: calls });
    for (const { id, name, arguments: text } of calls)
      messages.push(
        await bridge.request("call", {
          session,
          requestor: at,
          name,
          arguments_json: text,
          call_id: id,
        }),
      );
  }
  try {
    const simulation = { termination_reason: "user_stop", messages: tamper(messages) };
    return (await bridge.request<{ reward: number }>("reward", { session, simulation })).reward;
  } finally {
    await bridge.request("close", { session });
  }
}
