// An OpenAI-compatible endpoint that counts: when each request came, and 429 for what is more than
// it allows.

import { serve } from "../../../src/platform.ts";

export interface CountingOptions {
  /** Requests that it takes in any second. */
  readonly perSecond?: number;
  readonly completionTokens?: number;
}

export interface CountingEndpoint {
  readonly url: string;
  /** Milliseconds of a steady clock. */
  readonly arrivals: readonly number[];
  readonly refused: number;
  /** The most arrivals in any window of that length. */
  mostIn(windowMs: number): number;
  stop(): Promise<void> | void;
}

export function serveCounting({
  perSecond = Number.POSITIVE_INFINITY,
  completionTokens = 1,
}: CountingOptions = {}): CountingEndpoint {
  const arrivals: number[] = [];
  let refused = 0;
  const completion = {
    id: "chatcmpl-counting",
    object: "chat.completion",
    created: 0,
    model: "x",
    choices: [
      { index: 0, message: { role: "assistant", content: "counted" }, finish_reason: "stop" },
    ],
    usage: {
      prompt_tokens: 10,
      completion_tokens: completionTokens,
      total_tokens: 10 + completionTokens,
    },
  };
  const server = serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      if (request.method === "GET") return new Response("", { status: 404 });
      const now = performance.now();
      arrivals.push(now);
      if (arrivals.filter((at) => at > now - 1000).length <= perSecond)
        return Response.json(completion);
      refused++;
      return Response.json({ error: { message: "too many requests" } }, { status: 429 });
    },
  });
  return {
    url: `${server.url}/v1`,
    arrivals,
    get refused() {
      return refused;
    },
    mostIn: (windowMs) =>
      Math.max(
        ...arrivals.map(
          (from, index) => arrivals.slice(index).filter((at) => at < from + windowMs).length,
        ),
      ),
    stop: () => server.stop(),
  };
}
