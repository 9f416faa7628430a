// The routes of the web page, each over run directories on the disk.

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject } from "../../src/task/json.ts";
import type {
  AgreementAnswer,
  Annotated,
  AnnotationsAnswer,
  CompareAnswer,
  ErrorsAnswer,
  HopsAnswer,
  PromptsAnswer,
  RecordAnswer,
  RecordsAnswer,
  RunAnswer,
  RunsAnswer,
  ScanProgress,
  Session,
  TrialsAnswer,
} from "../../src/view/api.ts";
import { withFolder } from "../parts/folder.ts";
import { DIALOGUE, type Made, said, TOOL_LOOP, writeRun } from "../parts/run-directory.ts";
import { SECRET, withSecret } from "../parts/secret.ts";
import { until } from "../parts/until.ts";
import { eventsIn, type Served, type ServedOptions, withServer } from "./parts/served.ts";

const made = (id: string, more: Partial<Made> = {}): Made => ({
  id,
  history: [["student", said(`I am ${id}.`)]],
  ...more,
});

/** Two rows with two trials each, and a failed row. */
const RECORDS = [
  made("a", { score: 1 }),
  made("a", { trial: 1, score: 0 }),
  made("b", {
    score: 0.5,
    history: [
      ["student", said("hello")],
      ["teacher", said("World, x")],
    ],
  }),
  made("b", { trial: 1, score: 1 }),
  made("c", { status: "failed" }),
];

const withRuns = (
  runs: Readonly<Record<string, readonly Made[]>>,
  use: (served: Served, folder: string) => Promise<void>,
  options: ServedOptions = {},
) =>
  withFolder(async (folder) => {
    for (const [name, records] of Object.entries(runs))
      await writeRun(join(folder, "runs", name), DIALOGUE, records);
    await withServer([join(folder, "runs")], (served) => use(served, folder), options);
  });

const withRun = (use: (served: Served, run: string, folder: string) => Promise<void>) =>
  withRuns({ one: RECORDS }, async (served, folder) =>
    use(served, `/runs/${await served.key("one")}`, folder),
  );

const idsIn = ({ rows }: RecordsAnswer) => rows.map(({ id, trial }) => `${id}${trial}`);

test("the session says who the user is and where the runs come from", () =>
  withRuns({}, async ({ json }) => {
    expect(await json<Session>("/session")).toMatchObject({ who: "ann", from: "folder" });
  }));

test("the list has a card for each run, with its score once the records were read", () =>
  withRuns({ one: RECORDS, two: [made("z")] }, async ({ json, library, key }) => {
    await json("/runs");
    await library.cards.settled();
    const { runs, left } = await json<RunsAnswer>("/runs");
    expect([runs.length, left]).toEqual([2, 0]);
    const one = runs.find(({ path }) => path.endsWith("one"));
    expect(one).toMatchObject({
      key: await key("one"),
      name: "talk",
      state: "complete",
      problem: null,
      expected: 5,
      counts: { ok: 4, failed: 1, lost: 0 },
      models: ["m"],
      orchestrator: "dialogue",
      simulated: true,
      startedAt: "2026-11-24T00:00:00.000Z",
    });
    expect(one?.score?.mean).toBeCloseTo(0.625, 12);
    expect(one?.score?.count).toBe(4);
    expect(runs.find(({ path }) => path.endsWith("two"))?.score).toBeNull();
  }));

test("one run has counts that add up, distributions, stop reasons, errors and roles", () =>
  withRun(async ({ json }, run) => {
    const answer = await json<RunAnswer>(run);
    const { ok, failed, lost } = answer.card.counts;
    expect(ok + failed + lost + answer.missing).toBe(answer.card.expected ?? 0);
    expect(answer.stopReasons).toEqual([
      { name: "stopped", count: 4 },
      { name: "error", count: 1 },
    ]);
    expect(answer.distributions.score?.total).toBe(4);
    expect(answer.distributions.turns?.max).toBe(2);
    expect(answer.distributions.latency?.mean).toBe(1.5);
    expect(answer.distributions.cost).toBeNull();
    expect(answer.throughput?.ok.reduce((sum, count) => sum + count)).toBe(4);
    expect(answer.errors).toEqual([
      { code: "agent_failed", message: "no", count: 1, examples: [{ id: "c", trial: 0 }] },
    ]);
    expect(answer.roles.map(({ name, hops }) => [name, hops])).toEqual([
      ["student", 5],
      ["teacher", 1],
    ]);
    expect(answer.sampled).toBeNull();
    expect(answer.manifest?.["name"]).toBe("talk");
  }));

