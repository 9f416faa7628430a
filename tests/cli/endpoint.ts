// An OpenAI-compatible endpoint that counts: how often each request was made, and how many are waiting at a gate. Its answers
// never repeat, so that only an answer that was kept leads to the same requests again.

export interface Asked {
  /** Of the request as it was sent. */
  readonly body: string;
  /** How many answers of this endpoint stand in it. */
  readonly turn: number;
  times: number;
}

export class Endpoint {
  readonly #server: ReturnType<typeof Bun.serve>;
  readonly #asked = new Map<string, Asked>();
  /** Requests of later turns wait. */
  #turnsFree: number;
  #waiting: (() => void)[] = [];
  #answers = 0;

  constructor(turnsFree = Number.POSITIVE_INFINITY) {
    this.#turnsFree = turnsFree;
    this.#server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: (request) => this.#answer(request) });
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

  /** From now on, lets so many turns of a task through. */
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
    const body = await request.text();
    const asked = this.#asked.get(body) ?? { body, turn: body.match(/said-\d+/g)?.length ?? 0, times: 0 };
    this.#asked.set(body, asked);
    asked.times++;
    if (asked.turn >= this.#turnsFree) await new Promise<void>((go) => this.#waiting.push(go));
    await new Promise((resolve) => setTimeout(resolve, 1));
    return Response.json({
      choices: [{ finish_reason: "stop", message: { role: "assistant", content: `said-${this.#answers++}` } }],
      usage: { prompt_tokens: 10, completion_tokens: 5 },
    });
  }
}
