// A driver and its hosts, in one process over real servers: how hosts join, play and leave.

import { afterAll, expect, test } from "bun:test";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { DriverCalls } from "../../src/host/driver-calls.ts";
import type { Control } from "../../src/peer/control.ts";
import { machineId, startTimeOf } from "../../src/process.ts";
import { createBundle } from "../../src/recipe/bundle.ts";
import { readDriverFile, writeDriverFile } from "../../src/records/driver-file.ts";
import { createFinder } from "../../src/run/join.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import type { JsonObject } from "../../src/task/json.ts";
import type { Hop } from "../../src/task/task.ts";
import { version } from "../../src/version.ts";
import { answering, createDriver, TOKEN } from "../host/driver-server.ts";
import { withEnv } from "../parts/env.ts";
import { withFolder } from "../parts/folder.ts";
import { readRecords } from "../parts/records.ts";
import { until } from "../parts/until.ts";
import { unusedPort } from "../parts/unused-port.ts";
import { HOSTS, listen, startHost } from "./small-cluster.ts";
import { prepareSmallRun, type SmallRun } from "./small-run.ts";

// Each host captures the console. Hosts of one process give it back in any order.
const { debug, log, info, warn, error } = console;
afterAll(() => void Object.assign(console, { debug, log, info, warn, error }));

test.concurrent("a run on hosts waits for every role, plays on all hosts, and tells them when it is over", () =>
  withFolder(async (folder) => {
    const { summary, directory, said, file } = await listen(folder, { rows: 12 });
    expect(file.token).toMatch(/^[\w-]{32}$/);
    await until(() => said.length > 0, "the driver tells how to join");
    expect(said).toEqual([
      `listening at ${file.url}; hosts join with: matrix agent --join ${directory}`,
    ]);
    const student = startHost(directory, folder, { id: "s", roles: ["student"] });
    const grader = startHost(directory, folder, { id: "g", name: "g-name", roles: ["grader"] });
    const ended = await summary;
    await Promise.all([student.done, grader.done]);
    expect(ended).toMatchObject({ state: "complete", expected: 12, ok: 12, error: null });
    expect([student.shown, grader.shown]).toEqual([
      [`s: joined the run at ${file.url} with student`, "s: the run is complete: leaving"],
      [`g-name: joined the run at ${file.url} with grader`, "g-name: the run is complete: leaving"],
    ]);
    expect(ended.wire_bytes).toBeGreaterThan(1000);
    expect(ended.spent.requests).toBe(12);
    for (const { history, status } of await readRecords(directory)) {
      expect(status).toBe("ok");
      expect(history.map(({ role, host }) => [role, host])).toEqual([
        ["student", "s"],
        ["grader", "g-name"],
      ]);
    }
    // The file that the driver wrote for hosts is removed at the end of the run.
    expect(await readDriverFile(directory)).toBeNull();
    const text = await readFile(join(directory, "logs", "g-name.log"), "utf8");
    expect(text).toMatch(/info joined host=g-name run=\S+ roles=grader pid=\d+/);
  }));

test.concurrent("a host that is told to leave hands over what waits, and another host goes on", () =>
  withFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    const arrived: number[] = [];
    Object.assign(globalThis, {
      leaving: (n: number) => (arrived.push(n) > 0 ? gate.promise : null),
    });
    const files = {
      "grade.ts":
        "export default async ({ row }) => { await globalThis.leaving(row.n); return { score: 1 }; };\n",
    };
    const overrides = ["roles.grader.concurrency=2"];
    const { summary, directory } = await listen(folder, { rows: 8, files, overrides });
    const leaving = new AbortController();
    const first = startHost(directory, folder, { id: "first", leave: leaving.signal });
    await until(() => arrived.length === 2, "two steps run on the first host");
    // The next driver of the run would wait for this host.
    await until(
      async () => (await readDriverFile(directory))?.hosts.join() === "first",
      "the driver's file names the host",
    );
    leaving.abort();
    const second = startHost(directory, folder, { id: "second" });
    await until(() => arrived.length === 4, "two steps run on the second host");
    gate.resolve();
    await first.done;
    expect(await summary).toMatchObject({ state: "complete", ok: 8, failed: 0 });
    await second.done;
    const records = await readRecords(directory);
    const graders = records.map(({ history }) => history[1]?.host);
    expect(new Set(graders)).toEqual(new Set(["first", "second"]));
    expect(records.every(({ attempt }) => attempt === 1)).toBe(true);
    const text = await readFile(join(directory, "logs", "first.log"), "utf8");
    expect(text).toContain("leaving: hands over what waits and finishes what runs");
    expect(text).not.toContain("left before its work was done");
  }));

