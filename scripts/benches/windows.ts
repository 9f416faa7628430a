// Models against real servers that are full, slow, broken or gone, and whole runs beside a bare
// loop. Each row has the rate that the servers allow and the one that was reached, in answers a
// second.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { NO_RUN } from "../../src/model/context.ts";
import type { Model } from "../../src/model/contract.ts";
import { planModel } from "../../src/model/create.ts";
import { PythonFiles } from "../../src/python/files.ts";
import type { OpenaiModelConfig } from "../../src/recipe/schema/model-schema.ts";
import { drive } from "./parts/drive.ts";
import type { Counts, Mood } from "./parts/moody-server.ts";
import { printHead, printTable, sum, type TableRow } from "./parts/report.ts";

const SERVER = new URL("parts/moody-server.ts", import.meta.url).pathname;
const BARE_LOOP = new URL("parts/bare_loop.py", import.meta.url).pathname;
const STORM_MS = 20_000;

const { values } = parseArgs({
  options: {
    /** A Python with aiohttp for the bare loop; without it, the loop uses node:http. */
    python: { type: "string" },
    /** Rounds of answers that the ramp takes. */
    rounds: { type: "string", default: "3" },
    /** The time to an answer in the ramp. */
    answer: { type: "string", default: "5" },
    only: { type: "string", default: "ramp,storm,retry-after,replicas,garbage,outage" },
  },
});
const answerSeconds = Number(values.answer);

class Server implements AsyncDisposable {
  readonly port: number;
  readonly #child: Bun.Subprocess;

  private constructor(port: number, child: Bun.Subprocess) {
    this.port = port;
    this.#child = child;
  }