test("records are filtered, ordered and paged", () =>
  withRun(async ({ json }, run) => {
    const records = (query: string) => json<RecordsAnswer>(`${run}/records?${query}`);
    expect(await records("")).toMatchObject({ total: 5, matched: 5, offset: 0, scan: null });
    expect(idsIn(await records("status=failed"))).toEqual(["c0"]);
    expect(idsIn(await records("score=0.5..&sort=score&desc=1"))).toEqual(["a0", "b1", "b0"]);
    const page = await records("sort=score&offset=1&limit=2");
    expect(idsIn(page)).toEqual(["b0", "a0"]);
    expect(page).toMatchObject({ matched: 5, offset: 1 });
    expect((await records("")).rows[2]).toEqual({
      ...{ n: 2, id: "b", trial: 0, status: "ok", stop: "stopped", score: 0.5, error: null },
      ...{ turns: 2, tokens: 15, cost: null, ms: 1.5, ended: Date.parse("2026-11-24T00:00:00Z") },
      ...{ bytes: expect.any(Number), columns: [], verdict: null, labels: [], comments: 0 },
    });
  }));

test("a query that cannot be answered is refused with the parameter's name", () =>
  withRun(async ({ get }, run) => {
    for (const query of ["colour=red", "score=x", "sort=colour", "limit=-1", "offset=1.5"]) {
      const response = await get(`/api${run}/records?${query}`);
      expect([query, response.status]).toEqual([query, 400]);
      const { code, message } = (await response.json()) as { code: string; message: string };
      expect(code).toBe("bad_query");
      expect(message).toContain(query.split("=")[0] ?? "");
    }
  }));

test("a request for a missing thing is answered with 404 and the name of that thing", () =>
  withRun(async ({ get }, run) => {
    const missing = [
      ["/api/runs/nothing~1", "no_run"],
      [`/api${run}/records/zz/0`, "no_record"],
      [`/api${run}/records/a/7`, "no_record"],
      [`/api${run}/records/a/x`, "no_record"],
      [`/api${run}/rows/zz`, "no_record"],
      [`/api${run}/records/a/0/text?at=/nothing`, "no_part"],
      [`/api${run}/records/a/0/attachments/00`, "no_part"],
      [`/api${run}/records/a/0/prompts?hop=9`, "no_part"],
      ["/api/nothing", "no_path"],
    ] as const;
    for (const [path, code] of missing) {
      const response = await get(path);
      const answer = (await response.json()) as { code: string };
      expect([path, response.status, answer.code]).toEqual([path, 404, code]);
    }
  }));

test("a record has its neighbours under the filter and the order of the query", () =>
  withRun(async ({ json }, run) => {
    const of = (path: string) => json<RecordAnswer>(`${run}/records/${path}`);
    expect(await of("b/0?status=ok&sort=score")).toMatchObject({
      position: 1,
      matched: 4,
      previous: { id: "a", trial: 1 },
      next: { id: "a", trial: 0 },
      trials: [0, 1],
    });
    expect(await of("a/0")).toMatchObject({ position: 0, previous: null });
    expect(await of("c/0?status=ok")).toMatchObject({
      ...{ position: null, previous: null, next: null, matched: 4 },
    });
  }));

test("a record has its head, its input, its hops and what they said", () =>
  withRun(async ({ json }, run) => {
    const answer = await json<RecordAnswer>(`${run}/records/b/0`);
    expect(answer.input.value).toEqual({ question: "Question b?" });
    expect(answer.hops.map(({ role }) => role)).toEqual(["student", "teacher"]);
    expect(answer.first.hops[1]?.result.value).toEqual(said("World, x"));
    expect(answer.head).toMatchObject({ score: 0.5, attempt: 1 });
    expect(answer.firstError).toBeNull();
    expect(await json<HopsAnswer>(`${run}/records/b/0/hops?from=1&count=5`)).toMatchObject({
      from: 1,
      total: 2,
      hops: [{ hop: 1 }],
    });
  }));