test.concurrent("a host that has handed on its tasks stays until their next hosts have handed them on, too", () =>
  withFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    const arrived: number[] = [];
    Object.assign(globalThis, {
      keeping: (n: number) => (arrived.push(n) > 0 ? gate.promise : null),
    });
    const files = {
      "grade.ts":
        "export default async ({ row }) => { await globalThis.keeping(row.n); return { score: 1 }; };\n",
    };
    const { summary, directory } = await listen(folder, { rows: 3, files });
    const leaving = new AbortController();
    const roles = ["student"];
    const student = startHost(directory, folder, { id: "s", roles, leave: leaving.signal });
    const grader = startHost(directory, folder, { id: "g", roles: ["grader"] });
    await until(() => arrived.length === 3, "all tasks are at the second host");
    leaving.abort();
    const path = join(directory, "logs", "s.log");
    const read = () => readFile(path, "utf8").catch(() => "");
    await until(async () => (await read()).includes("leaving: hands over"), "the host is leaving");
    gate.resolve();
    await student.done;
    expect(await summary).toMatchObject({ state: "complete", ok: 3 });
    await grader.done;
    expect(await read()).not.toContain("left before its work was done");
  }));

test.concurrent("a host that is told to leave does so when run.grace is over, and others take over its tasks", () =>
  withFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    const arrived: number[] = [];
    Object.assign(globalThis, {
      graceless: (n: number) => (arrived.push(n) > 0 ? gate.promise : null),
    });
    const files = {
      "grade.ts":
        "export default async ({ row }) => { await globalThis.graceless(row.n); return { score: 1 }; };\n",
    };
    const overrides = ['run.grace="30ms"'];
    const { summary, directory } = await listen(folder, { rows: 3, files, overrides });
    const leaving = new AbortController();
    const first = startHost(directory, folder, { id: "first", leave: leaving.signal });
    await until(() => arrived.length === 3, "all steps run on the first host");
    leaving.abort();
    await first.done;
    gate.resolve();
    const second = startHost(directory, folder, { id: "second" });
    expect(await summary).toMatchObject({ state: "complete", ok: 3 });
    await second.done;
    for (const { history } of await readRecords(directory)) expect(history[1]?.host).toBe("second");
    const text = await readFile(join(directory, "logs", "first.log"), "utf8");
    expect(text).toMatch(
      /left before its work was done \(run\.grace\): other hosts take it over .*held=3 sent=0/,
    );
  }));

test.concurrent("a host that asks for a role that the recipe lacks is refused with the roles that there are", () =>
  withFolder(async (folder) => {
    const drain = new AbortController();
    const { summary, directory } = await listen(folder, {}, {}, { drain: drain.signal });
    const host = startHost(directory, folder, { roles: ["student", "judge"] });
    await expect(host.done).rejects.toMatchObject({
      code: "usage",
      message: "--role judge: the recipe has no such role",
      hint: "its roles: student, grader",
    });
    drain.abort();
    expect(await summary).toMatchObject({ state: "stopped", ok: 0 });
  }));

const WITH_KEY = `
name = "keys"
[dataset]
path = "rows.jsonl"
[models.m]
kind = "openai"
model = "x"
base_url = "http://127.0.0.1:9/v1"
api_key = "\${env:KEY}"
[roles.student]
agent = "llm"
model = "m"
prompt = { text = "hi" }
[orchestrator]
pattern = "sequence"
roles = ["student"]
`;

