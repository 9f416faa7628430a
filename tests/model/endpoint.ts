// An OpenAI-compatible endpoint that a test has in its hand: what it answers, when it vanishes, and
// that it comes back where it was.

import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { JsonObject } from "../../src/task/json.ts";

export interface Asked {
  readonly body: JsonObject;
  readonly response: ServerResponse;
}

export type Behaviour = (asked: Asked) => unknown;

export const completion = (more: JsonObject = {}, choice: JsonObject = {}): JsonObject => ({
  choices: [
    { index: 0, message: { role: "assistant", content: "yes" }, finish_reason: "stop", ...choice },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 1 },
  ...more,
});

export const answer =
  (
    body: unknown = completion(),
    status = 200,
    headers: Readonly<Record<string, string>> = {},
  ): Behaviour =>
  ({ response }) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };

/** Server-sent events, and what comes after them. */
export const stream =
  (
    chunks: readonly unknown[],
    end: (response: ServerResponse) => void = (response) => void response.end("data: [DONE]\n\n"),
  ): Behaviour =>
  ({ response }) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const chunk of chunks) response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    end(response);
  };

export class TestEndpoint implements AsyncDisposable {
  behaviour: Behaviour = answer();
  /** Bodies of completions, in order, and the headers that they came with. */
  readonly asked: JsonObject[] = [];
  readonly headers: IncomingHttpHeaders[] = [];
  /** Method and path of every request. */
  readonly urls: string[] = [];
  inFlight = 0;
  mostInFlight = 0;
  /** Requests for the list of models, and the status of their answers. */
  probes = 0;
  probeStatus = 200;
  /** Clients that went before they had their answer. */
  abandoned = 0;
  port = 0;
  #server: Server | null = null;

  static async start(behaviour?: Behaviour): Promise<TestEndpoint> {
    const endpoint = new TestEndpoint();
    if (behaviour !== undefined) endpoint.behaviour = behaviour;
    await endpoint.start();
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  /** Starts it on the port that it had before. */
  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as AddressInfo).port;
  }

  /** Ends it at once, with every request that it has. */
  async vanish(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.vanish();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.urls.push(`${request.method} ${request.url}`);
    if (request.method === "GET") {
      this.probes++;
      response.writeHead(this.probeStatus);
      return void response.end('{"data":[]}');
    }
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    response.on("close", () => {
      this.inFlight--;
      if (!response.writableFinished) this.abandoned++;
    });
    let text = "";
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text) as JsonObject;
    this.asked.push(body);
    this.headers.push(request.headers);
    await this.behaviour({ body, response });
  }
}
