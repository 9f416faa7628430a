// A streamed completion put together again, equal to what the endpoint would have given whole.

import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { TASK_BYTES_MAX, weigh } from "../../task/size.ts";
import { tooLargeError } from "./body.ts";
import { withTextContent } from "./content.ts";
import { finishReasonFrom } from "./finish-reasons.ts";
import { grow } from "./growth.ts";
import { CallAssembly } from "./tool-calls.ts";

/** Fields of a chunk whose last value is the completion's. */
const KEPT = [
  "usage",
  "usageMetadata",
  "x_groq",
  "model",
  "system_fingerprint",
  "prompt_token_ids",
  "prompt_logprobs",
] as const;

export class Assembly {
  readonly #message: Record<string, Json> = {};
  readonly #calls = new CallAssembly();
  readonly #choice: Record<string, Json> = {};
  readonly #whole: Record<string, Json> = {};
  #finishReason: string | null = null;
  /** The weight of the pieces so far. */
  #weight = 0;

  /** Keeps what a chunk says of the whole answer, such as its usage. */
  note(chunk: JsonObject): void {
    for (const key of KEPT) if (chunk[key] != null) this.#whole[key] = chunk[key];
  }

  /** Fails with `model_answer_too_large` when the answer becomes larger than a task may be. */
  add(chunk: JsonObject): void {
    this.note(chunk);
    const choices: readonly Json[] = Array.isArray(chunk["choices"]) ? chunk["choices"] : [];
    const choice = choices.filter(isJsonObject).find(({ index = 0 }) => index === 0);
    if (choice === undefined) return;
    const { delta, index: _, finish_reason: finishReason, ...rest } = choice;
    // The first reason counts: "stop" after "length" does not make a whole answer.
    this.#finishReason ??= finishReasonFrom(finishReason);
    this.#weight += weigh(choice);
    if (this.#weight > TASK_BYTES_MAX) throw tooLargeError(TASK_BYTES_MAX);
    grow(this.#choice, rest);
    if (!isJsonObject(delta)) return;
    const { tool_calls: calls, role: _role, ...said } = withTextContent(delta);
    grow(this.#message, said);
    const pieces: readonly Json[] = Array.isArray(calls) ? calls : [];
    for (const piece of pieces) if (isJsonObject(piece)) this.#calls.add(piece);
  }

  /** The weight of the answer so far, in bytes. */
  get bytes(): number {
    return this.#weight;
  }

  /** The whole completion; null when the stream ended before the answer did. */
  get completion(): JsonObject | null {
    return this.#finishReason === null ? null : this.partial;
  }

  /** The completion as far as it has come. */
  get partial(): JsonObject {
    const { calls } = this.#calls;
    const message: JsonObject = {
      role: "assistant",
      content: null,
      ...this.#message,
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    };
    const choice = { ...this.#choice, finish_reason: this.#finishReason, message };
    return { ...this.#whole, choices: [choice] };
  }
}