test("ids with any characters are found", () =>
  withRuns({ one: [made("a/b?c d#é%2F"), made("")] }, async ({ json, key }) => {
    const id = "a/b?c d#é%2F";
    const path = `/runs/${await key("one")}/records/${encodeURIComponent(id)}/0`;
    expect((await json<RecordAnswer>(path)).row.id).toBe(id);
  }));

test("a text that was cut is read in parts, and another value as its JSON", () =>
  withRuns({ one: [made("a", { row: { long: "ab".repeat(50_000) } })] }, async (served) => {
    const { get, json, key } = served;
    const record = `/runs/${await key("one")}/records/a/0`;
    const { input } = await json<RecordAnswer>(record);
    expect(input.clips).toEqual([{ at: "/row/long", in: "/long", chars: 100_000 }]);
    const part = await get(`/api${record}/text?at=/row/long&from=99998&count=5`);
    expect(await part.text()).toBe("ab");
    expect(part.headers.get("x-total-chars")).toBe("100000");
    expect(part.headers.get("content-type")).toStartWith("text/plain");
    expect(await (await get(`/api${record}/text?at=/trial`)).text()).toBe("0");
  }));

test("the raw record is the line of the file, as a download", () =>
  withRun(async ({ get }, run, folder) => {
    const response = await get(`/api${run}/records/a/1/raw`);
    const lines = await readFile(join(folder, "runs/one/trajectories.jsonl"), "utf8");
    expect(await response.text()).toBe(lines.split("\n")[1] ?? "");
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="a-1.json"');
  }));

test("all trials of a row are listed in their order", () =>
  withRun(async ({ json }, run) => {
    const { id, trials } = await json<TrialsAnswer>(`${run}/rows/b`);
    expect([id, trials.map(({ trial, score }) => [trial, score])]).toEqual([
      "b",
      [
        [0, 0.5],
        [1, 1],
      ],
    ]);
  }));

test("prompts are rendered again from the recipe of the run", () =>
  withRun(async ({ json }, run) => {
    const prompts = (hop: number) => json<PromptsAnswer>(`${run}/records/b/0/prompts?hop=${hop}`);
    expect(await prompts(0)).toEqual({
      ...{ hop: 0, system: "You study.", prompt: "Question b?", tools: [], problem: null },
    });
    expect(await prompts(1)).toMatchObject({ system: null, prompt: "Question b?" });
  }));

test("a prompt that reads the state, or whose file has changed, says why it is missing", () =>
  withFolder(async (folder) => {
    const file = join(folder, "system.txt");
    await writeFile(file, "private");
    const roles = {
      solver: {
        ...{ agent: "llm", model: "m", system: file },
        prompt: { text: "turn {{ state.turns }}" },
      },
      tools: { agent: "tools.ts" },
    };
    const history = [["solver", said("x")]] as const;
    await writeRun(join(folder, "runs/one"), { ...TOOL_LOOP, roles }, [{ id: "a", history }]);
    await withServer([join(folder, "runs")], async ({ json, key }) => {
      const path = `/runs/${await key("one")}/records/a/0/prompts?hop=0`;
      const { system, prompt, problem } = await json<PromptsAnswer>(path);
      expect([system, prompt]).toEqual([null, null]);
      expect(problem).toContain(`${file} has changed since the run was made`);
      expect(problem).toContain("records keep no state");
    });
  }));

test("attachments of a row are listed and served by their hash, and addresses elsewhere are not", () =>
  withFolder(async (folder) => {
    const png = Buffer.from(
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=",
      "base64",
    );
    const hash = createHash("sha256").update(png).digest("hex");
    const files = join(folder, "files");
    await mkdir(files);
    await writeFile(join(files, "one.png"), png);
    await writeFile(join(folder, "secret.png"), png);
    const attachments = ["row.images"];
    const roles = {
      ...(DIALOGUE["roles"] as JsonObject),
      student: { agent: "llm", model: "m", attachments, attachment_folder: files },
    };
    const elsewhere = "https://example.org/x.png";
    const row = (...images: string[]) => ({ images });
    await writeRun(join(folder, "runs/one"), { ...DIALOGUE, roles }, [
      made("a", { row: row("one.png", png.toString("base64"), elsewhere) }),
      made("b", { row: row("../secret.png") }),
    ]);
    await withServer([join(folder, "runs")], async ({ json, get, key }) => {
      const run = `/runs/${await key("one")}`;
      const { attachments: listed, attachmentProblem } = await json<RecordAnswer>(
        `${run}/records/a/0`,
      );
      const own = { role: "student", kind: "image" as const };
      const inline = { ...own, hash, type: "image/png", bytes: png.length, url: null };
      const linked = { ...own, hash: null, type: null, bytes: null, url: elsewhere };
      expect([listed, attachmentProblem]).toEqual([[inline, inline, linked], null]);
      const served = await get(`/api${run}/records/a/0/attachments/${hash}`);
      expect(served.headers.get("content-type")).toBe("image/png");
      expect(Buffer.from(await served.arrayBuffer()).equals(png)).toBeTrue();
      const outside = await json<RecordAnswer>(`${run}/records/b/0`);
      expect(outside.attachments).toEqual([]);
      expect(outside.attachmentProblem).toContain("leads out of");
      expect((await get(`/api${run}/records/b/0/attachments/${hash}`)).status).toBe(404);
    });
  }));

