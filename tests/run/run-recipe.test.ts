// A run as a function: a program prepares a recipe, plays it, and has its summary and its records.

import { expect, test } from "bun:test";
import { readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { machineId, startTimeOf } from "../../src/process.ts";
import { writeDriverFile } from "../../src/records/driver-file.ts";
import { readManifest } from "../../src/records/manifest.ts";
import { prepare } from "../../src/run/prepare.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import type { RunContext } from "../../src/run/settings.ts";
import type { Snapshot } from "../../src/run/snapshot.ts";
import type { Summary } from "../../src/run/summary.ts";
import type { Live, Session } from "../../src/view/api.ts";
import { DockerEngine } from "../parts/docker-engine.ts";
import { withFolder } from "../parts/folder.ts";
import { comparable, readRecords } from "../parts/records.ts";
import { until } from "../parts/until.ts";
import { prepareSmallRun, type SmallRun, writeSmallRun } from "./small-run.ts";

test("a program prepares a recipe, runs it, and has its summary and its records", () =>
  withFolder(async (folder) => {
    // recipe.toml, rows.jsonl and grade.ts in the folder: see small-run.ts.
    const recipe = await writeSmallRun(folder, { rows: 3 });
    const plan = await prepare(recipe, { env: {}, cwd: folder });
    const directory = join(folder, "run");

    const summary = await runRecipe(plan, { directory });

    expect(summary).toMatchObject({
      ...{ name: "small", directory, state: "complete", simulated: true },
      ...{ expected: 3, ok: 3, failed: 0, lost: 0, recorded_before: 0 },
      stop_reasons: { completed: 3 },
      score: { scored: 3, mean: 2 / 3 },
      error: null,
    });
    const records = await readRecords(directory);
    expect(records.map(({ id }) => id).sort()).toEqual(["0", "1", "2"]);
    for (const { row, history, score, status } of records) {
      expect(status).toBe("ok");
      expect(history.map(({ role, host }) => [role, host])).toEqual([
        ["student", "driver"],
        ["grader", "driver"],
      ]);
      expect(score).toBe(row["n"] === 1 ? 0 : 1);
    }
  }));

/** Runs a small run in `folder/run`. */
async function play(folder: string, small: SmallRun = {}, context: RunContext = {}, more = {}) {
  const plan = await prepareSmallRun(folder, small);
  return runRecipe(plan, { directory: join(folder, "run"), ...more }, context);
}

/** A grader that waits until the test opens its gate, by the name of the test. */
const gateOf = (name: string) => {
  const gate = Promise.withResolvers<void>();
  const arrived: number[] = [];
  Object.assign(globalThis, { [name]: (n: number) => (arrived.push(n) > 0 ? gate.promise : null) });
  const files = {
    "grade.ts": `export default async ({ row }) => { await globalThis[${JSON.stringify(name)}](row.n); return { score: 1 }; };\n`,
  };
  return { files, arrived, open: gate.resolve };
};

const without = ({ elapsed_ms: _, directory: __, ...summary }: Summary) => summary;

test("the summary counts hops, usage, cost and spending, and has no bytes of the wire in one process", () =>
  withFolder(async (folder) => {
    const overrides = ["models.m.price.prompt=1000", "models.m.price.completion=2000"];
    const begunAt = performance.now();
    const summary = await play(folder, { rows: 2, overrides });
    const tookMs = performance.now() - begunAt;
    const records = await readRecords(join(folder, "run"));
    const sum = (of: (record: (typeof records)[0]) => number) =>
      records.reduce((total, record) => total + of(record), 0);
    const usage = {
      requests: 2,
      prompt_tokens: sum((record) => record.usage.prompt_tokens),
      completion_tokens: sum((record) => record.usage.completion_tokens),
    };
    expect(usage.prompt_tokens).toBeGreaterThan(0);
    const cost = (usage.prompt_tokens * 1000 + usage.completion_tokens * 2000) / 1e6;
    expect(summary.cost).toBeCloseTo(cost, 9);
    expect(summary.spent.cost).toBeCloseTo(cost, 9);
    expect(without(summary)).toEqual({
      ...{ name: "small", state: "complete", stopped: null, simulated: true, replayed: false },
      ...{ expected: 2, ok: 2, failed: 0, lost: 0, recorded_before: 0, abandoned: 0 },
      ...{ retried: null, all_errors: {}, asked: null },
      ...{ wire_bytes: null, hops: 4, usage, budget: null, errors: {}, error: null },
      credentials: { looked: 2, records: 0, rules: {} },
      cost: summary.cost,
      spent: { ...usage, cost: summary.spent.cost },
      stop_reasons: { completed: 2 },
      score: { scored: 2, mean: 0.5 },
    });
    expect(summary.elapsed_ms).toBe(Math.round(summary.elapsed_ms));
    expect(summary.elapsed_ms).toBeLessThanOrEqual(Math.ceil(tookMs));
  }));

test("a run with the same seed makes the same records, and each trial is its own task", () =>
  withFolder(async (folder) => {
    const overrides = ["run.trials=2"];
    const [first, second] = [join(folder, "a"), join(folder, "b")];
    for (const one of [first, second]) {
      const { expected, ok } = await play(one, { rows: 3, overrides });
      expect([expected, ok]).toEqual([6, 6]);
    }
    const recordsOf = async (one: string) => comparable(await readRecords(join(one, "run")));
    expect(await recordsOf(second)).toEqual(await recordsOf(first));
  }));

test("a run directory says what the run is, and has its recipe and a log", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 2, overrides: ["run.seed=7"] });
    const manifest = await readManifest(join(folder, "run"));
    expect(manifest).toMatchObject({
      ...{ name: "small", state: "complete", expected: 2, ok: 2, failed: 0, lost: 0 },
      ...{ seed: 7, trials: 1, simulated: true, dataset: { rows: 2 } },
    });
    expect(Object.keys(manifest?.hashes ?? {})).toEqual([join(folder, "grade.ts")]);
    expect((await readdir(join(folder, "run"))).sort()).toEqual(
      ["index", "lock.1", "logs", "manifest.json", "recipe.toml", "trajectories.jsonl"].sort(),
    );
    const log = await readFile(join(folder, "run", "logs", "driver.log"), "utf8");
    expect(log).toMatch(/begins .*run=small expected=2 recorded=0 runtime=bun/);
    expect(log).toMatch(/complete ok=2 failed=0 lost=0 abandoned=0/);
  }));

