// An OpenAI-compatible endpoint that counts: how often each request was made, and how many are
// waiting at a gate. Its answers never repeat, so that only an answer that was kept leads to the
// same requests again.

const SAID = /said-\d+/g;

/** The model of a recipe that asks the endpoint at $ENDPOINT. */
export const SPEAKER = `[models.speaker]
kind = "openai"
base_url = "\${env:ENDPOINT}"
model = "real"
retries = 0
price = { prompt = 1000, completion = 1000 }
`;

export interface Asked {
  /** The body of the request as it was sent. */
  readonly body: string;
  /** Number of this endpoint's answers that are in the request. */
  readonly turn: number;
  times: number;
  /** Every answer to it, in order. */
  readonly said: string[];
}

export class Endpoint {
  readonly #server: ReturnType<typeof Bun.serve>;
  readonly #asked = new Map<string, Asked>();
  /** Requests of later turns wait. */
  #turnsFree: number;
  #waiting: (() => void)[] = [];
  #answers = 0;
  /** Answers that stood in later requests: surely they were used. */
  readonly #used = new Set<string>();
  /** Requests that were made again although their answer was used. */
  paidTwice = 0;

  readonly #latencyMs: number;

  constructor({ turnsFree = Number.POSITIVE_INFINITY, latencyMs = 2 } = {}) {
    this.#turnsFree = turnsFree;
    this.#latencyMs = latencyMs;
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/v1`;
  }

  get asked(): readonly Asked[] {
    return [...this.#asked.values()];
  }

  get calls(): number {
    return this.asked.reduce((sum, { times }) => sum + times, 0);
  }

  /** Distinct requests of a turn. */
  requestsOf(turn: number): number {
    return this.asked.filter((asked) => asked.turn === turn).length;
  }

  callsOf(turn: number): number {
    return this.asked.reduce((sum, asked) => sum + (asked.turn === turn ? asked.times : 0), 0);
  }

  /** Requests of turns from `turnsFree` on wait from now on. */
  close(turnsFree: number): void {
    this.#turnsFree = turnsFree;
  }

  open(): void {
    this.#turnsFree = Number.POSITIVE_INFINITY;
    for (const go of this.#waiting.splice(0)) go();
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    if (request.method === "GET") return Response.json({ data: [{ id: "real" }] });
    const body = await request.text();
    const asked = this.#asked.get(body) ?? {
      body,
      turn: body.match(SAID)?.length ?? 0,
      times: 0,
      said: [],
    };
    this.#asked.set(body, asked);
    for (const answer of body.match(SAID) ?? []) this.#used.add(answer);
    if (asked.said.some((answer) => this.#used.has(answer))) this.paidTwice++;
    asked.times++;
    if (asked.turn >= this.#turnsFree) await new Promise<void>((go) => this.#waiting.push(go));
    await new Promise((resolve) => setTimeout(resolve, this.#latencyMs * Math.random()));
    const content = `said-${this.#answers++}`;
    asked.said.push(content);
    return Response.json({
      choices: [{ finish_reason: "stop", message: { role: "assistant", content } }],
      usage: { prompt_tokens: 10, completion_tokens: 5 },
    });
  }
}
