// A finished turn is not paid for twice: a run is killed in the middle of its dialogues and started
// again with the same command, while the endpoint counts requests.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { matrix, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { until } from "../../parts/until.ts";
import { Endpoint, SPEAKER } from "./endpoint.ts";

const ROWS = 12;
const TURNS = 6;
/** Turns that are answered before the gate. */
const FREE = 3;
const RECIPE = `name = "talk"
dataset.path = "rows.jsonl"
${SPEAKER}[roles.left]
agent = "llm"
model = "speaker"
system = { text = "left" }
prompt = { text = "{{ row.n }}" }
conversation = ["left", "right"]
sampling = { temperature = 1, top_p = 0.9 }
[roles.right]
agent = "llm"
model = "speaker"
system = { text = "right" }
prompt = { text = "{{ row.n }}" }
conversation = ["left", "right"]
[roles.note]
agent = "note.ts"
[orchestrator]
pattern = "dialogue"
speakers = ["left", "right"]
between = ["note"]
max_turns = ${TURNS}
`;
const NOTE = `import { agent } from "matrix";
export default agent(({ history }) => ({ hops: history.length }));
`;

async function withRecipe(
  use: (folder: string, endpoint: Endpoint) => Promise<void>,
  { rows = ROWS, endpoint = new Endpoint({ turnsFree: FREE }) } = {},
): Promise<void> {
  try {
    await withFolder(async (folder) => {
      await writeFile(join(folder, "recipe.toml"), RECIPE);
      await writeFile(join(folder, "note.ts"), NOTE);
      await writeFile(
        join(folder, "rows.jsonl"),
        Array.from({ length: rows }, (_, n) => `{"n":"row ${n}"}\n`).join(""),
      );
      await use(folder, endpoint);
    });
  } finally {
    await endpoint.stop();
  }
}

const drive = ["drive", "recipe.toml", "-q", "-o", "run"];
const optionsOf = (cwd: string, endpoint: Endpoint) => ({ cwd, env: { ENDPOINT: endpoint.url } });
/** Every dialogue is at the gate, once more than before. */
const atGate = (endpoint: Endpoint, times: number) =>
  until(() => endpoint.callsOf(FREE) === times * ROWS, `all rows wait, ${times}`);

/** Local hosts of the driver that runs now. */
async function workersOf(
  folder: string,
  driver: number,
): Promise<readonly { readonly name: string; readonly pid: number }[]> {
  const path = join(folder, "run/driver.json");
  if (!existsSync(path)) return [];
  const file = JSON.parse(await readFile(path, "utf8"));
  return file.driver.pid === driver ? file.workers.filter(isRunning) : [];
}

/** Requests that the manifest says are paid for. */
async function spentOf(folder: string): Promise<number> {
  const text = await readFile(join(folder, "run/manifest.json"), "utf8");
  return JSON.parse(text).spent.requests;
}

function isRunning({ pid }: { readonly pid: number }): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function expectPaidOnce(endpoint: Endpoint): void {
  for (let turn = 0; turn < TURNS; turn++) {
    expect(`turn ${turn}: ${endpoint.requestsOf(turn)} requests`).toBe(
      `turn ${turn}: ${ROWS} requests`,
    );
    if (turn !== FREE)
      expect(`turn ${turn}: ${endpoint.callsOf(turn)} calls`).toBe(`turn ${turn}: ${ROWS} calls`);
  }
}

const BEST = [
  'orchestrator={ pattern = "best-of-n", roles = ["left", "right", "note"], n = 4, parallel = true, score = "results.note.hops" }',
];

for (const more of [[], ["run.compress=true"]])
  test(`no finished turn is paid for twice when the only process is killed ${more}`, () =>
    withRecipe(async (folder, endpoint) => {
      const options = optionsOf(folder, endpoint);
      for (const time of [1, 2]) {
        const { child, finished } = spawnMatrix([...drive, ...more], options);
        await atGate(endpoint, time);
        // A driver that is killed forgets what it has not noted yet, which is half a second's.
        await until(async () => (await spentOf(folder)) >= FREE * ROWS, "the driver notes it");
        child.kill("SIGKILL");
        await finished;
      }
      endpoint.open();
      const { code, stdout, stderr } = await matrix([...drive, ...more], options);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(`expected ${ROWS} = ok ${ROWS} + failed 0 + lost 0`);
      // Answers that were paid for before the kill are in the records like the others.
      expect(stdout).toContain(
        `model: ${ROWS * TURNS} requests, ${ROWS * TURNS * 10} tokens in, ${ROWS * TURNS * 5} out, cost 1.0800`,
      );
      expectPaidOnce(endpoint);
      const { spent } = JSON.parse(await readFile(join(folder, "run/manifest.json"), "utf8"));
      expect(spent.requests).toBeGreaterThanOrEqual(ROWS * TURNS);
      expect(spent.cost).toBeGreaterThanOrEqual(1.08 - 1e-9);
      expect((await matrix(["verify", "run"], options)).code).toBe(0);
      // Nothing is kept of what is recorded.
      expect(existsSync(join(folder, "run/journal"))).toBe(false);
    }));

