// A retry: chosen tasks run again, their old records stand in superseded.jsonl, and every count is
// exact.

import { expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { readManifest } from "../../src/records/manifest.ts";
import { verifyRun } from "../../src/records/verify.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import type { RunContext } from "../../src/run/settings.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { taskSeed } from "../../src/task/seed.ts";
import { withFolder } from "../parts/folder.ts";
import { comparable, readRecords } from "../parts/records.ts";
import { until } from "../parts/until.ts";
import { prepareSmallRun, type SmallRun } from "./small-run.ts";

/** A grader that fails on odd rows, until the test mends it. */
function brittle(name: string) {
  const state = { isBroken: true, graded: [] as number[], onFailure: () => {} };
  Object.assign(globalThis, {
    [name]: (n: number) => {
      state.graded.push(n);
      if (!state.isBroken || n % 2 === 0) return;
      state.onFailure();
      throw new Error("backend down");
    },
  });
  const grade = `export default ({ row }) => { globalThis[${JSON.stringify(name)}](row.n); return { score: 1 }; };\n`;
  return { state, files: { "grade.ts": grade } };
}

interface Play {
  readonly retry?: readonly string[];
  readonly context?: RunContext;
}

async function play(folder: string, small: SmallRun, { retry, context }: Play = {}) {
  const plan = await prepareSmallRun(folder, small);
  const directory = join(folder, "run");
  const settings = { directory, retry: retry === undefined ? null : new Set(retry) };
  return runRecipe(plan, settings, context);
}

const textOf = (folder: string, file: string) => readFile(join(folder, "run", file), "utf8");
const sound = async (folder: string) => {
  const { findings, complete, superseded } = await verifyRun(join(folder, "run"));
  expect(findings).toEqual([]);
  return { complete, superseded };
};

test("failed tasks run again, and nothing else does; their old records move whole", () =>
  withFolder(async (folder) => {
    const { state, files } = brittle("retriedOnce");
    const small = { rows: 5, files };
    const first = await play(folder, small);
    expect(first).toMatchObject({ ok: 3, failed: 2, retried: null });
    const before = (await textOf(folder, "trajectories.jsonl")).split("\n");
    const failed = before.filter((line) => line.includes('"status":"failed"'));
    state.isBroken = false;
    state.graded = [];

    const again = await play(folder, small, { retry: ["failed"] });

    expect(again).toMatchObject({
      ...{ state: "complete", expected: 5, ok: 5, failed: 0, lost: 0, retried: 2 },
      ...{ recorded_before: 3, hops: 4, all_errors: {}, error: null },
    });
    expect(state.graded.sort()).toEqual([1, 3]);
    expect(await textOf(folder, "superseded.jsonl")).toBe(`${failed.join("\n")}\n`);
    const records = await readRecords(join(folder, "run"));
    expect(records.map(({ id }) => id).sort()).toEqual(["0", "1", "2", "3", "4"]);
    for (const { id, attempt } of records) expect(attempt).toBe(id === "1" || id === "3" ? 2 : 1);
    expect(await readManifest(join(folder, "run"))).toMatchObject({
      ...{ state: "complete", expected: 5, ok: 5, failed: 0, lost: 0, superseded: 2 },
      spent: { requests: 7 },
    });
    expect(await sound(folder)).toEqual({ complete: true, superseded: 2 });
    expect(await readdir(join(folder, "run"))).not.toContain("retry.json");
    const log = await textOf(folder, "logs/driver.log");
    expect(log).toMatch(/moved records to superseded: their tasks run again .*moved=2/);
  }));

test("a task may be retried many times, and each of its records is kept", () =>
  withFolder(async (folder) => {
    const { state, files } = brittle("retriedOften");
    const small = { rows: 2, files };
    await play(folder, small);
    for (const superseded of [1, 2, 3]) {
      const summary = await play(folder, small, { retry: ["agent_failed"] });
      expect(summary).toMatchObject({ failed: 1, retried: 1, all_errors: { agent_failed: 1 } });
      expect(await sound(folder)).toEqual({ complete: true, superseded });
    }
    state.isBroken = false;
    expect(await play(folder, small, { retry: ["error"] })).toMatchObject({ ok: 2, failed: 0 });
    const records = await readRecords(join(folder, "run"));
    expect(records.find(({ id }) => id === "1")).toMatchObject({
      attempt: 5,
      seed: taskSeed(0, "1", 0, 4),
    });
    expect(await sound(folder)).toEqual({ complete: true, superseded: 4 });
  }));

test("a retry that chooses no record changes nothing", () =>
  withFolder(async (folder) => {
    const { files } = brittle("unchosen");
    const small = { rows: 2, files };
    await play(folder, small);
    const before = await textOf(folder, "trajectories.jsonl");
    const summary = await play(folder, small, { retry: ["lost", "model_failed"] });
    expect(summary).toMatchObject({ state: "complete", failed: 1, retried: 0, recorded_before: 2 });
    expect(summary.all_errors).toEqual({ agent_failed: 1 });
    expect(await textOf(folder, "trajectories.jsonl")).toBe(before);
    expect(await readdir(join(folder, "run"))).not.toContain("superseded.jsonl");
    expect(await readManifest(join(folder, "run"))).not.toHaveProperty("superseded");
  }));

test("a retry needs a run in the directory", () =>
  withFolder(async (folder) => {
    await expect(play(folder, {}, { retry: ["failed"] })).rejects.toMatchObject({
      code: "usage",
      message: `--retry: there is no run in ${join(folder, "run")}`,
      hint: "leave out --retry, or name the directory of the run with -o",
    });
    expect(await readdir(folder)).not.toContain("run");
  }));

test("compressed records move to a compressed file", () =>
  withFolder(async (folder) => {
    const { state, files } = brittle("compressed");
    const small = { rows: 4, files, overrides: ["run.compress=true"] };
    await play(folder, small);
    state.isBroken = false;
    expect(await play(folder, small, { retry: ["failed"] })).toMatchObject({ ok: 4, retried: 2 });
    expect(await sound(folder)).toEqual({ complete: true, superseded: 2 });
    const names = await readdir(join(folder, "run"));
    expect(names.filter((name) => name.includes("jsonl")).sort()).toEqual([
      "superseded.jsonl.zst",
      "trajectories.jsonl.zst",
    ]);
    const bytes = await readFile(join(folder, "run", "superseded.jsonl.zst"));
    expect(
      zstdDecompressSync(bytes)
        .toString()
        .match(/backend down/g),
    ).not.toBeNull();
  }));

test("a stopped run retries its failed tasks and goes on with those that it had not come to", () =>
  withFolder(async (folder) => {
    const { state, files } = brittle("stoppedEarly");
    const small = { rows: 6, files, overrides: ["run.concurrency=1"] };
    const drain = new AbortController();
    state.onFailure = () => drain.abort();
    const stopped = await play(folder, small, { context: { drain: drain.signal } });
    expect(stopped).toMatchObject({ state: "stopped", ok: 1, failed: 1 });
    state.isBroken = false;
    const done = await play(folder, small, { retry: ["failed"] });
    expect(done).toMatchObject({ state: "complete", ok: 6, failed: 0, retried: stopped.failed });
    expect(await sound(folder)).toEqual({ complete: true, superseded: stopped.failed });
  }));

test("a task that failed by what was answered is asked anew, although the journal has the answer", () =>
  withFolder(async (folder) => {
    // The grader takes no answer while it knows none, and then every answer but that one.
    const bad = new Set<string>();
    const waiting = Promise.withResolvers<void>();
    Object.assign(globalThis, {
      isTaken: (answer: string) => bad.size > 0 && !bad.has(answer),
      whenHalted: waiting.promise,
    });
    const files = {
      "grade.ts":
        "export default async ({ row, history }) => { if (row.n === 1) await globalThis.whenHalted; if (!globalThis.isTaken(history.at(-1).result.content)) throw new Error(`bad answer`); return { score: 1 }; };\n",
    };
    const small = { rows: 2, files, overrides: ["models.m.journal=true"] };
    const halt = new AbortController();
    const playing = play(folder, small, { context: { halt: halt.signal } });
    const hasRecord = async () =>
      (await textOf(folder, "trajectories.jsonl").catch(() => "")) !== "";
    await until(hasRecord, "the first task has failed");
    halt.abort();
    expect(await playing).toMatchObject({ failed: 1, abandoned: 1, spent: { requests: 2 } });
    waiting.resolve();
    expect(await readdir(join(folder, "run"))).toContain("journal");
    const [failed] = await readRecords(join(folder, "run"));
    const answerOf = (record: typeof failed) =>
      (record?.history[0]?.result as { content: string } | undefined)?.content ?? "";
    bad.add(answerOf(failed));
    const again = await play(folder, small, { retry: ["failed"] });
    // The answer to row 1 was paid for, and comes from the journal.
    expect(again).toMatchObject({ ok: 2, failed: 0, spent: { requests: 3 } });
    const mended = (await readRecords(join(folder, "run"))).find(({ id }) => id === "0");
    expect(answerOf(mended)).not.toBe(answerOf(failed));
    expect(mended?.seed).toBe(taskSeed(0, "0", 0, 1));
  }));

test("a task that failed by its server keeps its seed, and makes the record it would have made", () =>
  withFolder(async (folder) => {
    const undisturbed = join(folder, "undisturbed");
    await play(undisturbed, { rows: 20 });
    const overrides = ["models.m.errors.server_error=0.4", "models.m.retries=0"];
    const broken: SmallRun = { rows: 20, overrides };
    let { failed } = await play(folder, broken);
    expect(failed).toBeGreaterThan(2);
    for (let starts = 0; failed > 0; starts++) {
      expect(starts).toBeLessThan(20);
      const retried = failed;
      const summary = await play(folder, broken, { retry: ["model_failed"] });
      expect(summary).toMatchObject({ state: "complete", expected: 20, retried });
      failed = summary.failed;
    }
    await sound(folder);
    const recordsOf = async (one: string) =>
      comparable(await readRecords(join(one, "run"))).map((record) => ({
        ...(record as TrajectoryRecord),
        attempt: 1,
      }));
    expect(await recordsOf(folder)).toEqual(await recordsOf(undisturbed));
  }));

test("spending and budget count superseded records, also where the manifest noted less", () =>
  withFolder(async (folder) => {
    const { files } = brittle("costly");
    const small = { rows: 2, files };
    const { spent } = await play(folder, small);
    expect(spent.requests).toBe(2);
    const drained = { context: { drain: AbortSignal.abort() } };
    const moved = await play(folder, small, { retry: ["failed"], ...drained });
    expect(moved).toMatchObject({ state: "stopped", ok: 1, failed: 0, retried: 1, spent });
    const path = join(folder, "run", "manifest.json");
    const manifest = JSON.parse(await readFile(path, "utf8"));
    const nothing = { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0, hosts: {} };
    await writeFile(path, JSON.stringify({ ...manifest, spent: nothing }));
    expect(await play(folder, small, drained)).toMatchObject({ state: "stopped", spent });
    const done = await play(folder, small);
    expect(done).toMatchObject({ failed: 1, retried: null, spent: { requests: 3 } });
    expect(await sound(folder)).toEqual({ complete: true, superseded: 1 });
  }));