test("a run that is drained finishes the tasks in flight, and goes on where it stood", () =>
  withFolder(async (folder) => {
    const gate = gateOf("drained");
    const small: SmallRun = { rows: 5, files: gate.files, overrides: ["run.concurrency=2"] };
    const drain = new AbortController();
    const playing = play(folder, small, { drain: drain.signal });
    await until(() => gate.arrived.length === 2, "two tasks are in flight");
    drain.abort();
    gate.open();
    const stopped = await playing;
    expect(stopped).toMatchObject({
      state: "stopped",
      expected: 5,
      ok: 2,
      abandoned: 0,
      error: null,
    });
    expect(await readManifest(join(folder, "run"))).toMatchObject({ state: "stopped", ok: 2 });
    const done = await play(folder, small);
    expect(done).toMatchObject({ state: "complete", ok: 5, recorded_before: 2, hops: 6 });
    // The summary speaks of the records of both starts.
    expect(done).toMatchObject({
      stop_reasons: { completed: 5 },
      usage: { requests: 5 },
      score: { scored: 5, mean: 1 },
    });
    const records = await readRecords(join(folder, "run"));
    expect(new Set(records.map(({ id }) => id)).size).toBe(5);
    expect(records).toHaveLength(5);
    const log = await readFile(join(folder, "run", "logs", "driver.log"), "utf8");
    expect(log).toMatch(/goes on .*expected=5 recorded=2/);
  }));

test("a run that is halted abandons the tasks in flight, which start again next time", () =>
  withFolder(async (folder) => {
    const gate = gateOf("halted");
    const halt = new AbortController();
    const small: SmallRun = { rows: 3, files: gate.files };
    const playing = play(folder, small, { halt: halt.signal });
    await until(() => gate.arrived.length === 3, "all tasks are in flight");
    halt.abort();
    expect(await playing).toMatchObject({ state: "stopped", ok: 0, abandoned: 3, error: null });
    gate.open();
    expect(await play(folder, small)).toMatchObject({ state: "complete", ok: 3, abandoned: 0 });
  }));

