// A replay that asks some roles anew: which requests are made, and what the run has paid for.

import { expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readManifest } from "../../../src/records/manifest.ts";
import { verifyRun } from "../../../src/records/verify.ts";
import { runRecipe } from "../../../src/run/run-recipe.ts";
import type { RunContext, RunSettings } from "../../../src/run/settings.ts";
import { withFolder } from "../../parts/folder.ts";
import { comparable, readRecords } from "../../parts/records.ts";
import { prepareSmallRun, type SmallRun } from "../small-run.ts";

const JUDGE = [
  'models.j={kind="simulated", latency="1ms", tokens_per_second=1000000, price={prompt=1000, completion=1000}}',
  'roles.judge={agent="llm", model="j", prompt={text="Judge {{ history[0].result.content }}"}}',
  'orchestrator.roles=["student", "grader", "judge"]',
];
const PRICED = ["models.m.price={prompt=1000, completion=1000}"];

async function play(
  folder: string,
  name: string,
  small: SmallRun,
  more: Partial<RunSettings> = {},
  context: RunContext = {},
) {
  const plan = await prepareSmallRun(folder, { rows: 4, ...small });
  return runRecipe(plan, { directory: join(folder, name), ...more }, context);
}

/** The last start's requests by model, from the records. */
async function requestsOf(folder: string, name: string): Promise<Record<string, number>> {
  const requests: Record<string, number> = {};
  for (const { history } of await readRecords(join(folder, name)))
    for (const { role, usage } of history)
      if (usage !== undefined) requests[role] = (requests[role] ?? 0) + usage.requests;
  return requests;
}

test("a new judge is asked once for each record, and no other model is", () =>
  withFolder(async (folder) => {
    await play(folder, "run", { overrides: PRICED });
    const replay = join(folder, "run");
    const overrides = [...PRICED, ...JUDGE];
    const summary = await play(folder, "judged", { overrides }, { replay, ask: ["judge"] });
    expect(summary).toMatchObject({
      ...{ state: "complete", replayed: true, expected: 4, ok: 4, failed: 0 },
      asked: { requests: 4 },
      spent: { requests: 4 },
      usage: { requests: 8 },
    });
    expect(await requestsOf(folder, "judged")).toEqual({ student: 4, judge: 4 });
    const records = await readRecords(join(folder, "judged"));
    const judged = records.reduce((sum, { history }) => sum + (history[2]?.cost ?? 0), 0);
    expect(judged).toBeGreaterThan(0);
    expect(summary.spent.cost).toBeCloseTo(judged, 9);
    expect(summary.cost).toBeGreaterThan(judged);
    const answersOf = async (name: string) =>
      comparable(await readRecords(join(folder, name))).map(
        (record) => (record as (typeof records)[0]).history[0]?.result,
      );
    expect(await answersOf("judged")).toEqual(await answersOf("run"));
    expect((await verifyRun(join(folder, "judged"))).findings).toEqual([]);
    expect(await readManifest(join(folder, "judged"))).toMatchObject({
      ...{ replay, replay_ask: ["judge"], spent: { requests: 4 } },
    });
  }));

test("a replay that asks goes on where it stood, and refuses another wish in its directory", () =>
  withFolder(async (folder) => {
    const overrides = [...JUDGE, "run.concurrency=1", "roles.grader.agent=watch.ts"];
    await play(folder, "run", { overrides: ["run.concurrency=1"] });
    const wish = { replay: join(folder, "run"), ask: ["judge"] };
    const drain = new AbortController();
    const files = {
      "watch.ts":
        "export default ({ row }) => { globalThis.onGrade(row.n); return { score: 1 }; };\n",
    };
    Object.assign(globalThis, { onGrade: (n: number) => n === 1 && drain.abort() });
    const small = { overrides, files };
    const stopped = await play(folder, "judged", small, wish, { drain: drain.signal });
    expect(stopped).toMatchObject({ state: "stopped", ok: 2, spent: { requests: 2 } });
    await expect(
      play(folder, "judged", small, { ...wish, ask: ["judge", "student"] }),
    ).rejects.toMatchObject({
      code: "run_refused",
      problems: [
        {
          message: `it replays ${wish.replay} --ask judge, and this run replays ${wish.replay} --ask judge,student`,
        },
      ],
    });
    await expect(play(folder, "judged", small, { ...wish, from: "0" })).rejects.toThrow(
      "holds another run",
    );
    // A killed driver may not have noted what it spent: its records tell, without what they reuse.
    const path = join(folder, "judged", "manifest.json");
    const manifest = JSON.parse(await readFile(path, "utf8"));
    const nothing = { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0, hosts: {} };
    await writeFile(path, JSON.stringify({ ...manifest, spent: nothing }));
    const done = await play(folder, "judged", small, wish);
    expect(done).toMatchObject({ state: "complete", ok: 4, spent: { requests: 4 } });
  }));

