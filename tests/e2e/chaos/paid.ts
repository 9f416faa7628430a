// Rounds that count what a run pays for: an endpoint of the test's own answers each request after a
// while and remembers it, while workers of the run are killed. A turn is paid for twice when the
// endpoint gave two whole answers to one request. An answer that was under way to a process when
// that process died counts as not given.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createRandom, hash64 } from "../../../src/task/seed.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { until } from "../../parts/until.ts";
import { Cluster, isRunning, signalTo } from "./cluster.ts";

/** The most time that an answer takes from the endpoint into the journal, on a busy machine. */
const ON_ITS_WAY_MS = 5000;
/** The endpoint may note its answer this long after the process that asked was killed. */
const NOTED_LATE_MS = 100;

/** A kill, and what the journal had when it was over. */
export interface Kill {
  readonly at: number;
  readonly journal: string;
}

interface Turn {
  readonly cameAt: number;
  readonly answeredAt: number;
}

export class CountingEndpoint implements AsyncDisposable {
  /** The times at which each request came, and got a whole answer. */
  readonly answers = new Map<string, Turn[]>();
  readonly #server: Server;
  readonly #latencyMs: number;

  static async start(latencyMs: number): Promise<CountingEndpoint> {
    const endpoint = new CountingEndpoint(latencyMs);
    await new Promise<void>((resolve) => endpoint.#server.listen(0, "127.0.0.1", resolve));
    return endpoint;
  }

  private constructor(latencyMs: number) {
    this.#latencyMs = latencyMs;
    this.#server = createServer((request, response) => {
      if (request.method === "GET") {
        // The driver asks for the models before it begins.
        response.end(JSON.stringify({ object: "list", data: [{ id: "x", object: "model" }] }));
        return;
      }
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", async () => {
        const body = Buffer.concat(parts).toString();
        const [hash] = hash64(body);
        const cameAt = Date.now();
        // From half the latency to one and a half of it, always the same for one request.
        await delay(this.#latencyMs * (0.5 + (hash % 1000) / 1000));
        if (response.destroyed) return;
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify(answerTo(body)), () => {
          const turns = this.answers.get(body) ?? [];
          this.answers.set(body, [...turns, { cameAt, answeredAt: Date.now() }]);
        });
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  /**
   * Requests that were answered again. An answer that a kill caught between the endpoint and the
   * journal counts as not given.
   */
  paidTwice(kills: readonly Kill[]): string[] {
    const isKept = (body: string, { answeredAt }: Turn): boolean =>
      kills.every(
        ({ at, journal }) =>
          at < answeredAt - NOTED_LATE_MS ||
          at > answeredAt + ON_ITS_WAY_MS ||
          journal.includes(contentFor(body)),
      );
    return [...this.answers].flatMap(([body, turns]) =>
      turns.slice(0, -1).some((turn) => isKept(body, turn))
        ? [`${turns.map(({ cameAt, answeredAt }) => `${cameAt}-${answeredAt}`)}: ${body}`]
        : [],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function contentFor(body: string): string {
  return `answer ${hash64(body).join("-")}.`;
}

function answerTo(body: string): unknown {
  const { model } = JSON.parse(body) as { readonly model: string };
  return {
    id: "x",
    object: "chat.completion",
    created: 0,
    model,
    choices: [
      {
        index: 0,
        finish_reason: "stop",
        message: { role: "assistant", content: contentFor(body) },
      },
    ],
    usage: { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 },
  };
}

const ORCHESTRATORS = {
  "best-of-n": `pattern = "best-of-n"
roles = ["a", "b"]
n = 4
parallel = true
score = "1"`,
  dialogue: `pattern = "dialogue"
speakers = ["a", "b"]
max_turns = 6`,
} as const;

export interface PaidRound {
  readonly pattern: keyof typeof ORCHESTRATORS;
  readonly rows: number;
  readonly workers: number;
  readonly kills: number;
  readonly seed: number;
}

export interface Paid {
  /** Requests, each counted once. */
  readonly requests: number;
  readonly twice: readonly string[];
}

/** Plays one run under kills of workers. */
export async function playPaidRound(round: PaidRound): Promise<Paid> {
  const { pattern, rows, workers, kills, seed } = round;
  return await withFolder(async (folder) => {
    await using endpoint = await CountingEndpoint.start(200);
    await using cluster = new Cluster(folder);
    const random = createRandom(seed);
    const recipe = join(folder, "recipe.toml");
    const lines = Array.from({ length: rows }, (_, n) => JSON.stringify({ id: `r${n}`, q: n }));
    await writeFile(join(folder, "rows.jsonl"), lines.join("\n"));
    await writeFile(
      recipe,
      `name = "paid"
dataset = { path = "rows.jsonl", id = "id" }
run.concurrency = ${rows}
models.m = { kind = "openai", base_url = "${endpoint.url}", model = "x" }
[roles]
a = { agent = "llm", model = "m", prompt = { text = "Q {{ row.q }}" } }
b = { agent = "llm", model = "m", prompt = { text = "Q {{ row.q }}" } }
[orchestrator]
${ORCHESTRATORS[pattern]}`,
    );
    const driver = cluster.drive(recipe, ["--workers", String(workers)]);
    const killed: Kill[] = [];
    for (let kill = 0; kill < kills; kill++) {
      const requests = endpoint.answers.size + random() * rows * 2;
      await until(
        () => driver.end() !== null || endpoint.answers.size >= requests,
        "requests are answered",
      );
      await until(
        () => driver.end() !== null || cluster.workers().length === workers,
        "all workers live",
      );
      if (driver.end() !== null) break;
      const alive = cluster.workers();
      const victim = alive[Math.floor(random() * alive.length)];
      if (victim === undefined) break;
      const at = Date.now();
      signalTo(victim.pid, "SIGKILL");
      await until(() => !isRunning(victim.pid), "the worker is dead");
      killed.push({ at, journal: readJournal(cluster.directory) });
    }
    const end = await driver.ended;
    if (end !== 0) throw new Error(`the driver ended with ${end}: ${driver.stderr()}`);
    const { code, stdout } = await matrix(["verify", cluster.directory]);
    if (code !== 0) throw new Error(`verify ended with ${code}: ${stdout}`);
    return { requests: endpoint.answers.size, twice: endpoint.paidTwice(killed) };
  });
}

function readJournal(directory: string): string {
  const folder = join(directory, "journal");
  if (!existsSync(folder)) return "";
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("");
}