test("a run that is drained halts when run.grace is over", () =>
  withFolder(async (folder) => {
    const gate = gateOf("graced");
    const drain = new AbortController();
    const said: string[] = [];
    const display = () => ({ say: (line: string) => void said.push(line), stop: () => undefined });
    const small: SmallRun = { rows: 1, files: gate.files, overrides: ['run.grace="20ms"'] };
    const playing = play(folder, small, { drain: drain.signal, display });
    await until(() => gate.arrived.length === 1, "the task is in flight");
    drain.abort();
    expect(await playing).toMatchObject({ state: "stopped", ok: 0, abandoned: 1 });
    gate.open();
    expect(said.join("\n")).toContain(
      "stopping: tasks in flight may finish within 0.02 s; a second signal stops at once",
    );
  }));

test("a run stops when its budget is used up, and a larger budget lets it go on", () =>
  withFolder(async (folder) => {
    const small: SmallRun = { rows: 30 };
    const overrides = (tokens: number) => [`run.budget.tokens=${tokens}`, "run.concurrency=1"];
    const stopped = await play(folder, { ...small, overrides: overrides(100) });
    expect(stopped).toMatchObject({ state: "stopped", budget: { tokens: 100 }, error: null });
    const tokens = stopped.spent.prompt_tokens + stopped.spent.completion_tokens;
    expect(tokens).toBeGreaterThanOrEqual(100);
    expect(stopped.ok).toBeLessThan(30);
    const log = await readFile(join(folder, "run", "logs", "driver.log"), "utf8");
    expect(log).toContain(`run.budget is used up (${tokens} of 100 tokens)`);
    const done = await play(folder, { ...small, overrides: overrides(1e6) });
    expect(done).toMatchObject({ state: "complete", ok: 30, recorded_before: stopped.ok });
    expect(done.spent.requests).toBe(30);
  }));

test("fresh moves an earlier run aside and begins anew", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 2 });
    const again = await play(folder, { rows: 3 }, {}, { fresh: true });
    expect(again).toMatchObject({ expected: 3, ok: 3, recorded_before: 0, hops: 6 });
    expect(await readRecords(join(folder, "run.1"))).toHaveLength(2);
  }));

test("another recipe in the same directory is refused, and nothing there changes", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 2 });
    const before = await readFile(join(folder, "run", "manifest.json"), "utf8");
    const files = { "grade.ts": "export default () => ({ score: 0.25 });\n" };
    await expect(play(folder, { rows: 2, files })).rejects.toMatchObject({ code: "run_refused" });
    expect(await readFile(join(folder, "run", "manifest.json"), "utf8")).toBe(before);
  }));

test("more trials extend a run that was complete", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 2 });
    const more = await play(folder, { rows: 2, overrides: ["run.trials=3"] });
    expect(more).toMatchObject({ expected: 6, ok: 6, recorded_before: 2, state: "complete" });
  }));

test("a torn last line is cut and its task runs again", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 3 });
    const path = join(folder, "run", "trajectories.jsonl");
    const { length } = await readFile(path);
    await truncate(path, length - 10);
    const again = await play(folder, { rows: 3 });
    expect(again).toMatchObject({ ok: 3, recorded_before: 2, state: "complete" });
    const log = await readFile(join(folder, "run", "logs", "driver.log"), "utf8");
    expect(log).toMatch(/warning +cut a torn last line: its task runs again bytes=\d+/);
  }));

test("an agent that throws fails its own row, with the reason in summary, record and log", () =>
  withFolder(async (folder) => {
    const files = {
      "grade.ts": `export default ({ row }) => { if (row.n === 1) throw new Error("no marks"); return { score: 1 }; };\n`,
    };
    const summary = await play(folder, { rows: 3, files });
    expect(summary).toMatchObject({
      ...{ state: "complete", ok: 2, failed: 1, lost: 0 },
      errors: { "agent_failed in grader": 1 },
      stop_reasons: { completed: 2, error: 1 },
      score: { scored: 2, mean: 1 },
    });
    const log = await readFile(join(folder, "run", "logs", "driver.log"), "utf8");
    expect(log).toMatch(/failed: agent_failed: no marks row=1 trial=0 role=grader hop=1/);
  }));

