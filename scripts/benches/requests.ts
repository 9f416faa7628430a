// Requests in flight from one process to the simulated model behind its server: how many were in
// flight at once, how late timers fired meanwhile, and the processor time of a request.
// Whole and streamed answers are measured apart.

import { parseArgs } from "node:util";
import { NO_RUN } from "../../src/model/context.ts";
import { planModel } from "../../src/model/create.ts";
import { PythonFiles } from "../../src/python/files.ts";
import type { OpenaiModelConfig } from "../../src/recipe/schema/model-schema.ts";
import { printHead, printTable, quantile, type TableRow } from "./parts/report.ts";

const BINARY = new URL("../../dist/matrix", import.meta.url).pathname;
const LOOK_MS = 20;
const PROMPT = "word ".repeat(400);

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "0" },
    in_flight: { type: "string", default: "10000" },
    /** Number of requests that each place in flight makes, one after the other. */
    rounds: { type: "string", default: "3" },
    latency: { type: "string", default: '{ kind = "lognormal", median = "4s", sigma = 0.5 }' },
  },
});
const inFlight = Number(values.in_flight);

printHead(
  `requests: ${inFlight} in flight from one process, answers of 20 tokens after ${values.latency}`,
  values.seed,
);
const columns = [
  "most in flight",
  "requests/s",
  ["lag p50 ms", 1],
  ["lag p99 ms", 1],
  ["lag max ms", 1],
  ["cpu ms/request", 2],
  "peak MB",
  "tries",
] as const;
printTable("", columns, [
  await withServer((url) => measure("whole", url, {})),
  await withServer((url) => measure("streamed", url, { first_token_timeout: 60_000 })),
]);

/** Each measurement has its own server, so that open connections do not count for the next one. */
async function withServer<T>(use: (url: string) => Promise<T>): Promise<T> {
  const args = [
    "model",
    "serve",
    "--listen",
    "127.0.0.1:0",
    `latency=${values.latency}`,
    "output_tokens=20",
  ];
  const child = Bun.spawn([BINARY, ...args], { stdout: "pipe", stderr: "ignore" });
  try {
    const { value } = await child.stdout.getReader().read();
    return await use(new TextDecoder().decode(value).trim());
  } finally {
    child.kill();
    await child.exited;
  }
}

async function measure(
  label: string,
  url: string,
  more: Partial<OpenaiModelConfig>,
): Promise<TableRow> {
  const limits = {
    timeout: 600_000,
    connect_timeout: 10_000,
    retries: 5,
    deadline: 600_000,
    concurrency: inFlight,
  };
  const config = {
    kind: "openai",
    base_url: url,
    model: "x",
    headers: {},
    ...limits,
    ...more,
  } as OpenaiModelConfig;
  const loaders = {
    loadModule: async () => ({}),
    loadTemplate: async () => () => "",
    python: new PythonFiles(),
  };
  const model = (await planModel("m", config, loaders)).open(NO_RUN);
  const lags: number[] = [];
  let most = 0;
  let peak = 0;
  let due = performance.now() + LOOK_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    lags.push(Math.max(0, now - due));
    due = now + LOOK_MS;
    most = Math.max(most, model.replicas?.replicas[0]?.inFlight ?? 0);
    peak = Math.max(peak, process.memoryUsage.rss());
  }, LOOK_MS);
  const [startedAt, cpu] = [performance.now(), process.cpuUsage()];
  const count = inFlight * Number(values.rounds);
  let next = 0;
  let tries = 0;
  const askOneAfterTheOther = async (): Promise<void> => {
    while (next < count) {
      const seed = Number(values.seed) + next++;
      const messages = [{ role: "user" as const, content: `${PROMPT}${seed}` }];
      const { usage } = await model.chat(
        { messages, seed, sampling: {}, origin: null },
        new AbortController().signal,
      );
      tries += usage.requests;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, askOneAfterTheOther));
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(timer);
  lags.sort((a, b) => a - b);
  const lag = [quantile(lags, 0.5), quantile(lags, 0.99), quantile(lags, 1)] as const;
  return [
    label,
    most,
    count / seconds,
    ...lag,
    (user + system) / 1000 / count,
    peak / 2 ** 20,
    tries,
  ];
}
