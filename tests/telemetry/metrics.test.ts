// Metrics as Prometheus scrapes them and as a collector receives them: from source, from a compiled binary, and under Deno.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { serve } from "../../src/platform.ts";
import { createMetrics, type Observation } from "../../src/telemetry/metrics.ts";
import { findDeno } from "../parts/deno.ts";
import { withFolder } from "../parts/folder.ts";
import { ROOT } from "../parts/repository.ts";

const FIXTURE = join(import.meta.dir, "fixtures/observed.ts");
const SOURCE = { run: "coral", host: "host-1", version: "1.2.3" };
const IDLE: Observation = {
  roles: [],
  broker: null,
  refusedRequests: {},
  tasks: null,
  models: [],
  tokens: { prompt: 0, completion: 0 },
};

/** By name and labels, without those that all samples of a process share. */
function parseText(text: string): ReadonlyMap<string, number> {
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => {
      const [, name = "", labels = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const own = labels.replace(/,?matrix_run="coral",matrix_host="host-1"/, "").replace(/^,/, "");
      return [own === "" ? name : `${name}{${own}}`, Number(value)];
    }),
  );
}

interface Pushed {
  readonly resourceMetrics: readonly {
    readonly resource: {
      readonly attributes: readonly {
        readonly key: string;
        readonly value: { readonly stringValue: string };
      }[];
    };
    readonly scopeMetrics: readonly {
      readonly metrics: readonly {
        readonly name: string;
        readonly sum?: {
          readonly isMonotonic: boolean;
          readonly dataPoints: readonly { readonly asDouble: number; readonly asInt?: number }[];
        };
      }[];
    }[];
  }[];
}

async function withCollector<T>(
  use: (url: string, pushes: { path: string; body: Pushed }[]) => Promise<T>,
): Promise<T> {
  const pushes: { path: string; body: Pushed }[] = [];
  const fetch = async (request: Request) => {
    pushes.push({ path: new URL(request.url).pathname, body: (await request.json()) as Pushed });
    return Response.json({});
  };
  const server = serve({ hostname: "127.0.0.1", port: 0, fetch });
  try {
    return await use(server.url, pushes);
  } finally {
    await server.stop();
  }
}

