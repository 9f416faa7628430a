// A model server with a size, a speed and moods, run as a program of its own. It answers whole chat
// completions. `POST /mood` changes what it does from then on, and `GET /counts` says what came.
// Usage: bun moody-server.ts PORT JSON; it prints its port when it listens.

export interface Mood {
  /** Requests at once; more are turned away with 429. */
  readonly capacity?: number;
  /** Bounds of the time to an answer. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Share of requests that are turned away whatever is in flight. */
  readonly refused?: number;
  /** Seconds. */
  readonly retryAfter?: number;
  /** Answers 200 at once with a body that is not JSON. */
  readonly garbage?: boolean;
}

export interface Counts {
  readonly asked: number;
  readonly answered: number;
  readonly refused: number;
  readonly inFlight: number;
  /** Time by Date.now() of the first request that was taken since the mood last changed. */
  readonly firstTakenAt: number | null;
}

if (import.meta.main) serve(Number(Bun.argv[2]), JSON.parse(Bun.argv[3] ?? "{}") as Mood);

function serve(port: number, first: Mood): void {
  let mood = first;
  const counts = { asked: 0, answered: 0, refused: 0, inFlight: 0 };
  let firstTakenAt: number | null = null;
  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/counts") return Response.json({ ...counts, firstTakenAt });
      if (pathname === "/mood") {
        mood = (await request.json()) as Mood;
        firstTakenAt = null;
        return new Response();
      }
      if (request.method === "GET") return Response.json({ data: [] });
      await request.arrayBuffer();
      counts.asked++;
      const { capacity = Number.POSITIVE_INFINITY, refused = 0, fromMs, toMs } = mood;
      if (counts.inFlight >= capacity || Math.random() < refused) return refuse();
      firstTakenAt ??= Date.now();
      if (mood.garbage === true) return new Response("<html>It works!</html>");
      counts.inFlight++;
      await Bun.sleep(fromMs + (toMs - fromMs) * Math.random());
      counts.inFlight--;
      counts.answered++;
      return Response.json(ANSWER);
    },
  });
  const refuse = (): Response => {
    counts.refused++;
    const { retryAfter } = mood;
    const headers = retryAfter === undefined ? {} : { "retry-after": `${retryAfter}` };
    return Response.json({ error: { message: "too many requests" } }, { status: 429, headers });
  };
  console.log(server.port);
}

const ANSWER = {
  choices: [{ index: 0, message: { role: "assistant", content: "yes" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 10, completion_tokens: 1 },
};