test("a run whose model denies every request stops early, unless a task of it has succeeded before", () =>
  withFolder(async (folder) => {
    let status = 401;
    const content = { choices: [{ message: { role: "assistant", content: "4" } }] };
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => Response.json(status === 200 ? content : { error: "no" }, { status }),
    });
    const url = `http://127.0.0.1:${server.port}/v1`;
    const served = `models.m={kind="openai", model="x", base_url="${url}"}`;
    const small = { rows: 1, overrides: [served] };
    expect(await play(folder, small)).toMatchObject({
      ...{ state: "stopped", ok: 0, failed: 0, abandoned: 1 },
    });
    status = 200;
    expect(await play(folder, small)).toMatchObject({ state: "complete", ok: 1 });
    status = 401;
    const more = { rows: 1, overrides: [served, "run.trials=2"] };
    expect(await play(folder, more)).toMatchObject({ state: "complete", ok: 1, failed: 1 });
    await server.stop(true);
  }));

test("a run without scores has none in its summary", () =>
  withFolder(async (folder) => {
    const files = { "grade.ts": "export default () => ({ fine: true });\n" };
    expect((await play(folder, { rows: 2, files })).score).toBeNull();
  }));

test("a display is given snapshots of the run, and is stopped at its end", () =>
  withFolder(async (folder) => {
    const gate = gateOf("displayed");
    let look: () => Snapshot = () => {
      throw new Error("no display was opened");
    };
    let stops = 0;
    const small: SmallRun = { rows: 3, files: gate.files, overrides: ["run.concurrency=2"] };
    const begunAt = performance.now();
    const playing = play(folder, small, {
      display: (snapshot) => {
        look = snapshot;
        return { say: () => undefined, stop: () => void stops++ };
      },
    });
    await until(() => gate.arrived.length === 2, "two tasks are in flight");
    const during = look();
    expect(during.elapsedMs).toBeLessThanOrEqual(performance.now() - begunAt);
    expect(during).toMatchObject({
      ...{ name: "small", simulated: true, expected: 3, ok: 0, failed: 0, lost: 0 },
      ...{ before: 0, inFlight: 2, cost: null, stopping: false, waitedFor: [] },
      roles: [
        { name: "student", queued: 0, busy: 0 },
        { name: "grader", queued: 0, busy: 2 },
      ],
    });
    expect(stops).toBe(0);
    gate.open();
    const summary = await playing;
    expect(stops).toBe(1);
    const after = look();
    expect(after).toMatchObject({
      ...{ ok: 3, inFlight: 0, promptTokens: summary.usage.prompt_tokens },
      completionTokens: summary.usage.completion_tokens,
    });
    expect(after.elapsedMs).toBeGreaterThan(during.elapsedMs);
  }));

test("a display that draws while a run is being opened shows no task in flight and no role", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 3 });
    const path = join(folder, "run", "trajectories.jsonl");
    await truncate(path, (await readFile(path)).length - 10);
    let early: Snapshot | null = null;
    // The warning of the torn line comes before anything plays.
    const display = (snapshot: () => Snapshot) => ({
      say: () => {
        early ??= snapshot();
      },
      stop: () => undefined,
    });
    await play(folder, { rows: 3 }, { display });
    expect(early).toMatchObject({ ok: 2, before: 2, inFlight: 0, roles: [], stopping: false });
  }));

test("metrics are served while the run goes on, and the display says where", () =>
  withFolder(async (folder) => {
    const gate = gateOf("measured");
    const said: string[] = [];
    const display = () => ({ say: (line: string) => void said.push(line), stop: () => undefined });
    const playing = play(
      folder,
      { rows: 2, files: gate.files },
      { display },
      { metrics: { hostname: "127.0.0.1", port: 0 } },
    );
    await until(() => gate.arrived.length === 2, "all tasks are in flight");
    const url = /^metrics at (\S+)$/.exec(said[0] ?? "")?.[1] ?? "";
    const text = await (await fetch(url)).text();
    expect(text).toMatch(/matrix_tasks_in_flight\S* 2/);
    expect(text).toMatch(/matrix_role_busy\{[^}]*role="grader"[^}]*\} 2/);
    gate.open();
    await playing;
    await expect(fetch(url)).rejects.toThrow();
  }));