async function runFixture(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect({ code: await child.exited, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

/** Every number of the fixture stands in its text, and in what it pushed at its end. */
async function checkFixture(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  await withCollector(async (url, pushes) => {
    const text = await runFixture(command, { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: url });
    const samples = parseText(text);
    expect(Object.fromEntries(samples)).toMatchObject({
      'target_info{service_name="matrix",service_version="1.2.3",service_instance_id="host-1"}': 1,
      'matrix_role_busy{role="student"}': 1,
      'matrix_role_queued{role="student"}': 2,
      'matrix_role_slots{role="student"}': 3,
      'matrix_role_slots{role="odd \\"role\\"\\\\"}': 1,
      'matrix_messages{state="held"}': 11,
      'matrix_messages{state="sent"}': 12,
      'matrix_messages{state="parked"}': 13,
      matrix_messages_redelivered_total: 14,
      matrix_messages_duplicate_total: 15,
      matrix_messages_refused_total: 16,
      matrix_messages_poisoned_total: 17,
      'matrix_model_in_flight{model="speaker",replica="http://a/v1"}': 51,
      'matrix_model_window{model="speaker",replica="http://a/v1"}': 52,
      'matrix_model_up{model="speaker",replica="http://a/v1"}': 1,
      'matrix_model_waiting{model="speaker"}': 53,
      'matrix_requests_refused_total{reason="token"}': 21,
      'matrix_requests_refused_total{reason="version"}': 22,
      matrix_tasks_in_flight: 31,
      'matrix_tasks_total{status="ok"}': 32,
      'matrix_tasks_total{status="failed"}': 33,
      'matrix_tasks_total{status="lost"}': 34,
      matrix_tasks_expected: 130,
      'matrix_tokens_total{type="input"}': 41,
      'matrix_tokens_total{type="output"}': 42,
    });
    const late =
      (samples.get("matrix_event_loop_lag_seconds_count") ?? 0) -
      (samples.get('matrix_event_loop_lag_seconds_bucket{le="0.1"}') ?? 0);
    expect(late).toBeGreaterThan(0);
    expect(samples.get("process_memory_usage")).toBeGreaterThan(2 ** 20);
    expect(text).toContain("# TYPE matrix_tasks_total counter\n");
    expect(text).toContain("# TYPE matrix_role_busy gauge\n");

    expect(pushes.map(({ path }) => path)).toEqual(["/v1/metrics"]);
    const [{ resource, scopeMetrics } = expect.unreachable()] =
      pushes[0]?.body.resourceMetrics ?? [];
    const attributes = Object.fromEntries(
      resource.attributes.map(({ key, value }) => [key, value.stringValue]),
    );
    expect(attributes).toMatchObject({
      "service.name": "matrix",
      "service.instance.id": "host-1",
      "matrix.run": "coral",
    });
    const tasks = scopeMetrics[0]?.metrics.find(({ name }) => name === "matrix.tasks")?.sum;
    expect(tasks?.isMonotonic).toBe(true);
    expect(tasks?.dataPoints.map(({ asDouble, asInt }) => asInt ?? asDouble)).toEqual([32, 33, 34]);
  });
}

describe("metrics", () => {
  test("hold every number of a process, rendered for Prometheus and pushed to a collector", () =>
    checkFixture([process.execPath, FIXTURE]));

  test("are the same in a compiled binary", () =>
    withFolder(async (folder) => {
      const binary = join(folder, "observed");
      const build = [
        process.execPath,
        "build",
        FIXTURE,
        "--compile",
        "--minify",
        "--bytecode",
        "--format=esm",
        "--outfile",
        binary,
      ];
      expect(Bun.spawnSync(build, { cwd: ROOT, stdout: "ignore" }).exitCode).toBe(0);
      await checkFixture([binary]);
    }));

  test("are the same under Deno", () =>
    withFolder(async (folder) => {
      const deno = findDeno();
      if (deno === null)
        return console.log("skipped: the deno package has no binary for this machine");
      const env = { DENO_DIR: join(folder, "cache"), DENO_NO_UPDATE_CHECK: "1" };
      return checkFixture([deno, "run", "-A", "--config", join(ROOT, "deno.json"), FIXTURE], env);
    }));

  test("of a host say nothing of tasks, which the driver counts", async () => {
    const metrics = await createMetrics({}, SOURCE, () => IDLE);
    const samples = parseText(await metrics.render());
    await metrics.close();
    expect([...samples.keys()].filter((name) => /task|messages|role/.test(name))).toEqual([]);
    expect(samples.get('matrix_tokens_total{type="input"}')).toBe(0);
  });

  test("are read afresh at each scrape, by several at once, and not at all before the first", async () => {
    let scrapes = 0;
    const observe = () => ({ ...IDLE, tokens: { prompt: ++scrapes, completion: 0 } });
    const metrics = await createMetrics({}, SOURCE, observe);
    expect(scrapes).toBe(0);
    const texts = await Promise.all([metrics.render(), metrics.render(), metrics.render()]);
    expect(scrapes).toBe(3);
    expect(
      texts.every((text) => (parseText(text).get('matrix_tokens_total{type="input"}') ?? 0) > 0),
    ).toBe(true);
    expect(parseText(await metrics.render()).get('matrix_tokens_total{type="input"}')).toBe(4);
    await metrics.close();
  });

  test("stay bounded, however many labels something makes up", async () => {
    const refusedRequests = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`reason-${i}`, 1]),
    );
    const metrics = await createMetrics({}, SOURCE, () => ({ ...IDLE, refusedRequests }));
    const text = await metrics.render();
    expect(
      text.split("\n").filter((line) => line.startsWith("matrix_requests_refused_total{")),
    ).toHaveLength(1000);
    await metrics.close();
  });

  test("are pushed only where the variables say so", async () => {
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" };
    for (const env of [
      {},
      { ...endpoint, OTEL_METRICS_EXPORTER: "none" },
      { ...endpoint, OTEL_SDK_DISABLED: "true" },
    ]) {
      let observed = 0;
      const metrics = await createMetrics(
        { ...env, OTEL_METRIC_EXPORT_INTERVAL: "1" },
        SOURCE,
        () => {
          observed++;
          return IDLE;
        },
      );
      await metrics.render();
      await metrics.close();
      expect(observed).toBe(1);
    }
  });

  test("that nobody receives do not keep a process from ending", async () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
      OTEL_EXPORTER_OTLP_TIMEOUT: "300",
    };
    const child = Bun.spawn([process.execPath, FIXTURE], {
      env: { ...process.env, ...env },
      stdout: "pipe",
      stderr: "ignore",
    });
    const text = await new Response(child.stdout).text();
    expect(await child.exited).toBe(0);
    expect(text).toContain("matrix_tasks_expected");
  });
});