test("a scan finds a text in any case, and the list shows its matches", () =>
  withRun(async ({ get, json }, run) => {
    expect(await json<RecordsAnswer>(`${run}/records?q=WORLD`)).toMatchObject({
      matched: 0,
      scan: { state: "none", total: 5 },
    });
    const events = eventsIn(await (await get(`/api${run}/scan?q=WORLD`)).text());
    expect(events.filter(([name]) => name === "hit")).toEqual([
      ["hit", { n: 2, id: "b", trial: 0, snippet: { text: "World, x", from: 0, to: 5 } }],
    ]);
    expect(events.at(-1)).toEqual([
      "progress",
      { state: "done", read: 5, total: 5, matched: 1, errors: 0, problem: null },
    ]);
    const listed = await json<RecordsAnswer>(`${run}/records?q=WORLD`);
    expect(idsIn(listed)).toEqual(["b0"]);
    expect(listed.scan?.state).toBe("done");
    expect(idsIn(await json<RecordsAnswer>(`${run}/records?q=WORLD&status=failed`))).toEqual([]);
  }));

test("a scan evaluates CEL over whole records, and counts those where it fails", () =>
  withRun(async ({ get, json }, run) => {
    const where = encodeURIComponent('history.size() == 2 && history[1].role == "teacher"');
    await (await get(`/api${run}/scan?where=${where}`)).text();
    expect(idsIn(await json<RecordsAnswer>(`${run}/records?where=${where}`))).toEqual(["b0"]);
    const faulty = encodeURIComponent("row.nothing == 1");
    const [, last] = eventsIn(await (await get(`/api${run}/scan?where=${faulty}`)).text()).at(
      -1,
    ) as [string, ScanProgress];
    expect(last).toMatchObject({ state: "done", matched: 0, errors: 5 });
    expect(last.problem).toContain("row.nothing");
    const broken = await get(`/api${run}/scan?where=${encodeURIComponent("1 +")}`);
    expect(broken.status).toBe(400);
    expect((await get(`/api${run}/scan`)).status).toBe(400);
  }));

test("errors of a filter are grouped", () =>
  withRun(async ({ json }, run) => {
    expect((await json<ErrorsAnswer>(`${run}/errors?status=ok`)).groups).toEqual([]);
    expect((await json<ErrorsAnswer>(`${run}/errors?id=c`)).groups.length).toBe(1);
  }));

test("judgements are kept, filter the list, and people do not overwrite each other", () =>
  withRun(async ({ post, json }, run, folder) => {
    const path = `${run}/annotations`;
    const say = async (body: object) => (await (await post(path, body)).json()) as Annotated;
    await say({ id: "b", trial: 0, who: "ann", verdict: "accepted", comment: "fine" });
    const bob = await say({ id: "b", trial: 0, who: "bob", labels: ["odd"] });
    expect(bob.annotation).toMatchObject({ who: "bob", verdict: null, labels: ["odd"] });
    expect(bob.row).toMatchObject({ verdict: "accepted", labels: ["odd"], comments: 1 });
    const { row } = await say({ id: "b", trial: 0, who: "bob", verdict: "rejected" });
    expect(row.verdict).toBe("disputed");
    const { annotations, people, broken } = await json<AnnotationsAnswer>(path);
    expect([annotations.length, people, broken]).toEqual([2, ["ann", "bob"], 0]);
    expect(annotations[0]).toMatchObject({ id: "b", comment: "fine", stale: false });
    expect(idsIn(await json<RecordsAnswer>(`${run}/records?verdict=disputed`))).toEqual(["b0"]);
    expect(idsIn(await json<RecordsAnswer>(`${run}/records?label=odd`))).toEqual(["b0"]);
    const record = await json<RecordAnswer>(`${run}/records/b/0`);
    expect(record.annotations.map(({ who }) => who)).toEqual(["ann", "bob"]);
    const file = await readFile(join(folder, "runs/one/annotations.jsonl"), "utf8");
    expect(file.split("\n").length).toBe(4);
  }));