test("no finished turn is paid for twice when a worker, then the driver, then all are killed", () =>
  withRecipe(async (folder, endpoint) => {
    const options = optionsOf(folder, endpoint);
    const workers = [...drive, "--workers", "2"];
    const first = spawnMatrix(workers, options);
    await atGate(endpoint, 1);
    // The other one may have been too late to be given any.
    const answered = (await readdir(join(folder, "run/journal"))).map((name) =>
      name.split("-", 2).join("-"),
    );
    const { pid: victim = 0 } =
      (await workersOf(folder, first.child.pid)).find(({ name }) => answered.includes(name)) ?? {};
    process.kill(victim, "SIGKILL");
    const hasTwo = async ({ child }: typeof first) =>
      (await workersOf(folder, child.pid)).filter(({ pid }) => pid !== victim).length === 2;
    await until(
      async () => endpoint.callsOf(FREE) > ROWS && (await hasTwo(first)),
      "others have its dialogues",
    );
    first.child.kill("SIGKILL");
    await first.finished;
    const second = spawnMatrix(workers, options);
    await until(() => hasTwo(second), "the run goes on");
    const alive = await workersOf(folder, second.child.pid);
    second.child.kill("SIGKILL");
    await second.finished;
    for (const { pid } of alive) process.kill(pid, "SIGKILL");
    endpoint.open();
    const { code, stdout } = await matrix(workers, options);
    expect(stdout).toContain(`expected ${ROWS} = ok ${ROWS} + failed 0 + lost 0`);
    expect(code).toBe(0);
    expectPaidOnce(endpoint);
    expect(existsSync(join(folder, "run/journal"))).toBe(false);
  }));

test("no finished turn is paid for twice while one host after the other is killed under load", () =>
  withRecipe(
    async (folder, endpoint) => {
      const { child, finished } = spawnMatrix(
        [...drive, "--workers", "4"],
        optionsOf(folder, endpoint),
      );
      const killed = new Set<number>();
      for (let kill = 1; kill <= 4; kill++) {
        await until(() => endpoint.calls > kill * 150, "there is something to lose");
        const alive = async () =>
          (await workersOf(folder, child.pid)).filter(({ pid }) => !killed.has(pid));
        await until(async () => (await alive()).length > 1, "there are hosts");
        const [{ pid } = { pid: 0 }] = await alive();
        killed.add(pid);
        process.kill(pid, "SIGKILL");
      }
      const { code, stdout } = await finished;
      expect(stdout).toContain("expected 200 = ok 200 + failed 0 + lost 0");
      expect(code).toBe(0);
      expect([...endpoint.asked].length).toBe(200 * TURNS);
      expect(endpoint.calls).toBeGreaterThan(200 * TURNS);
      expect(endpoint.paidTwice).toBe(0);
    },
    { rows: 200, endpoint: new Endpoint({ latencyMs: 100 }) },
  ));

test("no finished turn of a branch is paid for twice", () =>
  withRecipe(async (folder, endpoint) => {
    const options = optionsOf(folder, endpoint);
    // Each candidate is two turns; the second waits.
    endpoint.close(1);
    const first = spawnMatrix([...drive, ...BEST], options);
    await until(() => endpoint.callsOf(1) === 4 * ROWS, "all candidates wait");
    first.child.kill("SIGKILL");
    await first.finished;
    endpoint.open();
    const { code, stdout } = await matrix([...drive, ...BEST], options);
    expect(stdout).toContain(`expected ${ROWS} = ok ${ROWS} + failed 0 + lost 0`);
    expect(code).toBe(0);
    expect([endpoint.requestsOf(0), endpoint.callsOf(0)]).toEqual([4 * ROWS, 4 * ROWS]);
    expect([endpoint.requestsOf(1), endpoint.callsOf(1)]).toEqual([4 * ROWS, 8 * ROWS]);
  }));

