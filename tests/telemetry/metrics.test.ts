// Metrics as Prometheus scrapes them and as a collector receives them: every number under its name
// and its labels.

import { expect, test } from "bun:test";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { METRIC } from "../../src/telemetry/names.ts";
import type { Observation } from "../../src/telemetry/observed-metrics.ts";
import { Recorder } from "../../src/telemetry/recorder.ts";
import { timersLeftBy, withTimers } from "../parts/timers.ts";
import { until } from "../parts/until.ts";
import { attributesOf, withCollector } from "./collector.ts";
import { parseSamples } from "./samples.ts";

const SOURCE = { run: "coral", host: "host-1", version: "1.2.3" };
const IDLE: Observation = {
  roles: [],
  broker: null,
  refusedRequests: {},
  tasks: null,
  models: [],
  spent: null,
};
const BUSY: Observation = {
  roles: [
    { name: "student", busy: 1, queued: 2, slots: 3 },
    { name: 'odd "role"\\', busy: 0, queued: 4, slots: 5 },
  ],
  broker: {
    held: 11,
    sent: 12,
    parked: 13,
    redelivered: 14,
    duplicates: 15,
    refused: 16,
    poisoned: 17,
  },
  refusedRequests: { token: 21, version: 22 },
  tasks: { inFlight: 31, ok: 32, failed: 33, lost: 34, expected: 130 },
  models: [
    {
      model: "speaker",
      waiting: 53,
      replicas: [
        { replica: "http://a/v1", isUp: true, inFlight: 51, window: 52 },
        { replica: "http://b/v1", isUp: false, inFlight: 0, window: 1 },
      ],
    },
    { model: "judge", waiting: 0, replicas: [] },
  ],
  spent: { prompt_tokens: 41, completion_tokens: 42, cost: 1.5 },
};
const EXPECTED = {
  'matrix_role_busy{role="student"}': 1,
  'matrix_role_queued{role="student"}': 2,
  'matrix_role_slots{role="student"}': 3,
  'matrix_role_busy{role="odd \\"role\\"\\\\"}': 0,
  'matrix_role_queued{role="odd \\"role\\"\\\\"}': 4,
  'matrix_role_slots{role="odd \\"role\\"\\\\"}': 5,
  'matrix_messages{state="held"}': 11,
  'matrix_messages{state="sent"}': 12,
  'matrix_messages{state="parked"}': 13,
  matrix_messages_redelivered_total: 14,
  matrix_messages_duplicate_total: 15,
  matrix_messages_refused_total: 16,
  matrix_messages_poisoned_total: 17,
  'matrix_requests_refused_total{reason="token"}': 21,
  'matrix_requests_refused_total{reason="version"}': 22,
  'matrix_tasks_total{status="ok"}': 32,
  'matrix_tasks_total{status="failed"}': 33,
  'matrix_tasks_total{status="lost"}': 34,
  matrix_tasks_in_flight: 31,
  matrix_tasks_expected: 130,
  'matrix_model_in_flight{model="speaker",replica="http://a/v1"}': 51,
  'matrix_model_window{model="speaker",replica="http://a/v1"}': 52,
  'matrix_model_up{model="speaker",replica="http://a/v1"}': 1,
  'matrix_model_in_flight{model="speaker",replica="http://b/v1"}': 0,
  'matrix_model_window{model="speaker",replica="http://b/v1"}': 1,
  'matrix_model_up{model="speaker",replica="http://b/v1"}': 0,
  'matrix_model_waiting{model="speaker"}': 53,
  'matrix_model_waiting{model="judge"}': 0,
  'matrix_run_tokens_total{type="input"}': 41,
  'matrix_run_tokens_total{type="output"}': 42,
  matrix_run_cost_total: 1.5,
};
const DESCRIPTIONS: Readonly<Record<string, readonly [kind: string, help: string]>> = {
  matrix_role_busy: ["gauge", "Steps that run."],
  matrix_role_queued: ["gauge", "Steps that wait for a slot."],
  matrix_role_slots: ["gauge", "Steps that can run at once."],
  matrix_messages: ["gauge", "Messages in custody."],
  matrix_messages_redelivered_total: ["counter", "Messages sent again because their host died."],
  matrix_messages_duplicate_total: ["counter", "Messages dropped because they had arrived before."],
  matrix_messages_refused_total: ["counter", "Messages refused because the host was full."],
  matrix_messages_poisoned_total: ["counter", "Tasks given up because hosts died with them."],
  matrix_requests_refused_total: [
    "counter",
    "Requests refused before anything in them was believed.",
  ],
  matrix_tasks_total: ["counter", "Tasks recorded."],
  matrix_tasks_in_flight: ["gauge", "Tasks admitted and not yet recorded."],
  matrix_tasks_expected: ["gauge", "Records that the finished run will have."],
  matrix_model_in_flight: ["gauge", "Requests that a replica has."],
  matrix_model_window: ["gauge", "Requests that a replica gets at once, found by use."],
  matrix_model_up: ["gauge", "1 while a replica is there."],
  matrix_model_waiting: ["gauge", "Requests that wait for a replica with room."],
  matrix_run_tokens_total: ["counter", "Tokens that the run has used, over all starts and hosts."],
  matrix_run_cost_total: ["counter", "Money that the run has spent, over all starts and hosts."],
  process_memory_usage: ["gauge", "Resident memory."],
  matrix_event_loop_lag_seconds: ["histogram", "How late timers fire."],
};

