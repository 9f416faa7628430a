// The contract of a model: one chat completion. The words and shapes are OpenAI's (Chat Completions
// API) for every kind of model.

import type { Json, JsonObject } from "../task/json.ts";
import type { Usage } from "../task/task.ts";
import type { Attachment } from "./attachment.ts";

export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  /** `arguments` stays the text that the model wrote. */
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A part of a user's message, in the shape that the endpoint takes. */
export type ContentPart<Content = string | Attachment> =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: Content } }
  | {
      readonly type: "input_audio";
      readonly input_audio: { readonly data: Content; readonly format: string };
    };

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | null | readonly ContentPart[];
  readonly tool_calls?: readonly ToolCall[];
  readonly tool_call_id?: string;
}

/**
 * The body of a request without `model`, which the Model adds. `sampling` holds temperature, top_p,
 * max_tokens, stop and the like, as they are sent.
 */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly seed: number;
  readonly sampling: JsonObject;
  readonly tools?: readonly JsonObject[];
  /** A JSON schema that the answer must fit (`response_format`). */
  readonly schema?: JsonObject;
  /**
   * Takes what a model may write wrongly: an empty message, when every try gave one, and calls
   * without a name or without arguments. It is not sent. Otherwise these are errors of the model.
   */
  readonly takesMalformed?: boolean;
  /** The step that asks; it is not sent. Null for a request that belongs to no task. */
  readonly origin: RequestOrigin | null;
}

export interface RequestOrigin {
  readonly row: string;
  readonly trial: number;
  /** Attempt of the task, from 1. Answers to an earlier attempt may be in the journal. */
  readonly attempt: number;
  /** True when the journal may have an answer to this attempt, which another process wrote. */
  readonly mayRepeat?: boolean;
  readonly role: string;
  /** Hops of the role before this one. */
  readonly turn: number;
}

/** Names the task of a request. Requests for one row share much of their prompts. */
export function taskOf({ origin, seed }: Pick<ChatRequest, "origin" | "seed">): string {
  return origin === null ? String(seed) : `${origin.row}\u0000${origin.trial}`;
}

export interface ChatAnswer {
  /**
   * `{role: "assistant", content, tool_calls?}`. Other fields of the endpoint, such as
   * reasoning_content, are kept.
   */
  readonly message: { readonly role: "assistant"; readonly content: string | null } & {
    readonly [key: string]: Json;
  };
  readonly finishReason: string;
  /** Set when the endpoint says that it is simulated, as `matrix model serve` does. */
  readonly simulated?: true;
  /** `requests` counts tries, failed ones included, without those of `rejected`. */
  readonly usage: Usage;
  /** In the currency of the recipe's prices; unset without a price. */
  readonly cost?: number;
  /** The model that answered, by the name that the endpoint gives it. */
  readonly responseModel?: string;
  /** The server that answered. */
  readonly server?: { readonly address: string; readonly port: number };
  /** Set in the journal alone: answers to earlier tries that were paid for and are no use. */
  readonly rejected?: readonly RejectedAnswer[];
}

/** An answer that is an error of the endpoint, and states tokens or a cost. */
export interface RejectedAnswer
  extends Pick<ChatAnswer, "message" | "finishReason" | "simulated" | "usage" | "cost"> {
  /** The fault of the answer, in words. */
  readonly problem: string;
}

export type OnRejected = (answer: RejectedAnswer) => void;

/** State of one replica of a model. */
export interface ReplicaState {
  readonly replica: string;
  readonly isUp: boolean;
  readonly inFlight: number;
  /** Most requests that the replica is given at once. */
  readonly window: number;
}

/** A model with replicas, as metrics see it. */
export interface Replicated {
  readonly model: string;
  readonly replicas: readonly ReplicaState[];
  /** Number of requests that wait for room at a replica. */
  readonly waiting: number;
}

/** A model that can be asked. */
export interface Model {
  /** Name in the recipe: [models.NAME]. */
  readonly name: string;
  /** Id in records: the name that the endpoint knows, or "simulated:NAME" or "scripted:NAME". */
  readonly id: string;
  readonly simulated: boolean;
  /** The provider in the words of OpenTelemetry's conventions, such as "openai". */
  readonly provider: string;
  /** Null for a model that has no replicas. */
  readonly replicas: Replicated | null;
  /** The cost of one answer by today's price; undefined without a price. */
  costOf(usage: Usage): number | undefined;
  /**
   * One completion, retried within the model's limits. `onRejected` is called for each answer that
   * was paid for and is no use, at once: the request may still succeed or fail. Fails with a
   * MatrixError whose code begins with `model_`.
   */
  chat(request: ChatRequest, signal: AbortSignal, onRejected?: OnRejected): Promise<ChatAnswer>;
}