test("hosts that reach the run directory keep answers, and other hosts say that they cannot", () =>
  withRecipe(async (folder, endpoint) => {
    const options = optionsOf(folder, endpoint);
    const driver = spawnMatrix([...drive, "--listen", "127.0.0.1:0"], options);
    const file = join(folder, "run/driver.json");
    await until(() => existsSync(file), "the driver listens");
    const { url, token } = JSON.parse(await readFile(file, "utf8"));
    const far = spawnMatrix(["agent", "--role", "left,note", "--name", "far", "--join", url], {
      ...options,
      env: { ...options.env, MATRIX_TOKEN: token },
    });
    const near = spawnMatrix(
      ["agent", "--role", "right", "--name", "near", "--join", file],
      options,
    );
    await atGate(endpoint, 1);
    const writers = (await readdir(join(folder, "run/journal"))).map((name) => name.split("-")[0]);
    // The driver keeps what it admitted there, too.
    expect(writers.sort()).toEqual(["admitted.jsonl", "near"]);
    endpoint.open();
    expect((await driver.finished).code).toBe(0);
    await Promise.all([far.finished, near.finished]);
    const log = async (name: string) => readFile(join(folder, `run/logs/${name}.log`), "utf8");
    expect(await log("far")).toContain("it keeps no journal");
    expect(await log("near")).not.toContain("it keeps no journal");
  }));

test("a finished turn is paid for again only when its model has journal = false", () =>
  withRecipe(async (folder, endpoint) => {
    const options = optionsOf(folder, endpoint);
    const unkept = [...drive, "models.speaker.journal=false"];
    const first = spawnMatrix(unkept, options);
    await atGate(endpoint, 1);
    first.child.kill("SIGKILL");
    await first.finished;
    expect(await readdir(join(folder, "run/journal"))).toEqual(["admitted.jsonl"]);
    endpoint.open();
    expect((await matrix(unkept, options)).code).toBe(0);
    expect(endpoint.callsOf(0)).toBe(2 * ROWS);
  }));

test("a cache that cannot be written, or lies below a file, is refused before anything is asked", () =>
  withRecipe(async (folder, endpoint) => {
    endpoint.open();
    await writeFile(join(folder, "file"), "");
    for (const command of [drive, ["check", "recipe.toml"], [...drive, "--dry-run"]]) {
      for (const cache of ["file", "file/below/it"]) {
        const { code, stderr } = await matrix(
          [...command, `run.cache=${cache}`],
          optionsOf(folder, endpoint),
        );
        expect({ code, stderr }).toEqual({
          code: 2,
          stderr: expect.stringContaining(`run.cache: ${join(folder, "file")} is not a folder`),
        });
      }
    }
    await mkdir(join(folder, "closed"), { mode: 0o500 });
    const closed = await matrix([...drive, "run.cache=closed/cache"], optionsOf(folder, endpoint));
    // The superuser may write there.
    if (process.getuid?.() !== 0) expect(closed.stderr).toContain("run.cache: EACCES");
    expect(existsSync(join(folder, "run"))).toBe(process.getuid?.() === 0);
  }));

test("a cache answers every run that names it, and its answers cost nothing", () =>
  withRecipe(async (folder, endpoint) => {
    const options = optionsOf(folder, endpoint);
    endpoint.open();
    const cached = (output: string) => [
      "drive",
      "recipe.toml",
      "-q",
      "-o",
      output,
      "run.cache=cache",
    ];
    const all = await Promise.all([
      matrix(cached("one"), options),
      matrix([...cached("other"), "run.seed=1"], options),
    ]);
    expect(all.map(({ code }) => code)).toEqual([0, 0]);
    expect(endpoint.calls).toBe(2 * ROWS * TURNS);
    const again = await matrix([...cached("again"), "--workers", "2"], options);
    expect(again.stdout).toContain(`expected ${ROWS} = ok ${ROWS} + failed 0 + lost 0`);
    expect(endpoint.calls).toBe(2 * ROWS * TURNS);
    const none = { requests: 0, prompt_tokens: 0, completion_tokens: 0 };
    for (const { usage, cost, history } of await readRecords(join(folder, "again"))) {
      expect({ usage, cost }).toEqual({ usage: none, cost: 0 });
      for (const hop of history)
        if (hop.role !== "note") expect(hop).toMatchObject({ model: "real", usage: none, cost: 0 });
    }
    const said = async (run: string) =>
      (await readRecords(join(folder, run))).map(({ id, history }) => [
        id,
        history.map(({ result }) => result),
      ]);
    expect((await said("again")).sort()).toEqual((await said("one")).sort());
    // Another model is another question.
    await matrix([...cached("new"), "models.speaker.model=other"], options);
    expect(endpoint.calls).toBe(3 * ROWS * TURNS);
  }));
