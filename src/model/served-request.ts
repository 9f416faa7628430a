// The body of a request to the simulated endpoint, parsed: what the simulated model is asked, and
// how the answer is to be sent.

import { isJsonObject, type JsonObject } from "../task/json.ts";
import type { ChatMessage, ChatRequest } from "./contract.ts";

export interface ServedRequest {
  readonly request: ChatRequest;
  /** The name that the client gave; the served model's own when it gave none. */
  readonly model: string;
  readonly stream: boolean;
  /** True when the stream is to end with the usage. */
  readonly streamUsage: boolean;
}

/** Returns the request, or a sentence that says what is wrong with it. */
export function parseServedRequest(text: string, modelName: string): ServedRequest | string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return "the body is not JSON";
  }
  if (!isJsonObject(body)) return "the body must be an object";
  const {
    messages,
    seed,
    tools,
    response_format: format,
    model,
    stream,
    stream_options: options,
    ...sampling
  } = body;
  if (!Array.isArray(messages) || messages.length === 0)
    return "messages must be a list with at least one message";
  const schema =
    isJsonObject(format) && isJsonObject(format["json_schema"])
      ? format["json_schema"]["schema"]
      : undefined;
  return {
    request: {
      messages: messages as unknown as ChatMessage[],
      // Without a seed, the rest of the request decides the answer.
      seed: typeof seed === "number" ? seed : 0,
      sampling,
      origin: null,
      ...(Array.isArray(tools) ? { tools: tools as JsonObject[] } : {}),
      ...(isJsonObject(schema) ? { schema } : {}),
    },
    model: typeof model === "string" ? model : modelName,
    stream: stream === true,
    streamUsage: isJsonObject(options) && options["include_usage"] === true,
  };
}