test("every number has its name, its labels, its kind and its description", async () => {
  const metrics = await createMetrics({}, SOURCE, () => BUSY);
  await until(async () => (await metrics.render()).includes("lag_seconds_count"), "lag is sampled");
  const text = await metrics.render();
  await metrics.close();
  const samples = parseSamples(text);
  const own = [...samples].filter(([name]) => !/lag_seconds|memory|target_info/.test(name));
  expect(Object.fromEntries(own)).toEqual(EXPECTED);
  expect(samples.get("process_memory_usage")).toBeGreaterThan(2 ** 20);
  for (const [name, [kind, help]] of Object.entries(DESCRIPTIONS)) {
    expect(text).toContain(`# HELP ${name} ${help}\n`);
    expect(text).toContain(`# TYPE ${name} ${kind}\n`);
  }
  expect(text.match(/^# TYPE (?!target_info)/gm)).toHaveLength(Object.keys(DESCRIPTIONS).length);
  const bounds = [...samples.keys()].flatMap(
    (name) => /^matrix_event_loop_lag_seconds_bucket\{le="(.*)"\}$/.exec(name)?.[1] ?? [],
  );
  expect(bounds.join(" ")).toBe("0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf");
});

test("what was recorded before the first scrape is scraped, with its buckets, and is pushed", () =>
  withCollector(async (env, pushes) => {
    const recorder = new Recorder();
    recorder.counter(METRIC.tokens, { model: "m", type: "cached" }).add(7);
    const hop = recorder.histogram(METRIC.hopDuration, { role: "a", code: "ok" });
    for (const seconds of [0.001, 0.02, 5000]) hop.record(seconds);
    recorder
      .histogram(METRIC.operationDuration, { "gen_ai.request.model": "x", "server.port": 80 })
      .record(0.5);
    const metrics = await createMetrics(env, SOURCE, () => IDLE, recorder);
    const text = await metrics.render();
    const samples = parseSamples(text);
    const name = "matrix_hop_duration_seconds";
    const upTo = (bound: string) => samples.get(`${name}_bucket{role="a",code="ok",le="${bound}"}`);
    expect(samples.get('matrix_tokens_total{model="m",type="cached"}')).toBe(7);
    expect([upTo("0.001"), upTo("0.01"), upTo("0.025"), upTo("3600"), upTo("+Inf")]).toEqual([
      1, 1, 2, 2, 3,
    ]);
    expect(samples.get(`${name}_sum{role="a",code="ok"}`)).toBe(5000.021);
    expect(samples.get(`${name}_count{role="a",code="ok"}`)).toBe(3);
    const labels = 'gen_ai_request_model="x",server_port="80"';
    expect(samples.get(`gen_ai_client_operation_duration_count{${labels}}`)).toBe(1);
    expect(text).toContain("# TYPE matrix_tokens_total counter\n");
    expect(text).toContain(`# TYPE ${name} histogram\n`);
    expect(text).toContain(`# HELP ${name} Time of each step in its agent.\n`);
    await metrics.close();
    const pushed = JSON.stringify(pushes.at(-1)?.body);
    expect(pushed).toContain('"name":"matrix.hop.duration_seconds"');
    expect(pushed).toContain('"bucketCounts":[1,0,0,0,1,');
    expect(pushed).toContain('"name":"matrix.tokens"');
  }));

test("a timer that is 300 ms late is counted, in seconds", async () => {
  const metrics = await createMetrics({}, SOURCE, () => IDLE);
  await metrics.render();
  const held = performance.now() + 300;
  while (performance.now() < held);
  const lateOnes = async () => {
    const samples = parseSamples(await metrics.render());
    const name = "matrix_event_loop_lag_seconds";
    const upTo = (bound: string) => samples.get(`${name}_bucket{le="${bound}"}`) ?? 0;
    return upTo("10") - upTo("0.1");
  };
  await until(async () => (await lateOnes()) > 0, "the late timer is counted");
  await metrics.close();
});

test("an idle host says nothing of roles, messages, tasks and models", async () => {
  const metrics = await createMetrics({}, SOURCE, () => IDLE);
  const samples = parseSamples(await metrics.render());
  await metrics.close();
  const own = [...samples.keys()].filter((name) => !/lag_seconds|memory|target_info/.test(name));
  expect(own).toEqual([]);
});

test("a process is observed at each scrape, and not before the first", async () => {
  let scrapes = 0;
  const spent = { prompt_tokens: 0, completion_tokens: 0 };
  const observe = () => ({ ...IDLE, spent: { ...spent, cost: ++scrapes } });
  const metrics = await createMetrics({}, SOURCE, observe);
  expect(scrapes).toBe(0);
  const texts = await Promise.all([metrics.render(), metrics.render(), metrics.render()]);
  expect(scrapes).toBe(3);
  for (const text of texts)
    expect(parseSamples(text).get("matrix_run_cost_total") ?? 0).toBeGreaterThan(0);
  expect(parseSamples(await metrics.render()).get("matrix_run_cost_total")).toBe(4);
  await metrics.close();
});

test("one metric has a thousand series at most", async () => {
  const refusedRequests = Object.fromEntries(
    Array.from({ length: 5000 }, (_, i) => [`reason-${i}`, 1]),
  );
  const metrics = await createMetrics({}, SOURCE, () => ({ ...IDLE, refusedRequests }));
  const text = await metrics.render();
  await metrics.close();
  expect(
    text.split("\n").filter((line) => line.startsWith("matrix_requests_refused_total{")),
  ).toHaveLength(1000);
});

test("metrics are pushed a last time at the end, with the process that they are of", () =>
  withCollector(async (env, pushes) => {
    const metrics = await createMetrics(env, SOURCE, () => BUSY);
    await metrics.close();
    expect(pushes.map(({ path }) => path)).toEqual(["/v1/metrics"]);
    const resources = (pushes[0]?.body["resourceMetrics"] ?? []) as never[] as {
      resource: Parameters<typeof attributesOf>[0];
      scopeMetrics: {
        scope: { name: string; version: string };
        metrics: {
          name: string;
          unit: string;
          sum?: { isMonotonic: boolean; dataPoints: { asInt?: number; asDouble?: number }[] };
        }[];
      }[];
    }[];
    const [pushed = expect.unreachable()] = resources;
    expect(attributesOf(pushed.resource)).toMatchObject({
      "service.name": "matrix",
      "service.version": "1.2.3",
      "service.instance.id": "host-1",
      "matrix.run": "coral",
      "matrix.host": "host-1",
    });
    const [{ scope, metrics: all } = expect.unreachable()] = pushed.scopeMetrics;
    expect(scope).toMatchObject({ name: "matrix", version: "1.2.3" });
    const tasks = all.find(({ name }) => name === "matrix.tasks");
    expect(tasks?.sum?.isMonotonic).toBe(true);
    expect(tasks?.sum?.dataPoints.map(({ asInt, asDouble }) => asInt ?? asDouble)).toEqual([
      32, 33, 34,
    ]);
    const units = Object.fromEntries(all.map(({ name, unit }) => [name, unit]));
    expect(units).toMatchObject({
      "matrix.role.busy": "{step}",
      "matrix.messages": "{message}",
      "matrix.messages.refused": "{message}",
      "matrix.requests.refused": "{request}",
      "matrix.tasks": "{task}",
      "matrix.tasks.in_flight": "{task}",
      "matrix.model.in_flight": "{request}",
      "matrix.model.up": "1",
      "matrix.model.waiting": "{request}",
      "matrix.run.tokens": "{token}",
      "matrix.run.cost": "1",
      "process.memory.usage": "By",
    });
  }));

test("metrics are pushed at the interval, even when the time-out is longer", () =>
  withCollector(async (env, pushes) => {
    const often = { ...env, OTEL_METRIC_EXPORT_INTERVAL: "20", OTEL_METRIC_EXPORT_TIMEOUT: "5000" };
    const metrics = await createMetrics(often, SOURCE, () => IDLE);
    await until(() => pushes.length >= 2, "metrics were pushed twice");
    await metrics.close();
  }));

test("metrics that were never scraped nor pushed end without having been loaded", async () => {
  let observed = 0;
  const metrics = await createMetrics({}, SOURCE, () => {
    observed++;
    return IDLE;
  });
  await metrics.close();
  expect(observed).toBe(0);
});

test("metrics are pushed only where the variables say so", async () => {
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

test("metrics set no timer before they are scraped, and leave none behind", async () => {
  const left = await timersLeftBy(async ({ waiting }) => {
    const metrics = await createMetrics({}, SOURCE, () => IDLE);
    expect(waiting()).toEqual([]);
    await metrics.render();
    expect(waiting()).toEqual([100]);
    await metrics.close();
  });
  expect(left).toEqual([]);
});

test("a timer that is late makes the next one no later", () =>
  withTimers(async ({ ring }) => {
    const metrics = await createMetrics({}, SOURCE, () => IDLE);
    await metrics.render();
    const held = performance.now() + 250;
    while (performance.now() < held);
    for (let count = 0; count < 3; count++) ring(100);
    const samples = parseSamples(await metrics.render());
    const upTo = (bound: string) =>
      samples.get(`matrix_event_loop_lag_seconds_bucket{le="${bound}"}`) ?? 0;
    expect(upTo("10") - upTo("0.1")).toBe(1);
    await metrics.close();
  }));

test("what was recorded is pushed with the time from which it counts, and the time of the push", () =>
  withCollector(async (env, pushes) => {
    const begun = Date.now();
    const recorder = new Recorder();
    recorder.counter(METRIC.tokens, { model: "m", type: "cached" }).add(7);
    const metrics = await createMetrics(env, SOURCE, () => IDLE, recorder);
    await metrics.close();
    const pushed = JSON.stringify(pushes.at(-1)?.body);
    const point = pushed.slice(pushed.indexOf('"name":"matrix.tokens"'));
    const timeOf = (field: string) =>
      Number(new RegExp(`"${field}":"(\\d+)\\d{6}"`).exec(point)?.[1]);
    expect(timeOf("startTimeUnixNano")).toBeWithin(begun - 1000, Date.now() + 1);
    expect(timeOf("timeUnixNano")).toBeWithin(begun, Date.now() + 1);
  }));