test("a budget bounds what a replay asks, and reused answers do not count", () =>
  withFolder(async (folder) => {
    const rows = 30;
    await play(folder, "run", { rows });
    const wish = { replay: join(folder, "run"), ask: ["judge"] };
    const overrides = [...JUDGE, "run.concurrency=1", "run.budget.tokens=200"];
    const stopped = await play(folder, "judged", { rows, overrides }, wish);
    expect(stopped).toMatchObject({ state: "stopped", budget: { tokens: 200 } });
    const { prompt_tokens, completion_tokens, requests } = stopped.spent;
    expect(prompt_tokens + completion_tokens).toBeGreaterThanOrEqual(200);
    expect(requests).toBe(stopped.ok);
    expect(requests).toBeGreaterThan(1);
    expect(requests).toBeLessThan(rows);
  }));

test("answers that a replay has asked for are in its journal until they are recorded", () =>
  withFolder(async (folder) => {
    await play(folder, "run", {});
    const wish = { replay: join(folder, "run"), ask: ["judge"] };
    const halt = new AbortController();
    const waiting = Promise.withResolvers<void>();
    const arrived: number[] = [];
    Object.assign(globalThis, {
      afterJudge: (n: number) => {
        if (arrived.push(n) === 4) halt.abort();
        return waiting.promise;
      },
    });
    const overrides = [
      ...JUDGE,
      "models.j.journal=true",
      'roles.last={agent="last.ts"}',
      'orchestrator.roles=["student", "grader", "judge", "last"]',
    ];
    const files = {
      "last.ts":
        "export default async ({ row }) => { await globalThis.afterJudge(row.n); return { score: 1 }; };\n",
    };
    const halted = await play(folder, "judged", { overrides, files }, wish, { halt: halt.signal });
    expect(halted).toMatchObject({ state: "stopped", ok: 0, spent: { requests: 4 } });
    expect(await readdir(join(folder, "judged"))).toContain("journal");
    waiting.resolve();
    const done = await play(folder, "judged", { overrides, files }, wish);
    expect(done).toMatchObject({ state: "complete", ok: 4, spent: { requests: 4 } });
  }));

test("what follows a hop or a role is made anew, and other than it was", () =>
  withFolder(async (folder) => {
    const overrides = [
      'roles.second={agent="llm", model="m", prompt={text="Again {{ history[0].result.content }}"}}',
      'orchestrator.roles=["student", "grader", "second"]',
    ];
    await play(folder, "run", { overrides });
    const replay = join(folder, "run");
    const answersOf = async (name: string, hop: number) =>
      (
        comparable(await readRecords(join(folder, name))) as Awaited<ReturnType<typeof readRecords>>
      ).map(({ history }) => (history[hop]?.result as { content: string } | undefined)?.content);
    for (const from of ["2", "second"]) {
      const name = `from-${from}`;
      const summary = await play(folder, name, { overrides }, { replay, from });
      expect(summary).toMatchObject({ ok: 4, asked: { requests: 4 } });
      expect(await answersOf(name, 0)).toEqual(await answersOf("run", 0));
      const [was, is] = [await answersOf("run", 2), await answersOf(name, 2)];
      for (const [index, answer] of is.entries()) expect(answer).not.toBe(was[index] as string);
      expect((await verifyRun(join(folder, name))).findings).toEqual([]);
    }
    expect(await answersOf("from-2", 2)).toEqual(await answersOf("from-second", 2));
    const whole = await play(folder, "from-0", { overrides }, { replay, from: "0" });
    expect(whole.asked?.requests).toBe(8);
    const none = await play(folder, "from-3", { overrides }, { replay, from: "3" });
    expect(none.asked?.requests).toBe(0);
    expect(await answersOf("from-3", 2)).toEqual(await answersOf("run", 2));
  }));