test("an empty judgement, and one of a record that does not exist, are refused and not kept", () =>
  withRun(async ({ post, json }, run) => {
    const path = `${run}/annotations`;
    const good = { id: "a", trial: 0, who: "ann", verdict: "accepted" };
    const wrong: readonly (readonly [unknown, number])[] = [
      [{ ...good, verdict: undefined }, 400],
      [{ ...good, verdict: "maybe" }, 400],
      [{ ...good, who: "" }, 400],
      [{ ...good, colour: 1 }, 400],
      ["{", 400],
      [JSON.stringify({ ...good, comment: "x".repeat(300_000) }), 400],
      [{ ...good, id: "zz" }, 404],
    ];
    for (const [body, status] of wrong) expect((await post(path, body)).status).toBe(status);
    expect((await json<AnnotationsAnswer>(path)).annotations).toEqual([]);
  }));

test("agreement compares people with each other and with the score", () =>
  withRun(async ({ post, json }, run) => {
    const say = (who: string, id: string, trial: number, verdict: string) =>
      post(`${run}/annotations`, { who, id, trial, verdict });
    await say("ann", "a", 0, "accepted");
    await say("ann", "a", 1, "rejected");
    await say("ann", "b", 0, "rejected");
    await say("bob", "a", 0, "accepted");
    await say("bob", "a", 1, "accepted");
    const { people, score, threshold } = await json<AgreementAnswer>(`${run}/agreement`);
    expect(threshold).toBe(0.5);
    expect(people).toEqual([
      { a: "ann", b: "bob", both: 2, table: [1, 0, 1, 0], agree: 0.5, kappa: 0 },
    ]);
    expect(score.map(({ a, both, table }) => [a, both, table])).toEqual([
      ["ann", 3, [1, 0, 1, 1]],
      ["bob", 2, [1, 1, 0, 0]],
    ]);
    const strict = await json<AgreementAnswer>(`${run}/agreement?threshold=0.6`);
    expect(strict.score[0]?.kappa).toBe(1);
  }));

test("two runs are compared row by row", () =>
  withRuns(
    {
      one: [made("a", { score: 0 }), made("b", { score: 1 }), made("c", { score: 0.5 })],
      two: [made("b", { score: 0.5 }), made("a", { score: 1 }), made("d", { score: 1 })],
    },
    async ({ json, key, get }) => {
      const [one, two] = [await key("one"), await key("two")];
      const { runs, pairs } = await json<CompareAnswer>(`/compare?run=${one}&run=${two}`);
      expect(runs.map(({ card }) => card.key)).toEqual([one, two]);
      expect(runs[0]?.tokens?.mean).toBe(15);
      const [pair] = pairs;
      expect(pair?.rows).toEqual({ both: 2, onlyA: 1, onlyB: 1 });
      expect(pair?.score).toMatchObject({ delta: 0.25, rows: 2 });
      expect(pair?.flips).toEqual({
        ...{ up: 1, down: 1, same: 0 },
        rows: [
          { id: "a", a: 0, b: 1 },
          { id: "b", a: 1, b: 0.5 },
        ],
      });
      expect(pair?.recipe).toEqual([]);
      expect(pair?.cost).toBeNull();
      expect((await get(`/api/compare?run=${one}`)).status).toBe(400);
    },
  ));

