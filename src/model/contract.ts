// The model: one chat completion. OpenAI's words and shapes throughout (Chat Completions API),
// whatever answers.

import type { Json, JsonObject } from "../task/json.ts";
import type { Usage } from "../task/task.ts";

export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  /** `arguments` stays the text that the model wrote. */
  readonly function: { readonly name: string; readonly arguments: string };
}

/** What a user's message may hold beside text, as the endpoint takes it. */
export type ContentPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } }
  | {
      readonly type: "input_audio";
      readonly input_audio: { readonly data: string; readonly format: string };
    };

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | null | readonly ContentPart[];
  readonly tool_calls?: readonly ToolCall[];
  readonly tool_call_id?: string;
}

/**
 * The body of a request, less `model`, which the Model adds. `sampling` holds temperature, top_p,
 * max_tokens, stop …, as sent.
 */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly seed: number;
  readonly sampling: JsonObject;
  readonly tools?: readonly JsonObject[];
  /** A JSON schema that the answer must fit (`response_format`). */
  readonly schema?: JsonObject;
  /** Which step asks; not sent. Null for a request from outside of any task. */
  readonly origin: RequestOrigin | null;
}

export interface RequestOrigin {
  readonly row: string;
  readonly trial: number;
  /** Of the row, from 1: what an earlier one was answered need not be asked again. */
  readonly attempt: number;
  readonly role: string;
  /** Hops of the role before this one. */
  readonly turn: number;
}

export interface ChatAnswer {
  /**
   * `{role: "assistant", content, tool_calls?}`; other fields that the model gave
   * (reasoning_content …) are kept.
   */
  readonly message: { readonly role: "assistant"; readonly content: string | null } & {
    readonly [key: string]: Json;
  };
  readonly finishReason: string;
  /** Only of an endpoint that says so: that of `matrix model serve`. */
  readonly simulated?: true;
  /** `requests` counts tries, also the failed ones. */
  readonly usage: Usage;
}

export interface Model {
  /** The recipe's name for it: [models.NAME]. */
  readonly name: string;
  /**
   * What answers, for records: the name that the endpoint knows, or "simulated:NAME" or
   * "scripted:NAME".
   */
  readonly id: string;
  readonly simulated: boolean;
  /** Price of a call, in the currency of the recipe's prices; undefined when it has none. */
  costOf(usage: Usage): number | undefined;
  /**
   * One completion, retried within the model's limits. Fails with a MatrixError whose code begins
   * with `model_`.
   */
  chat(request: ChatRequest, signal: AbortSignal): Promise<ChatAnswer>;
}