  static async start(mood: Mood, port = 0): Promise<Server> {
    const child = Bun.spawn(["bun", SERVER, `${port}`, JSON.stringify(mood)], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const { value } = await child.stdout.getReader().read();
    return new Server(Number(new TextDecoder().decode(value)), child);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  async counts(): Promise<Counts> {
    return (await fetch(`http://127.0.0.1:${this.port}/counts`)).json() as Promise<Counts>;
  }

  async change(mood: Mood): Promise<void> {
    const body = JSON.stringify(mood);
    await fetch(`http://127.0.0.1:${this.port}/mood`, { method: "POST", body });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

/** Callers ask one request after the other, until the callback has ended. */
async function asking<T>(
  servers: readonly Server[],
  inFlight: number,
  during: (model: Model) => Promise<T>,
): Promise<T> {
  const config = {
    kind: "openai",
    base_url: servers.map(({ url }) => url),
    model: "x",
    headers: {},
    ...{ timeout: 600_000, connect_timeout: 10_000, retries: 5, deadline: 600_000 },
    concurrency: 5000,
  } as OpenaiModelConfig;
  const loaders = {
    loadModule: async () => ({}),
    loadTemplate: async () => () => "",
    python: new PythonFiles(),
  };
  const model = (await planModel("m", config, loaders)).open({ ...NO_RUN, say: () => undefined });
  const controller = new AbortController();
  let row = 0;
  const work = async (): Promise<void> => {
    while (!controller.signal.aborted) {
      const origin = { row: `${row++}`, trial: 0, attempt: 1, role: "r", turn: 0 };
      const messages = [{ role: "user" as const, content: "Why is the sky blue?" }];
      await model
        .chat({ messages, seed: row, sampling: {}, origin }, controller.signal)
        .catch(() => undefined);
    }
  };
  const all = Array.from({ length: inFlight }, work);
  const result = await during(model);
  controller.abort(new Error("the bench is over"));
  await Promise.all(all);
  return result;
}

/** Answers a second of all servers, over this time from now. */
async function rateOf(servers: readonly Server[], ms: number): Promise<number> {
  const answered = async () =>
    sum((await Promise.all(servers.map((server) => server.counts()))).map((one) => one.answered));
  const [before, startedAt] = [await answered(), performance.now()];
  await Bun.sleep(ms);
  return ((await answered()) - before) / ((performance.now() - startedAt) / 1000);
}

async function storm(retryAfter: number | null): Promise<TableRow> {
  const fair: Mood = { capacity: 600, fromMs: 3000, toMs: 6000 };
  await using server = await Server.start(fair);
  return await asking([server], 600, async () => {
    await Bun.sleep(8000);
    const bad = retryAfter === null ? {} : { retryAfter };
    await server.change({ ...fair, ...bad, refused: 1 });
    await Bun.sleep(STORM_MS);
    await server.change(fair);
    const endedAt = performance.now();
    while ((await server.counts()).inFlight < 570) await Bun.sleep(50);
    const seconds = (performance.now() - endedAt) / 1000;
    await Bun.sleep(6000);
    const rate = await rateOf([server], 10_000);
    const header = retryAfter === null ? "no Retry-After" : `Retry-After ${retryAfter}`;
    return [
      `20 s of 429, ${header}`,
      600 / 4.5,
      rate,
      `95 % in flight again after ${seconds.toFixed(1)} s`,
    ];
  });
}

async function retryAfter(share: number): Promise<TableRow> {
  await using server = await Server.start({
    ...{ fromMs: 1500, toMs: 2500, refused: share, retryAfter: 1 },
  });
  return await asking([server], 400, async () => {
    await Bun.sleep(5000);
    const rate = await rateOf([server], 15_000);
    const { asked, refused } = await server.counts();
    const said = `${((100 * refused) / asked).toFixed(1)} % were turned away`;
    return [`${100 * share} % of 429, Retry-After 1`, 400 / 2, rate, said];
  });
}

async function replicas(inFlight: number, third: Mood, label: string): Promise<TableRow> {
  const well: Mood = { capacity: 100, fromMs: 800, toMs: 1200 };
  await using a = await Server.start(well);
  await using b = await Server.start(well);
  await using c = await Server.start(third);
  return await asking([a, b, c], inFlight, async () => {
    await Bun.sleep(25_000);
    const before = (await c.counts()).asked;
    const rate = await rateOf([a, b], 15_000);
    const asked = (await c.counts()).asked - before;
    const said = `the third got ${asked} requests in 15 s`;
    return [`${label}, ${inFlight} in flight`, Math.min(200, inFlight), rate, said];
  });
}

async function outage(): Promise<TableRow> {
  const mood: Mood = { fromMs: 800, toMs: 1200 };
  const first = await Server.start(mood);
  return await asking([first], 300, async () => {
    await Bun.sleep(3000);
    await first[Symbol.asyncDispose]();
    await Bun.sleep(STORM_MS);
    await using second = await Server.start(mood, first.port);
    const backAt = Date.now();
    let { firstTakenAt } = await second.counts();
    for (; firstTakenAt === null; { firstTakenAt } = await second.counts()) await Bun.sleep(10);
    const seconds = (firstTakenAt - backAt) / 1000;
    await Bun.sleep(5000);
    const rate = await rateOf([second], 10_000);
    return ["outage of 20 s", 300, rate, `first request ${seconds.toFixed(2)} s after it`];
  });
}

/** Whole runs of the binary over one request a row, beside the bare loop. */
async function ramp(inFlight: number): Promise<TableRow> {
  const count = inFlight * Number(values.rounds);
  const ms = answerSeconds * 1000;
  const folder = mkdtempSync(join(tmpdir(), "matrix-windows-"));
  try {
    const bare = await withServer(ms, (server) => bareLoop(server.url, count, inFlight));
    const ours = await withServer(ms, (server) => runOf(folder, server.url, count, inFlight));
    const label = `${count} rows, ${inFlight} in flight, answers of ${answerSeconds} s`;
    const seconds = `${ours.toFixed(1)} s, the loop ${bare.toFixed(1)} s`;
    return [label, count / bare, count / ours, seconds];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function withServer<T>(ms: number, use: (server: Server) => Promise<T>): Promise<T> {
  await using server = await Server.start({ fromMs: ms, toMs: ms });
  return await use(server);
}

async function runOf(
  folder: string,
  url: string,
  count: number,
  inFlight: number,
): Promise<number> {
  const recipe = join(folder, "recipe.toml");
  const rows = Array.from({ length: count }, () => '{"q":"Why is the sky blue?"}');
  writeFileSync(join(folder, "rows.jsonl"), `${rows.join("\n")}\n`);
  writeFileSync(
    recipe,
    `name = "ramp"
dataset.path = "rows.jsonl"
models.m = { kind = "openai", base_url = "${url}", model = "x" }
roles.solver = { agent = "llm", model = "m", prompt = { text = "{{ row.q }}" } }
orchestrator = { pattern = "sequence", roles = ["solver"] }
`,
  );
  const output = join(folder, "run");
  const { summary } = await drive({ recipe, output, args: ["-n", `${inFlight}`] });
  if (summary.ok !== count) throw new Error(`${count - summary.ok} rows are missing`);
  return summary.elapsed_ms / 1000;
}

async function bareLoop(url: string, count: number, inFlight: number): Promise<number> {
  if (values.python !== undefined) {
    const loop = [values.python, BARE_LOOP, url, `${count}`, `${inFlight}`];
    return Number(await new Response(Bun.spawn(loop).stdout).text());
  }
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const body = JSON.stringify({ model: "x", messages: [{ role: "user", content: "Why?" }] });
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const asked = request(`${url}/chat/completions`, { agent, method: "POST" }, (answer) => {
        answer.resume().on("end", resolve);
      });
      asked.on("error", reject).end(body);
    });
  let left = count;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (left-- > 0) await ask();
    }),
  );
  agent.destroy();
  return (performance.now() - startedAt) / 1000;
}

printHead(
  `windows: real servers; the bare loop is ${values.python === undefined ? "node:http" : "aiohttp"}`,
  "none",
);
const SCENARIOS: Readonly<Record<string, readonly (() => Promise<TableRow>)[]>> = {
  ramp: [200, 1000, 5000].map((inFlight) => () => ramp(inFlight)),
  storm: [() => storm(null), () => storm(1)],
  "retry-after": [() => retryAfter(0.02)],
  replicas: [200, 300].map(
    (inFlight) => () =>
      replicas(inFlight, { capacity: 100, fromMs: 16_000, toMs: 24_000 }, "third 20 × slower"),
  ),
  garbage: [() => replicas(300, { fromMs: 0, toMs: 0, garbage: true }, "third says garbage")],
  outage: [outage],
};
const rows: TableRow[] = [];
for (const name of values.only.split(","))
  for (const scenario of SCENARIOS[name] ?? []) {
    rows.push(await scenario());
    console.error(`done: ${rows.at(-1)?.[0]}`);
  }
printTable(
  "",
  ["allowed /s", "reached /s", ["%", 1], "what was seen"],
  rows.map(([label, allowed, reached, said]) => [
    label,
    allowed ?? null,
    reached ?? null,
    (100 * Number(reached)) / Number(allowed),
    said ?? null,
  ]),
);