test.concurrent("the driver welcomes hosts of its version with the recipe, and refuses all others with a reason", () =>
  withFolder(async (folder) => {
    const drain = new AbortController();
    const small: SmallRun = {
      recipe: WITH_KEY,
      env: { KEY: "sk-secret" },
    };
    const settings = { env: { KEY: "sk-secret" } };
    const { summary, directory, file } = await listen(folder, small, settings, {
      drain: drain.signal,
    });
    // A host learns with which files and secrets it works, so that it can tell when they change.
    const run = expect.stringMatching(new RegExp(`^${file.run}\\.[0-9a-f]{16}$`));
    const calls = new DriverCalls("host-1", createFinder(directory, null, false));
    const join = (question: Partial<Control<"join">>) =>
      calls.call(
        "join",
        "join",
        { program: version, name: "worker-1", replaces: null, ...question },
        "welcome",
        10_000,
      );
    expect(await join({})).toMatchObject({
      run,
      roles: ["student"],
      bundle: { secrets: { KEY: "sk-secret" } },
    });
    expect(await join({ program: "0.0.1" })).toEqual({
      refused: `the driver is matrix ${version}, this host is 0.0.1: use one version on all nodes`,
    });
    for (const name of ["driver", "a/b", ""])
      expect(await join({ name })).toEqual({
        refused: `"${name}" cannot be the name of a host`,
      });
    calls.close();
    drain.abort();
    await summary;
  }));

test.concurrent("a driver that goes on keeps the run's name, its token and its port", () =>
  withFolder(async (folder) => {
    const earlier = {
      format: "matrix-driver-1",
      url: "http://127.0.0.1:1",
      token: "the-token-of-before",
      run: "the-run-of-before",
      driver: { pid: 1, machine: "another" },
      hosts: ["gone"],
      workers: [],
    };
    const first = await listen(folder, { rows: 2 });
    const host = startHost(first.directory, folder);
    await first.summary;
    await host.done;
    const port = await unusedPort();
    const url = `http://127.0.0.1:${port}`;
    await writeFile(join(first.directory, "driver.json"), JSON.stringify({ ...earlier, url }));
    const drain = new AbortController();
    const overrides = ["run.trials=2"];
    const plan = await prepareSmallRun(folder, { rows: 2, overrides });
    const settings = { directory: first.directory, hosts: { ...HOSTS, patienceMs: 1000 } };
    const summary = runRecipe(plan, settings, { drain: drain.signal });
    await until(
      async () => (await readDriverFile(first.directory))?.driver.pid === process.pid,
      "the next driver listens",
    );
    const file = await readDriverFile(first.directory);
    expect(file).toMatchObject({ url, run: earlier.run, token: earlier.token, hosts: ["gone"] });
    drain.abort();
    await summary;
  }));

test.concurrent("a driver without workers of its own adopts those of the driver before it, and ends them", () =>
  withFolder(async (folder) => {
    const directory = join(folder, "run");
    await runRecipe(await prepareSmallRun(folder, { rows: 1 }), { directory });
    const child = Bun.spawn(["sleep", "60"]);
    const worker = { name: "w", id: "w-1", pid: child.pid, startTime: startTimeOf(child.pid) };
    await writeDriverFile(directory, {
      ...{ format: "matrix-driver-1", url: "http://127.0.0.1:1", token: "t".repeat(16), run: "r" },
      driver: { pid: 1, machine: machineId() },
      ...{ hosts: [], workers: [worker] },
    });
    const drain = new AbortController();
    const small: SmallRun = { rows: 1, overrides: ["run.trials=2"] };
    const context = { drain: drain.signal };
    const plan = await prepareSmallRun(folder, small);
    const summary = runRecipe(plan, { directory, hosts: HOSTS }, context);
    await until(
      async () => (await readDriverFile(directory))?.driver.pid === process.pid,
      "the next driver listens",
    );
    expect(child.signalCode).toBeNull();
    drain.abort();
    expect((await summary).state).toBe("stopped");
    await child.exited;
    expect(child.signalCode).toBe("SIGTERM");
  }));