test("the web page of the run is served while it goes on, with what the driver knows", () =>
  withFolder(async (folder) => {
    const gate = gateOf("viewed");
    const said: string[] = [];
    const display = () => ({ say: (line: string) => void said.push(line), stop: () => undefined });
    const playing = play(
      folder,
      { rows: 2, files: gate.files },
      { display },
      { view: { hostname: "127.0.0.1", port: 0 } },
    );
    await until(() => gate.arrived.length === 2, "all tasks are in flight");
    const url = /^watch the run at (\S+)$/.exec(said[0] ?? "")?.[1] ?? "";
    const session = (await (await fetch(`${url}api/session`)).json()) as Session;
    expect([session.from, session.only?.startsWith("run~")]).toEqual(["driver", true]);
    const live = await fetch(`${url}api/runs/${session.only}/live`);
    const reader = (live.body as ReadableStream<Uint8Array>).getReader();
    const text = Buffer.from((await reader.read()).value ?? []).toString();
    expect(text).toStartWith("event: live\n");
    const { card, driver } = JSON.parse(text.split("data: ")[1] ?? "") as Live;
    expect(card).toMatchObject({ state: "running", expected: 2 });
    expect(driver).toMatchObject({
      ...{ inFlight: 2, stopping: false },
      hosts: [{ name: "driver", state: "alive" }],
    });
    expect(driver?.roles.find(({ name }) => name === "grader")?.busy).toBe(2);
    gate.open();
    await playing;
    await expect(fetch(url)).rejects.toThrow();
  }));

test("a dataset that is not there fails before a run directory is made", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { overrides: ["dataset.path=none.jsonl"] });
    await expect(runRecipe(plan, { directory: join(folder, "run") })).rejects.toMatchObject({
      code: "dataset_invalid",
    });
    expect(await readdir(folder)).not.toContain("run");
  }));

test("a dataset that has lost rows is refused when a run goes on", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 3 });
    await expect(play(folder, { rows: 2 })).rejects.toMatchObject({ code: "run_refused" });
    const grown = await play(folder, { rows: 4 });
    expect(grown).toMatchObject({ expected: 4, recorded_before: 3, state: "complete" });
  }));

test("a run that owns its process logs what user code prints", () =>
  withFolder(async (folder) => {
    const files = {
      "grade.ts": `export default ({ row }) => { console.log("grades", row.n); return { score: 1 }; };\n`,
    };
    await play(folder, { rows: 1, files }, { ownsProcess: true });
    const log = await readFile(join(folder, "run", "logs", "driver.log"), "utf8");
    expect(log).toMatch(/grades 0 role=grader task=\S+/);
  }));

test("a replay takes the answers of another run, asks no model, and scores anew", () =>
  withFolder(async (folder) => {
    const first = await play(folder, { rows: 3 });
    const files = { "strict.ts": "export default () => ({ score: 0.25 });\n" };
    const overrides = ["roles.grader.agent=strict.ts"];
    const plan = await prepareSmallRun(folder, { rows: 3, files, overrides });
    const replay = join(folder, "run");
    const again = await runRecipe(plan, { directory: join(folder, "again"), replay });
    expect(again).toMatchObject({
      ...{ state: "complete", replayed: true, simulated: true, expected: 3, ok: 3 },
      score: { scored: 3, mean: 0.25 },
      usage: first.usage,
      spent: { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0 },
      budget: null,
    });
    const answers = async (directory: string) =>
      (await readRecords(directory))
        .sort((a, b) => a.id.localeCompare(b.id))
        .map(({ history }) => history[0]?.result);
    expect(await answers(join(folder, "again"))).toEqual(await answers(replay));
    expect(await readManifest(join(folder, "again"))).toMatchObject({ replay });
  }));

