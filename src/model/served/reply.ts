// Answers of the simulated endpoint in the shapes of the OpenAI API, whole and in pieces: Chat
// Completions and the older Completions, with log probabilities.

import type { JsonObject } from "../../task/json.ts";
import { createRandom, deriveSeed } from "../../task/seed.ts";
import { CHARACTERS_PER_TOKEN, SIMULATED_FINGERPRINT, type SimulatedAnswer } from "../simulated.ts";
import { drawWords } from "../words.ts";
import type { ServedRequest } from "./request.ts";

/** Tokens in a piece of a stream that has log probabilities. */
const PIECE_TOKENS = 4;

/** An answer, and the request that it answers. */
export interface Choice {
  readonly index: number;
  readonly answer: SimulatedAnswer;
  readonly request: ServedRequest["asked"][number];
}

export function wholeOf(served: ServedRequest, choices: readonly Choice[]): JsonObject {
  return {
    ...frameOf(served, Math.floor(Date.now() / 1000)),
    object: served.kind === "chat" ? "chat.completion" : "text_completion",
    choices: choices.map((choice) => {
      const { index, answer } = choice;
      const text = textOf(served, choice);
      return {
        index,
        ...(served.kind === "chat" ? { message: answer.message } : { text }),
        finish_reason: answer.finishReason,
        logprobs: logprobsOf(served, choice, tokensOf(text), 0),
      };
    }),
    usage: usageOf(choices),
  };
}

/** The members of a piece of a stream beside its choices, the same in every piece. */
export function pieceFrame(served: ServedRequest): JsonObject {
  const object = served.kind === "chat" ? "chat.completion.chunk" : "text_completion";
  return { ...frameOf(served, 0), object };
}

/** The pieces of one choice, the finish reason last. */
export function piecesOf(served: ServedRequest, choice: Choice): readonly JsonObject[] {
  const { index, answer } = choice;
  const { content: _, tool_calls: calls, ...rest } = answer.message;
  const numbered = Array.isArray(calls)
    ? { tool_calls: (calls as readonly JsonObject[]).map((call, index) => ({ index, ...call })) }
    : {};
  const isChat = served.kind === "chat";
  const said = textPieces(served, choice).map(({ text, logprobs }) => ({
    index,
    ...(isChat ? { delta: { content: text } } : { text }),
    finish_reason: null,
    ...(logprobs === null ? {} : { logprobs }),
  }));
  const last = { index, ...(isChat ? { delta: {} } : { text: "" }) };
  return [
    ...(isChat
      ? [{ index, delta: { ...rest, ...numbered, content: "" }, finish_reason: null }]
      : []),
    ...said,
    { ...last, finish_reason: answer.finishReason },
  ];
}

export function usageOf(choices: readonly Choice[]): JsonObject {
  // The choices of one prompt share it.
  const prompts = new Map(
    choices.map(({ request, answer }) => [request.messages, answer.usage.prompt_tokens]),
  );
  const prompt_tokens = [...prompts.values()].reduce((sum, tokens) => sum + tokens, 0);
  const completion_tokens = choices.reduce(
    (sum, { answer }) => sum + answer.usage.completion_tokens,
    0,
  );
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

function frameOf({ kind, model }: ServedRequest, created: number): JsonObject {
  return {
    id: kind === "chat" ? "chatcmpl-simulated" : "cmpl-simulated",
    created,
    model,
    system_fingerprint: SIMULATED_FINGERPRINT,
  };
}

function textOf({ echo }: ServedRequest, { answer, request }: Choice): string {
  const prompt = echo ? String(request.messages[0]?.content ?? "") : "";
  return prompt + (answer.message.content ?? "");
}

/** The text in pieces of up to four words, or of four tokens with their log probabilities. */
function textPieces(
  served: ServedRequest,
  choice: Choice,
): readonly { readonly text: string; readonly logprobs: JsonObject | null }[] {
  const text = textOf(served, choice);
  if (served.alternatives === null)
    return (text.match(/(?:\S+\s*){1,4}|\s+/g) ?? []).map((text) => ({ text, logprobs: null }));
  const tokens = tokensOf(text);
  return Array.from({ length: Math.ceil(tokens.length / PIECE_TOKENS) }, (_, at) => {
    const first = at * PIECE_TOKENS;
    const piece = tokens.slice(first, first + PIECE_TOKENS);
    return { text: piece.join(""), logprobs: logprobsOf(served, choice, piece, first) };
  });
}

/** A token is four characters, as the usage counts it. */
function tokensOf(text: string): readonly string[] {
  return text.match(new RegExp(`.{1,${CHARACTERS_PER_TOKEN}}`, "gsu")) ?? [];
}

interface DrawnToken {
  readonly token: string;
  readonly logprob: number;
}

/**
 * Log probabilities of tokens; null when the client did not ask for them. `first` is the place of
 * the first token in the answer, so that a stream has those of the whole answer.
 */
function logprobsOf(
  { kind, alternatives }: ServedRequest,
  { request, index }: Choice,
  tokens: readonly string[],
  first: number,
): JsonObject | null {
  if (alternatives === null) return null;
  const drawn = tokens.map((token, at) =>
    drawToken(token, alternatives, deriveSeed(request.seed, "logprobs", index, first + at)),
  );
  if (kind === "chat")
    return {
      content: drawn.map(({ chosen, top }) => ({
        ...withBytes(chosen),
        top_logprobs: top.map(withBytes),
      })),
      refusal: null,
    };
  const offsets = tokens.map((_, at) => tokens.slice(0, at).join("").length);
  return {
    tokens: [...tokens],
    token_logprobs: drawn.map(({ chosen }) => chosen.logprob),
    top_logprobs: drawn.map(({ top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: offsets.map((offset) => first * CHARACTERS_PER_TOKEN + offset),
  };
}

/** The chosen token is the most probable one. */
function drawToken(
  token: string,
  alternatives: number,
  seed: number,
): { readonly chosen: DrawnToken; readonly top: readonly DrawnToken[] } {
  const random = createRandom(seed);
  const chosen = { token, logprob: -random() };
  const top: DrawnToken[] = alternatives === 0 ? [] : [chosen];
  for (let logprob = chosen.logprob; top.length < alternatives; ) {
    logprob -= 0.5 + random();
    top.push({ token: ` ${drawWords(1, random).toLowerCase().replace(".", "")}`, logprob });
  }
  return { chosen, top };
}

function withBytes({ token, logprob }: DrawnToken): JsonObject {
  return { token, logprob, bytes: [...new TextEncoder().encode(token)] };
}