test.concurrent("a driver listens at the port that the user asks for, whatever the driver before it had", () =>
  withFolder(async (folder) => {
    const drain = new AbortController();
    const context = { drain: drain.signal };
    const free = await listen(folder, {}, {}, context);
    const port = await unusedPort();
    drain.abort();
    await free.summary;
    const earlier = { ...free.file, url: "http://127.0.0.1:1" };
    await writeFile(join(free.directory, "driver.json"), JSON.stringify(earlier));
    const hosts = { ...HOSTS, listen: { hostname: "127.0.0.1", port } };
    const plan = await prepareSmallRun(folder);
    const next = new AbortController();
    const settings = { directory: free.directory, hosts };
    const summary = runRecipe(plan, settings, { drain: next.signal });
    await until(
      async () => (await readDriverFile(free.directory))?.url === `http://127.0.0.1:${port}`,
      "the next driver listens at that port",
    );
    next.abort();
    await summary;
  }));

test.concurrent("a token that the user gives is the run's token", () =>
  withFolder(async (folder) => {
    const drain = new AbortController();
    const token = "a-token-that-the-user-chose";
    const { summary, file } = await listen(folder, {}, { token }, { drain: drain.signal });
    expect(file).toMatchObject({ token, hosts: [], workers: [], driver: { pid: process.pid } });
    expect(file.run).toMatch(/^[\w-]{12}$/);
    drain.abort();
    await summary;
  }));

test.concurrent("a driver whose port is taken stops with usage, and says what to do", () =>
  withFolder(async (folder) => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    const plan = await prepareSmallRun(folder);
    const hosts = { ...HOSTS, listen: { hostname: "127.0.0.1", port } };
    const summary = await runRecipe(plan, { directory: join(folder, "run"), hosts });
    expect(summary).toMatchObject({ state: "stopped", ok: 0, wire_bytes: null });
    expect(summary.error).toMatchObject({
      code: "usage",
      message: expect.stringMatching(new RegExp(`^cannot listen on 127.0.0.1:${port}: `)),
      hint: "another program may hold the port; port 0 takes a free one",
    });
    other.close();
  }));

test.concurrent("a driver on every address tells hosts one that they can reach, over TLS, and plays there", () =>
  withFolder(async (folder) => {
    const hosts = { ...HOSTS, listen: { hostname: "0.0.0.0", port: 0 } };
    const { summary, directory, file } = await listen(folder, { rows: 2 }, { hosts });
    expect(file.url).toMatch(/^https:\/\/(?!0\.0\.0\.0)[\d.]+:\d+$/);
    const host = startHost(directory, folder);
    expect(await summary).toMatchObject({ state: "complete", ok: 2 });
    await host.done;
    const address = await addressIn(directory);
    expect(address).toStartWith("https://");
    expect(new URL(address).hostname).toBe(new URL(file.url).hostname);
  }));

test.concurrent("a driver and a host on several networks are reached under the names that they advertise", () =>
  withFolder(async (folder) => {
    const listenAt = { hostname: "127.0.0.1", port: 0 };
    const hosts = { ...HOSTS, listen: listenAt, advertise: "localhost" };
    const { summary, directory, file } = await listen(folder, {}, { hosts });
    expect(file.url).toMatch(/^http:\/\/localhost:\d+$/);
    const host = startHost(directory, folder, { advertise: "localhost" });
    await summary;
    await host.done;
    expect(await addressIn(directory)).toMatch(/^http:\/\/localhost:\d+$/);
  }));

/** The address at which the one host of a run was reached, as the driver's log has it. */
async function addressIn(directory: string): Promise<string> {
  const text = await readFile(join(directory, "logs", "driver.log"), "utf8");
  return /host-1 joined .*address=(\S+)/.exec(text)?.[1] ?? "";
}

test.concurrent("a host beside a driver on loopback listens there, too", () =>
  withFolder(async (folder) => {
    const { summary, directory } = await listen(folder, { rows: 1 });
    const host = startHost(directory, folder);
    await summary;
    await host.done;
    expect(await addressIn(directory)).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  }));