test("tasks of a replay keep the seeds of their records, also those that a retry has drawn", () =>
  withFolder(async (folder) => {
    const state = { isBroken: true };
    Object.assign(globalThis, { isBrokenNow: () => state.isBroken });
    const files = {
      "grade.ts":
        "export default ({ row }) => { if (row.n === 1 && globalThis.isBrokenNow()) throw new Error('no'); return { score: 1 }; };\n",
    };
    await play(folder, "run", { files });
    state.isBroken = false;
    await play(folder, "run", { files }, { retry: new Set(["failed"]) });
    const replay = join(folder, "run");
    await play(folder, "again", { files }, { replay });
    const seedsOf = async (name: string) =>
      (
        comparable(await readRecords(join(folder, name))) as Awaited<ReturnType<typeof readRecords>>
      ).map(({ seed }) => seed);
    expect(await seedsOf("again")).toEqual(await seedsOf("run"));
    expect((await verifyRun(join(folder, "again"))).findings).toEqual([]);
  }));

test("a failed task of a replay runs again, and asks past its last answer when that was to blame", () =>
  withFolder(async (folder) => {
    await play(folder, "run", {});
    const bad = new Set<string>();
    Object.assign(globalThis, { isGood: (answer: string) => bad.size > 0 && !bad.has(answer) });
    const overrides = [
      ...JUDGE,
      'roles.last={agent="last.ts"}',
      'orchestrator.roles=["student", "grader", "judge", "last"]',
    ];
    const files = {
      "last.ts":
        "export default ({ history }) => { if (!globalThis.isGood(history[2].result.content)) throw new Error('no'); return { score: 1 }; };\n",
    };
    const small = { rows: 1, overrides, files };
    const wish = { replay: join(folder, "run"), ask: ["judge"] };
    expect(await play(folder, "judged", { ...small, rows: 4 }, wish)).toMatchObject({ failed: 4 });
    for (const { history } of await readRecords(join(folder, "judged")))
      bad.add((history[2]?.result as { content: string } | undefined)?.content ?? "");
    const retry = new Set(["failed"]);
    const again = await play(folder, "judged", { ...small, rows: 4 }, { ...wish, retry });
    expect(again).toMatchObject({ ok: 4, failed: 0, retried: 4, spent: { requests: 8 } });
    expect((await verifyRun(join(folder, "judged"))).findings).toEqual([]);
  }));

test("the endpoint of a role whose answers are recorded gets no request of any kind", () =>
  withFolder(async (folder) => {
    const requests: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        requests.push(new URL(request.url).pathname);
        return Response.json({
          choices: [{ finish_reason: "stop", message: { role: "assistant", content: "said" } }],
          usage: { prompt_tokens: 10, completion_tokens: 5 },
        });
      },
    });
    const far = (name: string) =>
      `models.${name}={kind="openai", base_url="http://127.0.0.1:${server.port}/${name}", model="far"}`;
    await play(folder, "run", {});
    const overrides = [far("m"), ...JUDGE, far("j")];
    const wish = { replay: join(folder, "run"), ask: ["judge"] };
    const summary = await play(folder, "judged", { overrides }, wish);
    await server.stop(true);
    expect(summary).toMatchObject({ ok: 4, asked: { requests: 4 } });
    expect(requests.filter((path) => path === "/j/chat/completions")).toHaveLength(4);
    expect(requests.filter((path) => !path.startsWith("/j/"))).toEqual([]);
  }));