test("the live feed tells the state of the run first, and then what changes", () =>
  withRuns({ one: RECORDS }, async ({ app, key }, folder) => {
    const stop = new AbortController();
    const path = `/api/runs/${await key("one")}/live`;
    const response = await app.request(path, { signal: stop.signal });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const next = async () => eventsIn(Buffer.from((await reader.read()).value ?? []).toString())[0];
    const [name, first] = (await next()) as [string, { card: { counts: object }; driver: null }];
    expect([name, first.card.counts, first.driver]).toEqual([
      "live",
      { ok: 4, failed: 1, lost: 0 },
      null,
    ]);
    const run = join(folder, "runs/one");
    const lines = await readFile(join(run, "trajectories.jsonl"), "utf8");
    await appendFile(
      join(run, "trajectories.jsonl"),
      lines.split("\n")[0]?.replace('"a"', '"e"') ?? "",
    );
    await appendFile(join(run, "trajectories.jsonl"), "\n");
    const [, second] = (await next()) as [string, { card: { counts: object } }];
    expect(second.card.counts).toEqual({ ok: 5, failed: 1, lost: 0 });
    stop.abort();
    await reader.cancel();
  }));

test("an empty, a torn, a broken and a foreign directory each have a state of their own", () =>
  withRuns({ empty: [], torn: RECORDS, broken: RECORDS, bare: RECORDS }, async (served, folder) => {
    const { json, key } = served;
    const runs = join(folder, "runs");
    await appendFile(join(runs, "torn/trajectories.jsonl"), '{"format":"matrix-traj');
    await writeFile(join(runs, "broken/manifest.json"), "{");
    await rm(join(runs, "bare/manifest.json"));
    await mkdir(join(runs, "foreign"));
    await writeFile(join(runs, "foreign/notes.txt"), "not a run");
    const states = async (name: string) => {
      const { card, notes } = await json<RunAnswer>(`/runs/${await key(name)}`);
      return [card.state, card.counts.ok, card.problem, notes] as const;
    };
    expect(await states("empty")).toEqual(["complete", 0, null, []]);
    expect(await states("torn")).toEqual(["complete", 4, null, []]);
    expect(await states("broken")).toEqual([
      "broken",
      4,
      expect.stringContaining("is not JSON"),
      [],
    ]);
    expect(await states("bare")).toEqual(["broken", 4, "it has no manifest.json", []]);
    const { runs: cards } = await json<RunsAnswer>("/runs");
    expect(cards.map(({ path }) => path).some((path) => path.endsWith("foreign"))).toBeFalse();
  }));

test("a damaged line in the middle is told, and the other records are shown", () =>
  withRun(async ({ json }, run, folder) => {
    const path = join(folder, "runs/one/trajectories.jsonl");
    const lines = (await readFile(path, "utf8")).split("\n");
    await writeFile(path, [lines[0], "damage", ...lines.slice(1)].join("\n"));
    const { card, notes } = await json<RunAnswer>(run);
    expect([card.state, card.counts.ok]).toEqual(["broken", 4]);
    expect(card.problem).toContain("trajectories.jsonl:2: this line is not a record");
    expect(notes).toEqual(["line 2 is left out: it is not JSON"]);
    const record = await json<RecordAnswer>(`${run}/records/a/1`);
    expect(record.hops.length).toBe(1);
    const listed = await json<RecordsAnswer>(`${run}/records?sort=id`);
    expect(idsIn(listed)).toEqual(["a0", "a1", "b0", "b1", "c0"]);
  }));

test("a run whose driver was killed is interrupted, and one whose driver lives is running", () =>
  withRun(async ({ json, key }, _run, folder) => {
    const directory = join(folder, "runs/one");
    const path = join(directory, "manifest.json");
    const manifest = JSON.parse(await readFile(path, "utf8")) as object;
    await writeFile(path, JSON.stringify({ ...manifest, state: "running" }));
    const state = async () => (await json<RunAnswer>(`/runs/${await key("one")}`)).card.state;
    expect(await state()).toBe("interrupted");
    const { takeLock } = await import("../../src/records/lock.ts");
    const lock = await takeLock(directory);
    expect(await state()).toBe("running");
    await lock.release();
    expect(await state()).toBe("interrupted");
  }));

test("records that are a link to another file are not read", () =>
  withRun(async ({ json }, run, folder) => {
    const secret = join(folder, "secret.jsonl");
    await writeFile(secret, '{"secret":"value"}\n');
    const path = join(folder, "runs/one/trajectories.jsonl");
    await rm(path);
    await symlink(secret, path);
    const { card } = await json<RunAnswer>(run);
    expect(card.state).toBe("broken");
    expect(card.problem).toContain("is a link or not a regular file, so it is not read");
    expect((await json<RecordsAnswer>(`${run}/records`)).total).toBe(0);
  }));