test.concurrent("a driver starts the workers that the user asks for, and they play the run", () =>
  withFolder(async (folder) => {
    const hosts = { ...HOSTS, workers: 1, listen: null };
    const { summary, directory, said } = await listen(folder, { rows: 3 }, { hosts });
    expect(await summary).toMatchObject({ state: "complete", ok: 3 });
    expect(said).toEqual([]);
    for (const { history } of await readRecords(directory))
      expect(history.map(({ host }) => host)).toEqual(["worker-1", "worker-1"]);
  }));

test("a run whose workers cannot run fails with the reason of the first", () =>
  withFolder(async (folder) =>
    withEnv({ MATRIX_TOKEN: "weak" }, async () => {
      const hosts = { ...HOSTS, workers: 1, listen: null };
      const { summary } = await listen(folder, { rows: 1 }, { hosts });
      expect(await summary).toMatchObject({ state: "stopped", ok: 0, abandoned: 0 });
      const { error } = await summary;
      expect(error?.code).toBe("host_lost");
      expect(error?.message).toStartWith("no worker can run: ");
      expect(error?.message).toContain("the token of MATRIX_TOKEN is too weak");
    }),
  ));

test("a host leaves nothing in the folder for temporary files", () =>
  withFolder(async (folder) => {
    const temporary = join(folder, "temporary");
    await mkdir(temporary);
    await withEnv({ TMPDIR: temporary }, async () => {
      const { summary, directory } = await listen(folder, { rows: 1 });
      const host = startHost(directory, folder);
      await summary;
      await host.done;
      expect(await readdir(temporary)).toEqual([]);
    });
  }));

test.concurrent("secrets stay at a driver that other machines reach in cleartext", () =>
  withFolder(async (folder) => {
    const drain = new AbortController();
    const hosts = { ...HOSTS, listen: { hostname: "0.0.0.0", port: 0 }, insecure: true };
    const small: SmallRun = { recipe: WITH_KEY, env: { KEY: "sk-secret" } };
    const settings = { hosts, env: { KEY: "sk-secret" } };
    const context = { drain: drain.signal };
    const { summary, directory, file } = await listen(folder, small, settings, context);
    expect(file.url).toMatch(/^http:/);
    const calls = new DriverCalls("host-1", createFinder(directory, null, true));
    const question = { program: version, name: "worker-1", replaces: null };
    const welcome = await calls.call("join", "join", question, "welcome", 10_000);
    expect(welcome !== null && "bundle" in welcome && welcome.bundle.secrets).toEqual({});
    calls.close();
    drain.abort();
    await summary;
  }));

test.concurrent("a host tells the driver of the crash before it", () =>
  withFolder(async (folder) => {
    const { summary, directory } = await listen(folder, { rows: 1 });
    const host = startHost(directory, folder, { lastError: "Error: the sky fell" });
    await Promise.all([summary, host.done]);
    const text = await readFile(join(directory, "logs", "host-1.log"), "utf8");
    expect(text).toMatch(/error the process before this one crashed .*the sky fell/);
  }));

test.concurrent("a host leaves when its driver is silent for longer than its patience", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder);
    const { recipe, files, secrets } = await createBundle(plan.loaded, {
      env: {},
      withSecrets: true,
    });
    let beats = 0;
    const driver = await createDriver({
      join: answering("join", "welcome", () => ({
        ...{ run: "r", roles: ["student", "grader"] },
        bundle: { recipe, files: { ...files }, secrets: { ...secrets } },
      })),
      beat: answering("beat", "heard", () => {
        beats++;
        return { state: "forming", joining: "d/1", rated: [], ended: [], list: null };
      }),
    });
    const find = async () => ({ url: driver.url, token: TOKEN });
    const host = startHost(folder, folder, { find, patienceMs: 100 });
    await until(() => beats > 0, "the host beats");
    await driver.stop();
    await host.done;
    expect(host.shown).toContain("host-1: no word from the driver for 0.1 s (--patience): leaving");
  }));

test.concurrent("a host that is told to leave before there is a driver ends without a word", () =>
  withFolder(async (folder) => {
    const host = startHost(folder, folder, { leave: AbortSignal.abort() });
    await host.done;
    expect(host.shown).toEqual([]);
  }));