test("answers of a run that was halted are not asked for again, and its journal goes when it is complete", () =>
  withFolder(async (folder) => {
    const gate = gateOf("journalled");
    const halt = new AbortController();
    const small: SmallRun = {
      ...{ rows: 3, files: gate.files },
      overrides: ["models.m.journal=true"],
    };
    const playing = play(folder, small, { halt: halt.signal });
    await until(() => gate.arrived.length === 3, "all models have answered");
    halt.abort();
    expect((await playing).spent.requests).toBe(3);
    expect(await readdir(join(folder, "run"))).toContain("journal");
    gate.open();
    const done = await play(folder, small);
    expect(done).toMatchObject({ state: "complete", ok: 3, spent: { requests: 3 } });
    expect(await readdir(join(folder, "run"))).not.toContain("journal");
  }));

test("a display learns which rate holds requests back", () =>
  withFolder(async (folder) => {
    const halt = new AbortController();
    let look: () => Snapshot | null = () => null;
    const display = (snapshot: () => Snapshot) => {
      look = snapshot;
      return { say: () => undefined, stop: () => undefined };
    };
    const overrides = ["models.m.rpm=60", "run.concurrency=2"];
    const playing = play(folder, { rows: 9, overrides }, { display, halt: halt.signal });
    await until(() => look()?.waitedFor.length === 1, "requests wait for their turn");
    expect(look()?.waitedFor).toEqual(["models.m.rpm"]);
    halt.abort();
    await playing;
  }));

test("spending is noted while a run goes on, so that a killed driver forgets little of it", () =>
  withFolder(async (folder) => {
    const gate = gateOf("noted");
    const playing = play(folder, { rows: 2, files: gate.files });
    await until(
      async () => (await readManifest(join(folder, "run")))?.spent.requests === 2,
      "the manifest has what was spent",
    );
    expect(await readManifest(join(folder, "run"))).toMatchObject({ state: "running", ok: 0 });
    gate.open();
    await playing;
  }));

test("a run whose directory vanishes ends with storage_failed", () =>
  withFolder(async (folder) => {
    const gate = gateOf("vanishing");
    const playing = play(folder, { rows: 1, files: gate.files });
    await until(() => gate.arrived.length === 1, "the task is in flight");
    await rm(join(folder, "run"), { recursive: true });
    gate.open();
    expect((await playing).error).toMatchObject({ code: "storage_failed" });
  }));

test("tasks wait at most run.timeout, over all their steps", () =>
  withFolder(async (folder) => {
    const gate = gateOf("timed");
    const overrides = ['run.timeout="30ms"'];
    const summary = await play(folder, { rows: 2, files: gate.files, overrides });
    expect(summary).toMatchObject({
      ...{ state: "complete", ok: 0, failed: 2, stop_reasons: { timeout: 2 } },
      errors: { "task_timeout in grader": 2 },
    });
  }));

test("a driver that hosts every role itself tells the workers of the driver before it to go", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 1 });
    const child = Bun.spawn(["sleep", "60"]);
    const worker = { name: "w", id: "w-1", pid: child.pid, startTime: startTimeOf(child.pid) };
    await writeDriverFile(join(folder, "run"), {
      ...{ format: "matrix-driver-1", url: "http://127.0.0.1:1", token: "t", run: "r" },
      driver: { pid: 1, machine: machineId() },
      ...{ hosts: [], workers: [worker] },
    });
    await play(folder, { rows: 1, overrides: ["run.trials=2"] });
    await child.exited;
    expect(child.signalCode).toBe("SIGTERM");
    expect(await readdir(join(folder, "run"))).not.toContain("driver.json");
  }));

test("a run in one process believes its records where the manifest noted less spending", () =>
  withFolder(async (folder) => {
    const { spent } = await play(folder, { rows: 2 });
    const path = join(folder, "run", "manifest.json");
    const manifest = JSON.parse(await readFile(path, "utf8"));
    const nothing = { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0, hosts: {} };
    await writeFile(path, JSON.stringify({ ...manifest, spent: nothing }));
    const small: SmallRun = { rows: 2, overrides: ["run.trials=2"] };
    const stopped = await play(folder, small, { drain: AbortSignal.abort() });
    expect(stopped).toMatchObject({ state: "stopped", ok: 2, spent });
  }));

