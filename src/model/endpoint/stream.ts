// A streamed completion put together again, equal to what the endpoint would have given whole. Text
// fields of the message grow, whatever their names are; lists (logprobs, token ids, reasoning
// details) are joined; arguments of calls stay the model's text.

import { MatrixError } from "../../error.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";

/** A tool call with an index of this or more is not a valid answer. */
const CALLS_MAX = 1024;

/** Fields of a chunk whose last value is the completion's. */
const KEPT = [
  "usage",
  "usageMetadata",
  "x_groq",
  "system_fingerprint",
  "prompt_token_ids",
  "prompt_logprobs",
] as const;

type Call = { id: string; type: string; function: { name: string; arguments: string } };

export class Assembly {
  readonly #message: Record<string, Json> = {};
  readonly #calls: Call[] = [];
  readonly #choice: Record<string, Json> = {};
  readonly #whole: Record<string, Json> = {};

  add(chunk: JsonObject): void {
    for (const key of KEPT) if (chunk[key] != null) this.#whole[key] = chunk[key];
    const choices: readonly Json[] = Array.isArray(chunk["choices"]) ? chunk["choices"] : [];
    const choice = choices.filter(isJsonObject).find(({ index = 0 }) => index === 0);
    if (choice === undefined) return;
    const { delta, index: _, ...rest } = choice;
    grow(this.#choice, rest);
    if (!isJsonObject(delta)) return;
    const { tool_calls: calls, role: _role, ...said } = delta;
    grow(this.#message, said);
    if (Array.isArray(calls)) for (const call of calls) this.#addCall(call as JsonObject);
  }

  /** The whole completion; null when the stream ended before the answer did. */
  get completion(): JsonObject | null {
    if (typeof this.#choice["finish_reason"] !== "string") return null;
    const calls = this.#calls.filter(({ function: { name } }) => name !== "");
    const message: JsonObject = {
      role: "assistant",
      content: null,
      ...this.#message,
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    };
    return { ...this.#whole, choices: [{ ...this.#choice, message }] };
  }

  /**
   * Adds a piece of a tool call. Name and id come once, or again with every piece of the arguments.
   */
  #addCall({ index, id, type, function: called }: JsonObject): void {
    // Some endpoints do not number calls: a new id begins a new call.
    const isNew = typeof id === "string" && id !== this.#calls.at(-1)?.id;
    const at =
      typeof index === "number" ? index : Math.max(0, this.#calls.length - (isNew ? 0 : 1));
    if (!Number.isInteger(at) || at < 0 || at >= CALLS_MAX)
      throw new MatrixError(
        "model_bad_answer",
        `the answer is not a chat completion: it has a tool call of index ${at}`,
      );
    while (this.#calls.length <= at)
      this.#calls.push({ id: "", type: "function", function: { name: "", arguments: "" } });
    const call = this.#calls[at] as Call;
    if (typeof id === "string" && id !== "") call.id = id;
    if (typeof type === "string" && type !== "") call.type = type;
    if (!isJsonObject(called)) return;
    if (typeof called["name"] === "string" && called["name"] !== "")
      call.function.name = called["name"];
    if (typeof called["arguments"] === "string") call.function.arguments += called["arguments"];
  }
}

function grow(whole: Record<string, Json>, piece: JsonObject): void {
  for (const [key, value] of Object.entries(piece)) {
    const before = whole[key];
    // A write to `__proto__` would reach the prototype of every object of this process.
    if (value === null || key === "__proto__") continue;
    // The first reason counts: "stop" after "length" does not make a whole answer.
    if (key === "finish_reason") whole[key] = before ?? value;
    else if (typeof before === "string" && typeof value === "string") whole[key] = before + value;
    else if (Array.isArray(before) && Array.isArray(value)) before.push(...value);
    else if (isJsonObject(before) && isJsonObject(value))
      grow(before as Record<string, Json>, value);
    else whole[key] = structuredClone(value);
  }
}
