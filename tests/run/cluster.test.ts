// A driver and its hosts, in one process over real servers: how hosts join, play and leave.

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { DriverCalls } from "../../src/host/driver-calls.ts";
import type { Control } from "../../src/peer/control.ts";
import { readDriverFile } from "../../src/records/driver-file.ts";
import { createFinder, runDirectoryOf } from "../../src/run/join.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import type { RunContext, RunSettings } from "../../src/run/settings.ts";
import { runWorker } from "../../src/run/worker/worker.ts";
import { version } from "../../src/version.ts";
import { withFolder } from "../parts/folder.ts";
import { readRecords } from "../parts/records.ts";
import { until } from "../parts/until.ts";
import { prepareSmallRun, type SmallRun } from "./small-run.ts";

const HOSTS = {
  workers: 0,
  listen: { hostname: "127.0.0.1", port: 0 },
  insecure: false,
  patienceMs: 10_000,
};

/** Starts a run that waits for hosts, and resolves when its driver can be found. */
async function listen(
  folder: string,
  small: SmallRun = {},
  settings: Partial<RunSettings> = {},
  context: RunContext = {},
) {
  const plan = await prepareSmallRun(folder, small);
  const directory = join(folder, "run");
  const said: string[] = [];
  const display = () => ({ say: (line: string) => void said.push(line), stop: () => undefined });
  const summary = runRecipe(
    plan,
    { directory, hosts: HOSTS, ...settings },
    { display, ...context },
  );
  await until(async () => (await readDriverFile(directory)) !== null, "the driver listens");
  const file = await readDriverFile(directory);
  if (file === null) throw new Error("the driver listens");
  return { summary, directory, said, file };
}

interface HostSetup {
  readonly id?: string;
  readonly name?: string;
  readonly roles?: readonly string[] | null;
  readonly leave?: AbortSignal;
}

/** A host of the run in this directory, as a process of its own would be. */
function startHost(directory: string, folder: string, setup: HostSetup = {}) {
  const { id = "host-1", name = id, roles = null } = setup;
  const shown: string[] = [];
  const done = runWorker({
    ...{ id, name, replaces: null, lastError: "", roles, listen: null, insecure: false },
    find: createFinder(directory, null, false),
    runDirectory: () => runDirectoryOf(directory),
    ...{ patienceMs: 10_000, joinPatienceMs: 10_000, env: {}, cwd: folder },
    show: (line) => void shown.push(line),
    leave: setup.leave ?? new AbortController().signal,
  });
  return { shown, done };
}

test("a run on hosts waits for every role, plays on all hosts, and tells them when it is over", () =>
  withFolder(async (folder) => {
    const { summary, directory, said, file } = await listen(folder, { rows: 12 });
    expect(said).toEqual([
      `listening at ${file.url}; hosts join with: matrix agent --join ${directory}`,
    ]);
    const student = startHost(directory, folder, { id: "s", roles: ["student"] });
    const grader = startHost(directory, folder, { id: "g", name: "g-name", roles: ["grader"] });
    const ended = await summary;
    await Promise.all([student.done, grader.done]);
    expect(ended).toMatchObject({ state: "complete", expected: 12, ok: 12, error: null });
    expect(ended.wire_bytes).toBeGreaterThan(1000);
    expect(ended.spent.requests).toBe(12);
    for (const { history, status } of await readRecords(directory)) {
      expect(status).toBe("ok");
      expect(history.map(({ role, host }) => [role, host])).toEqual([
        ["student", "s"],
        ["grader", "g-name"],
      ]);
    }
    // What the driver wrote for hosts is gone with the run.
    expect(await readDriverFile(directory)).toBeNull();
    const log = await readFile(join(directory, "logs", "g-name.log"), "utf8");
    expect(log).toMatch(/info joined host=g-name run=\S+ roles=grader pid=\d+/);
  }));

test("a host that is told to leave hands over what waits, and another host goes on", () =>
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
    const log = await readFile(join(directory, "logs", "first.log"), "utf8");
    expect(log).toContain("leaving: hands over what waits and finishes what runs");
    expect(log).not.toContain("left before its work was done");
  }));

test("a host that asks for a role that the recipe lacks is refused with the roles that there are", () =>
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

test("the driver welcomes hosts of its version with the recipe, and refuses all others with a reason", () =>
  withFolder(async (folder) => {
    const drain = new AbortController();
    const small: SmallRun = {
      recipe: `
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
`,
      env: { KEY: "sk-secret" },
    };
    const settings = { env: { KEY: "sk-secret" } };
    const { summary, directory, file } = await listen(folder, small, settings, {
      drain: drain.signal,
    });
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
      run: file.run,
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

test("a driver that goes on keeps the run's name, its token and its port", () =>
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
    const port = Number(new URL(first.file.url).port);
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

test("a token that the user gives is the run's token", () =>
  withFolder(async (folder) => {
    const drain = new AbortController();
    const token = "a-token-that-the-user-chose";
    const { summary, file } = await listen(folder, {}, { token }, { drain: drain.signal });
    expect(file).toMatchObject({ token, hosts: [], workers: [], driver: { pid: process.pid } });
    expect(file.run).toMatch(/^[\w-]{12}$/);
    drain.abort();
    await summary;
  }));

test("a driver whose port is taken stops with usage, and says what to do", () =>
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
