// How many tokens a request will come to, before it is sent: its prompt by its length, its answer
// by those before it.

import type { Usage } from "../task/task.ts";
import type { ChatRequest, ContentPart } from "./contract.ts";
import { countTokens, limitOf } from "./simulated.ts";

/** Of an answer, when there was none yet and the request names no most. */
const COMPLETION_TOKENS = 256;
/** Of an image or a piece of audio. */
const ATTACHMENT_TOKENS = 1000;
/** How much an answer weighs against those before it. */
const WEIGHT = 1 / 16;

export class TokenEstimate {
  #completion: number | null = null;

  /** As it is thought each time that it is asked; models without a rate never ask. */
  of(request: ChatRequest): () => number {
    const { sampling } = request;
    let prompt: number | null = null;
    const limit = limitOf(sampling);
    const unknown = Number.isFinite(limit) ? limit : COMPLETION_TOKENS;
    return () => {
      prompt ??= promptTokens(request);
      return prompt + Math.min(limit, this.#completion ?? unknown);
    };
  }

  learn({ completion_tokens: tokens }: Usage): void {
    this.#completion =
      this.#completion === null ? tokens : this.#completion + (tokens - this.#completion) * WEIGHT;
  }
}

function promptTokens({ messages, tools }: ChatRequest): number {
  const described = tools === undefined ? 0 : countTokens(JSON.stringify(tools));
  return messages.reduce((sum, { content }) => sum + tokensOf(content), described);
}

function tokensOf(content: string | null | readonly ContentPart[]): number {
  if (content === null) return 0;
  if (typeof content === "string") return countTokens(content);
  return content.reduce(
    (sum, part) => sum + (part.type === "text" ? countTokens(part.text) : ATTACHMENT_TOKENS),
    0,
  );
}