const BOXED = `
name = "boxed"
[dataset]
path = "rows.jsonl"
[run]
concurrency = 30
[sandboxes.box]
engine = "process"
[roles.first]
agent = "exec"
sandbox = "box"
with = { command = ["sh", "-c", "pwd"] }
[roles.second]
agent = "exec"
sandbox = "box"
concurrency = 1
with = { command = ["sh", "-c", "sleep 0.05; pwd"] }
[roles.opener]
agent = "grade.ts"
[roles.closer]
agent = "grade.ts"
[orchestrator]
pattern = "sequence"
roles = ["opener", "first", "second", "closer"]
`;

const stdoutOf = (hop: Hop | undefined) => (hop?.result as JsonObject | undefined)?.["stdout"];

test.concurrent("a task stays with the host that has its sandbox", () =>
  withFolder(async (folder) => {
    const { summary, directory } = await listen(folder, { rows: 60, recipe: BOXED });
    // Each host has a role of its own, so the run begins when both are there.
    const hosts = ["opener", "closer"].map((own) =>
      startHost(directory, folder, { id: own, roles: [own, "first", "second"] }),
    );
    expect(await summary).toMatchObject({ state: "complete", ok: 60 });
    await Promise.all(hosts.map(({ done }) => done));
    const records = await readRecords(directory);
    for (const { history } of records) {
      const [, first, second] = history;
      expect([second?.host, stdoutOf(second)]).toEqual([first?.host, stdoutOf(first)]);
    }
    // Hosts learn of each other by their beats. The later tasks are shared between them.
    expect(new Set(records.map(({ history }) => history[1]?.host)).size).toBe(2);
  }));

const KEEPERS = `
name = "keepers"
[dataset]
path = "rows.jsonl"
[sandboxes.stateful]
engine = "process"
[sandboxes.own]
engine = "process"
stateful = false
serves = "one"
[sandboxes.shared]
engine = "process"
stateful = false
[roles.a]
agent = "exec"
sandbox = "stateful"
with = { command = ["true"] }
[roles.b]
agent = "exec"
sandbox = "own"
with = { command = ["true"] }
[roles.c]
agent = "exec"
sandbox = "shared"
with = { command = ["true"] }
[roles.d]
agent = "grade.ts"
[orchestrator]
pattern = "sequence"
roles = ["a", "b", "c", "d"]
`;

/** The run as the driver names it to a host that joins. */
async function runOf(calls: DriverCalls): Promise<string> {
  const question = { program: version, name: "asks", replaces: null };
  const welcome = await calls.call("join", "join", question, "welcome", 10_000);
  if (welcome === null || "refused" in welcome) throw new Error("the driver refuses the host");
  return welcome.run;
}

/** Beats as a leaving host of one role, until the run is over. Returns the rows that ended. */
async function watchEnds(directory: string, role: string): Promise<string[]> {
  const calls = new DriverCalls(`watches-${role}`, createFinder(directory, null, false));
  const ended: string[] = [];
  const spent = { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0 };
  const self = { id: `watches-${role}`, name: role, roles: [role], address: "http://127.0.0.1:9" };
  const beat = {
    ...{ run: await runOf(calls), host: { ...self, leaving: true }, load: {}, known: null },
    ...{ bytes: 0, spent },
  };
  await until(async () => {
    const heard = await calls.call("beat", "beat", beat, "heard", 10_000);
    for (const [rowId] of heard?.ended ?? []) ended.push(rowId);
    return heard?.state === "over";
  }, "the run is over");
  const goodbye = { id: self.id, why: "left", spent } as const;
  await calls.call("leave", "leave", goodbye, "done", 10_000);
  calls.close();
  return ended.sort();
}

test.concurrent("hosts of roles that keep something of a task in a sandbox are told of its end", () =>
  withFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    Object.assign(globalThis, { watched: () => gate.promise });
    const files = {
      "grade.ts": "export default async () => { await globalThis.watched(); return 1; };\n",
    };
    const small: SmallRun = { rows: 2, recipe: KEEPERS, files };
    const { summary, directory } = await listen(folder, small);
    const isKnown = (count: number) =>
      until(
        async () => (await readDriverFile(directory))?.hosts.length === count,
        `the driver knows ${count} hosts`,
      );
    const host = startHost(directory, folder);
    await isKnown(1);
    const watching = ["a", "b", "c", "d"].map((role) => watchEnds(directory, role));
    await isKnown(5);
    gate.resolve();
    expect(await summary).toMatchObject({ state: "complete", ok: 2 });
    await host.done;
    expect(await Promise.all(watching)).toEqual([["0", "1"], ["0", "1"], [], []]);
  }));