test("a run that is told to stop while it pulls an image stops at once, without an error", () =>
  DockerEngine.within((engine) =>
    withFolder(async (folder) => {
      engine.replies.set("POST /images/create", { status: 200, lines: [{}], hangs: true });
      const recipe = `name = "pulling"
dataset.path = "rows.jsonl"
sandboxes.box = { engine = "docker", image = "team/x:1" }
roles.shell = { agent = "exec", sandbox = "box", with = { command = "true" } }
orchestrator = { pattern = "sequence", roles = ["shell"] }
`;
      const drain = new AbortController();
      const playing = play(folder, { recipe }, { drain: drain.signal });
      await until(() => engine.asked("POST /images/create").length > 0, "the pull has begun");
      drain.abort();
      expect(await playing).toMatchObject({ state: "stopped", ok: 0, error: null });
    }),
  ));

test("a replay keeps no answers of models", () =>
  withFolder(async (folder) => {
    const overrides = ["models.m.journal=true"];
    await play(folder, { rows: 1, overrides });
    const gate = gateOf("replayed");
    const files = { "slow.ts": gate.files["grade.ts"] };
    const small = { rows: 1, files, overrides: [...overrides, "roles.grader.agent=slow.ts"] };
    const plan = await prepareSmallRun(folder, small);
    const directory = join(folder, "again");
    const playing = runRecipe(plan, { directory, replay: join(folder, "run") });
    await until(() => gate.arrived.length === 1, "the task is in flight");
    // Only the note of the task in flight is there.
    expect(await readdir(join(directory, "journal"))).toEqual(["admitted.jsonl"]);
    gate.open();
    expect(await playing).toMatchObject({ state: "complete", ok: 1 });
  }));

/** Another machine takes the run directory over, as after a minute of silence. */
async function takeOver(directory: string): Promise<void> {
  const holder = { host: "far", machine: "far", pid: 1, startTime: null, since: "2026" };
  await writeFile(join(directory, "lock.2"), JSON.stringify(holder));
  await rm(join(directory, "lock.1"));
}

test("a run whose directory another driver took over stops by itself and leaves it as it is", () =>
  withFolder(async (folder) => {
    const gate = gateOf("takenOver");
    const playing = play(folder, { rows: 2, files: gate.files });
    await until(() => gate.arrived.length === 2, "all tasks are in flight");
    const directory = join(folder, "run");
    const look = async () => {
      const names = ["manifest.json", "recipe.toml", "trajectories.jsonl", "logs/driver.log"];
      return Promise.all(names.map((name) => readFile(join(directory, name), "utf8")));
    };
    await takeOver(directory);
    const before = await look();
    const summary = await playing;
    gate.open();
    expect(summary).toMatchObject({ state: "stopped", ok: 0, error: { code: "run_taken" } });
    expect(await look()).toEqual(before);
    expect((await readdir(directory)).sort()).toContain("lock.2");
  }));

test("a run whose records were deleted in its last moment is stopped, with the error", () =>
  withFolder(async (folder) => {
    const gate = gateOf("deleted");
    const playing = play(folder, { rows: 1, files: gate.files });
    await until(() => gate.arrived.length === 1, "the task is in flight");
    await rm(join(folder, "run", "trajectories.jsonl"));
    gate.open();
    expect(await playing).toMatchObject({
      state: "stopped",
      error: { code: "storage_failed", message: expect.stringContaining("the file was deleted") },
    });
    expect((await readManifest(join(folder, "run")))?.state).toBe("stopped");
  }));

test("a run that goes on from a lock which a power cut left torn says so in its log", () =>
  withFolder(async (folder) => {
    await play(folder, { rows: 2 });
    const directory = join(folder, "run");
    await writeFile(join(directory, "lock.1"), "\0".repeat(180));
    await writeFile(join(directory, "driver.json"), "");
    expect(await play(folder, { rows: 3 })).toMatchObject({ ok: 3, state: "complete" });
    const log = await readFile(join(directory, "logs", "driver.log"), "utf8");
    expect(log).toContain("lock.1 cannot be read, as after a power cut");
    expect(log).toContain("driver.json is empty, as a power cut may leave it");
  }));
