// From a record to the conversation that its assistant had: what the recipe's prompts told it, and who then said what. Ends
// with the last turn that is trained on; what comes after it teaches nothing.

import { messagesOf } from "../agent/conversation.ts";
import { unansweredResult } from "../model/endpoint/stops.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import type { Hop, Unanswered } from "../task/task.ts";
import type { Conversation, Turn } from "./contract.ts";
import type { Perspective } from "./perspective.ts";

/** Null when there is no turn to train on. */
export function conversationOf(
  record: TrajectoryRecord,
  perspective: Perspective,
): Conversation | null {
  const hops = hopsOf(record, perspective);
  const last = hops.findLast((hop) => isAssistant(hop, perspective))?.hop ?? 0;
  const turns = [
    ...openingOf(record, last, perspective),
    ...hops.flatMap((hop) => turnsOf(hop, perspective)),
  ];
  const end = turns.findLastIndex(({ trained }) => trained);
  if (end === -1) return null;
  return { turns: mergeNeighbours(turns.slice(0, end + 1)), tools: perspective.toolsOf(record) };
}

/** Why answers that would be trained on are no whole ones, where a role accepted them or the task ended with them. */
export function unansweredIn(
  record: TrajectoryRecord,
  perspective: Perspective,
): readonly Unanswered[] {
  const trained = hopsOf(record, perspective).filter(({ role }) => perspective.trained.has(role));
  return trained.map(({ result }) => unansweredResult(result)).filter((reason) => reason !== null);
}

function hopsOf(record: TrajectoryRecord, perspective: Perspective): readonly Hop[] {
  const all = perspective.hopsOf(record);
  if (!perspective.lastAnswerOnly) return all;
  const last = all.findLast((hop) => isAssistant(hop, perspective));
  return all.filter((hop) => hop === last || !isAssistant(hop, perspective));
}

function isAssistant(hop: Hop, { parts }: Perspective): boolean {
  return parts.get(hop.role) === "assistant";
}

/** The prompts of the assistant's role as they were when it last spoke. */
function openingOf(
  record: TrajectoryRecord,
  hop: number,
  { assistant, system, prompt }: Perspective,
): Turn[] {
  const history = record.history.slice(0, hop);
  const last = history.at(-1)?.result ?? null;
  const variables = {
    row: record.row,
    state: null,
    history,
    last,
    role: assistant,
    id: record.id,
    trial: record.trial,
  };
  const turns: Turn[] = [];
  if (system !== null) turns.push({ role: "system", content: system(variables), trained: false });
  if (prompt !== null) turns.push({ role: "user", content: prompt(variables), trained: false });
  return turns;
}

function turnsOf(hop: Hop, perspective: Perspective): Turn[] {
  const { parts, trained } = perspective;
  if (!parts.has(hop.role)) return [];
  return messagesOf(hop, isAssistant(hop, perspective)).map((message) => {
    if (message.role !== "assistant") return { ...message, trained: false };
    const reasoning = isJsonObject(hop.result)
      ? (hop.result as JsonObject)["reasoning_content"]
      : undefined;
    const content =
      message.content === null && message.tool_calls === undefined
        ? textOf(hop.result)
        : message.content;
    return {
      ...message,
      content,
      trained: trained.has(hop.role),
      ...(typeof reasoning === "string" ? { reasoning_content: reasoning } : {}),
    };
  });
}

/** Of a refusal, or a result that is no chat message: code answers what it likes. */
function textOf(result: Json): string {
  if (isJsonObject(result) && typeof result["refusal"] === "string") return result["refusal"];
  return typeof result === "string" ? result : JSON.stringify(result);
}

/** Chat templates want turns to alternate: neighbours of one speaker become one, unless only one of them is trained on. */
function mergeNeighbours(turns: readonly Turn[]): Turn[] {
  const merged: Turn[] = [];
  for (const turn of turns) {
    const last = merged.at(-1);
    if (
      last !== undefined &&
      last.role === turn.role &&
      last.trained === turn.trained &&
      isPlain(last) &&
      isPlain(turn)
    ) {
      merged[merged.length - 1] = { ...last, content: `${last.content}\n\n${turn.content}` };
    } else merged.push(turn);
  }
  return merged;
}

function isPlain({
  role,
  content,
  tool_calls: calls,
  reasoning_content: reasoning,
}: Turn): boolean {
  return role !== "tool" && content !== null && calls === undefined && reasoning === undefined;
}