test.concurrent("a driver whose directory was taken over leaves driver.json and the hosts to the next one", () =>
  withFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    const arrived: number[] = [];
    Object.assign(globalThis, {
      inherited: (n: number) => (arrived.push(n) > 0 ? gate.promise : null),
    });
    const files = {
      "grade.ts":
        "export default async ({ row }) => { await globalThis.inherited(row.n); return { score: 1 }; };\n",
    };
    const { summary, directory } = await listen(folder, { rows: 2, files });
    const host = startHost(directory, folder);
    await until(() => arrived.length === 2, "all tasks are in flight");
    const before = await readFile(join(directory, "driver.json"), "utf8");
    const holder = { host: "far", machine: "far", pid: 1, startTime: null, since: "2026" };
    await writeFile(join(directory, "lock.2"), JSON.stringify(holder));
    await rm(join(directory, "lock.1"));
    expect(await summary).toMatchObject({ state: "stopped", error: { code: "run_taken" } });
    expect(await readFile(join(directory, "driver.json"), "utf8")).toBe(before);
    // The host was not told that the run is over: it goes on with the driver that comes next.
    await writeFile(join(directory, "lock.2"), JSON.stringify({ ...holder, released: true }));
    const plan = await prepareSmallRun(folder, { rows: 2, files });
    const next = runRecipe(plan, { directory, hosts: HOSTS });
    gate.resolve();
    expect(await next).toMatchObject({ state: "complete", ok: 2, failed: 0 });
    await host.done;
    const records = await readRecords(directory);
    expect(records.map(({ attempt }) => attempt)).toEqual([1, 1]);
    expect(arrived).toHaveLength(2);
  }));

test.concurrent("a driver has an id of its own in each of its lives, which hosts that join are told", () =>
  withFolder(async (folder) => {
    const drain = new AbortController();
    const context = { drain: drain.signal };
    const { summary, directory } = await listen(folder, {}, {}, context);
    const calls = new DriverCalls("host-1", createFinder(directory, null, false));
    const spent = { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0 };
    const host = { id: "host-1", name: "h", roles: [], address: "http://127.0.0.1:9" };
    const beat = {
      ...{ run: await runOf(calls), host: { ...host, leaving: false } },
      ...{ load: {}, known: null, bytes: 0, spent },
    };
    const heard = await calls.call("beat", "beat", beat, "heard", 10_000);
    const task = { row: "0", trial: 0 };
    const recording = await calls.call("recorded", "recorded", task, "recording", 10_000);
    expect(recording).toEqual({ redraws: 0, record: null });
    expect(heard?.joining).toMatch(/^driver-[\w-]{10}\.[\w-]{15}\/\d+$/);
    const goodbye = { id: host.id, why: "left", spent } as const;
    await calls.call("leave", "leave", goodbye, "done", 10_000);
    calls.close();
    drain.abort();
    await summary;
  }));

test.concurrent("a driver's file that cannot be removed at the end is a warning, not the end of a run", () =>
  withFolder(async (folder) => {
    const { summary, directory, said, file } = await listen(folder, { rows: 2 });
    // Nothing removes a folder in the place of the file.
    await rm(join(directory, "driver.json"));
    await mkdir(join(directory, "driver.json", "in the way"), { recursive: true });
    const host = startHost(directory, folder, { find: async () => file });
    expect(await summary).toMatchObject({ state: "complete", ok: 2, error: null });
    await host.done;
    expect(said.join("\n")).toContain("the driver's file could not be removed");
    const manifest = JSON.parse(await readFile(join(directory, "manifest.json"), "utf8"));
    expect(manifest.state).toBe("complete");
  }));