test("folders that links lead to are not searched", () =>
  withRuns({ one: RECORDS }, async ({ json }, folder) => {
    await writeRun(join(folder, "elsewhere/two"), DIALOGUE, RECORDS);
    await symlink(join(folder, "elsewhere"), join(folder, "runs/link"));
    expect((await json<RunsAnswer>("/runs")).runs.length).toBe(1);
  }));

test("a file of records and an export are shown without a manifest", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "one"), DIALOGUE, RECORDS);
    const records = await readFile(join(folder, "one/trajectories.jsonl"), "utf8");
    const [copy, exported] = [join(folder, "copy.jsonl"), join(folder, "sft.jsonl")];
    await writeFile(copy, records);
    const messages = [
      { role: "user", content: "Why?" },
      { role: "assistant", content: "So." },
    ];
    await writeFile(exported, `${JSON.stringify({ messages, score: 0.5 })}\n`);
    await withServer([copy, exported], async ({ json, key, post }) => {
      const copied = await json<RunAnswer>(`/runs/${await key("copy.jsonl")}`);
      expect(copied.card).toMatchObject({ state: "foreign", counts: { ok: 4, failed: 1 } });
      const run = `/runs/${await key("sft.jsonl")}`;
      const { rows } = await json<RecordsAnswer>(`${run}/records`);
      expect(rows[0]).toMatchObject({ id: "0", status: "ok", score: 0.5, turns: 2 });
      const { hops, first } = await json<RecordAnswer>(`${run}/records/0/0`);
      expect(hops.map(({ role }) => role)).toEqual(["user", "assistant"]);
      expect(first.hops[1]?.result.value).toEqual({ role: "assistant", content: "So." });
      const refused = await post(`${run}/annotations`, {
        id: "0",
        trial: 0,
        who: "a",
        verdict: null,
      });
      expect(refused.status).toBe(409);
    });
  }));

test("the records of a run directory are shown with its manifest, however they are named", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "one"), DIALOGUE, RECORDS);
    await withServer(
      [join(folder, "one/trajectories.jsonl"), join(folder, "one")],
      async ({ json }) => {
        const { runs } = await json<RunsAnswer>("/runs");
        expect(runs.map(({ state, name }) => [state, name])).toEqual([["complete", "talk"]]);
      },
    );
  }));

test("a place that does not exist is refused", () =>
  withServer(["/nothing/here"], async ({ library }) => {
    await expect(library.find()).rejects.toMatchObject({ code: "usage" });
  }));

test("secrets that the program knows are masked in records, prompts and downloads", () =>
  withSecret(() =>
    withRuns(
      { one: [made("a", { history: [["student", said(`key ${SECRET}`)]] })] },
      async (served) => {
        const { get, key } = served;
        const record = `/api/runs/${await key("one")}/records/a/0`;
        for (const path of ["", "/hops", "/raw", "/text?at=/history/0/result/content"]) {
          const text = await (await get(`${record}${path}`)).text();
          expect([path, text.includes(SECRET)]).toEqual([path, false]);
        }
        const found = await (await get(`/api/runs/${await key("one")}/scan?q=key`)).text();
        expect(found).not.toContain(SECRET);
      },
    ),
  ));

test("a record that a retry replaced takes its judgements with it", () =>
  withRun(async ({ post, json }, run, folder) => {
    await post(`${run}/annotations`, { id: "a", trial: 0, who: "ann", verdict: "accepted" });
    const path = join(folder, "runs/one/trajectories.jsonl");
    const lines = (await readFile(path, "utf8")).split("\n");
    const [first = "", ...rest] = lines;
    const again = first.replace('"attempt":1', '"attempt":2');
    await writeFile(`${path}.new`, [...rest.slice(0, -1), again, ""].join("\n"));
    await rename(`${path}.new`, path);
    const verdict = async () =>
      (await json<RecordsAnswer>(`${run}/records?id=a&trial=0`)).rows[0]?.verdict;
    await until(async () => (await verdict()) === null, "the new record has no verdict");
    const { annotations } = await json<AnnotationsAnswer>(`${run}/annotations`);
    expect(annotations[0]?.stale).toBeTrue();
  }));
