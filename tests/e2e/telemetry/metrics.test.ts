// Metrics of a process: from source, from a compiled binary, and under Deno.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { serve } from "../../../src/platform.ts";
import { findDeno } from "../../parts/deno.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";
import { parseSamples } from "../../telemetry/samples.ts";

test("metrics from source hold every number, for Prometheus and for a collector", () =>
  checkFixture([process.execPath, FIXTURE]));

test("metrics of a compiled binary hold every number", () =>
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

test("metrics under Deno hold every number", () =>
  withFolder(async (folder) => {
    const deno = findDeno();
    if (deno === null)
      return console.log("skipped: the deno package has no binary for this machine");
    const env = { DENO_DIR: join(folder, "cache"), DENO_NO_UPDATE_CHECK: "1" };
    return checkFixture([deno, "run", "-A", "--config", join(ROOT, "deno.json"), FIXTURE], env);
  }));

test("a process ends although the collector of its metrics is down", async () => {
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
    const samples = parseSamples(text);
    expect(Object.fromEntries(samples)).toMatchObject({
      'target_info{service_instance_id="host-1",service_name="matrix",service_version="1.2.3"}': 1,
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
      'matrix_run_tokens_total{type="input"}': 41,
      'matrix_run_tokens_total{type="output"}': 42,
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

const FIXTURE = join(import.meta.dir, "fixtures/observed.ts");
