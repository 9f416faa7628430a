// The conversation that the assistant of a record had: the recipe's prompts, and the turns after
// them. It ends with the last turn that is trained on, because later turns teach nothing.

import { callIdsOf } from "../agent/call-ids.ts";
import { answers, messagesOf, ownView, type SpokenMessage } from "../agent/conversation.ts";
import { unansweredResult } from "../model/endpoint/stops.ts";
import { isJsonObject, type Json } from "../task/json.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import type { Hop, Unanswered } from "../task/task.ts";
import type { Candidate, Conversation, Medium, Turn } from "./contract.ts";
import type { Perspective } from "./perspective.ts";
import { reasoningOf } from "./reasoning.ts";

/** The conversation of a record; null when it has no turn to train on. */
export function conversationOf(
  record: TrajectoryRecord,
  perspective: Perspective,
  media: readonly Medium[] = [],
): Conversation | null {
  return conversationIn(record, perspective.hopsOf(record), perspective, media);
}

/**
 * All candidates of a record that have a turn to train on, or its conversation alone. A candidate
 * has no score when it has an answer that is not whole, for a reason that `takes` refuses.
 */
export function candidatesIn(
  record: TrajectoryRecord,
  perspective: Perspective,
  takes: (reasons: readonly Unanswered[]) => boolean,
  media: readonly Medium[] = [],
): readonly Candidate[] {
  const candidates = perspective.candidatesOf(record) ?? [
    { score: record.score, hops: perspective.hopsOf(record) },
  ];
  return candidates.flatMap(({ score, hops }) => {
    const conversation = conversationIn(record, hops, perspective, media);
    if (conversation === null) return [];
    const isWhole = takes(unansweredAmong(hops, perspective));
    return [{ score: isWhole ? score : null, conversation }];
  });
}

function conversationIn(
  record: TrajectoryRecord,
  all: readonly Hop[],
  perspective: Perspective,
  media: readonly Medium[],
): Conversation | null {
  const hops = seenHops(all, perspective);
  const last = hops.findLast((hop) => isAssistant(hop, perspective));
  const shown = shownIn(hops, perspective);
  const turns = [
    ...openingOf(record, last, perspective),
    ...hops.flatMap((hop, index) => turnsOf(hop, shown[index] ?? [], perspective)),
  ];
  const end = turns.findLastIndex(({ trained }) => trained);
  if (end === -1) return null;
  const tools = perspective.toolsOf(record);
  return withMedia({ turns: mergeNeighbours(turns.slice(0, end + 1)), tools }, perspective, media);
}

/** Adds attachments to the first message of the user, beside which the model was shown them. */
function withMedia(
  conversation: Conversation,
  { withPrompts }: Perspective,
  media: readonly Medium[],
): Conversation {
  if (media.length === 0) return conversation;
  const { turns } = conversation;
  const index = turns.findIndex(({ role }) => role === "user");
  const prompt = turns[index];
  if (!withPrompts || prompt === undefined) return { ...conversation, unplaced: media };
  return { ...conversation, turns: turns.with(index, { ...prompt, media }) };
}

/**
 * The reasons why turns that would be trained on are not whole answers. A role may accept such an
 * answer, and a task may end with one.
 */
export function unansweredIn(
  record: TrajectoryRecord,
  perspective: Perspective,
): readonly Unanswered[] {
  return unansweredAmong(perspective.hopsOf(record), perspective);
}

function unansweredAmong(all: readonly Hop[], perspective: Perspective): readonly Unanswered[] {
  const hops = seenHops(all, perspective);
  const trained = hops.filter(({ role }) => perspective.trained.has(role));
  return trained.map(({ result }) => unansweredResult(result)).filter((reason) => reason !== null);
}

/** The hops of a conversation whose earlier answers the model may not have been shown. */
function seenHops(all: readonly Hop[], perspective: Perspective): readonly Hop[] {
  if (!perspective.lastAnswerOnly) return all;
  const last = all.findLast((hop) => isAssistant(hop, perspective));
  return all.filter((hop) => hop === last || !isAssistant(hop, perspective));
}

function isAssistant(hop: Hop, { parts }: Perspective): boolean {
  return parts.get(hop.role) === "assistant";
}

/** The prompts of the assistant's role, rendered as they were before its last hop. */
function openingOf(
  record: TrajectoryRecord,
  last: Hop | undefined,
  { assistant, system, prompt }: Perspective,
): Turn[] {
  const history = historyBefore(record, last);
  const variables = {
    row: record.row,
    state: null,
    history,
    last: history.at(-1)?.result ?? null,
    role: assistant,
    id: record.id,
    trial: record.trial,
  };
  const turns: Turn[] = [];
  if (system !== null) turns.push({ role: "system", content: system(variables), trained: false });
  if (prompt !== null) turns.push({ role: "user", content: prompt(variables), trained: false });
  return turns;
}

/** The history that a hop was shown: a branch does not see its siblings. */
function historyBefore({ history }: TrajectoryRecord, last: Hop | undefined): readonly Hop[] {
  const before = history.slice(0, last?.hop ?? 0);
  return last?.branch === undefined
    ? before
    : before.filter(({ branch }) => branch === undefined || branch === last.branch);
}

/** Messages of each hop. The results of an assistant's calls belong to it, from any role. */
function shownIn(
  hops: readonly Hop[],
  perspective: Perspective,
): readonly (readonly SpokenMessage[])[] {
  const { parts, ownView: own, assistant } = perspective;
  if (own !== null) return ownView(hops, assistant, own.hasPrompt);
  const calls = new Set(hops.filter((hop) => isAssistant(hop, perspective)).flatMap(callIdsOf));
  return hops.map((hop) => {
    const messages = messagesOf(hop, isAssistant(hop, perspective));
    return parts.has(hop.role) ? messages : messages.filter((message) => answers(message, calls));
  });
}

function turnsOf(hop: Hop, messages: readonly SpokenMessage[], { trained }: Perspective): Turn[] {
  return messages.map((message) => {
    if (message.role !== "assistant")
      return { ...message, content: plainText(message.content), trained: false };
    const content =
      message.content === null && message.tool_calls === undefined
        ? textOf(hop.result)
        : message.content;
    const { tool_calls: calls } = message;
    return {
      role: "assistant",
      content,
      ...(calls === undefined ? {} : { tool_calls: calls }),
      ...reasoningOf(hop.result),
      trained: trained.has(hop.role),
    };
  });
}

/**
 * The text of a result without content: its refusal, nothing for a message that has only reasoning,
 * or the result as JSON. A role of user code may answer any JSON.
 */
function textOf(result: Json): string {
  if (isJsonObject(result)) {
    if (typeof result["refusal"] === "string") return result["refusal"];
    if (result["role"] === "assistant" && (result["content"] ?? null) === null) return "";
  }
  return plainText(result);
}

/** User code that runs tools may answer with any JSON as the content. */
function plainText(content: Json): string {
  if (content === null) return "";
  return typeof content === "string" ? content : JSON.stringify(content);
}

/**
 * Merges plain neighbours of one speaker, because chat templates require turns to alternate.
 * Neighbours stay apart when only one of them is trained on.
 */
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

/** True for a turn that is nothing but text. */
function isPlain({ role, content, tool_calls: calls, ...turn }: Turn): boolean {
  return (
    role !== "tool" &&
    content !== null &&
    calls === undefined &&
    turn.reasoning_content === undefined &&
    turn.reasoning_details === undefined
  );
}
