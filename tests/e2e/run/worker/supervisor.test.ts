// Worker processes under supervision: real processes, really killed.

import { afterEach, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isRunning, startTimeOf } from "../../../../src/process.ts";
import {
  restartDelayMs,
  Supervisor,
  type SupervisorOptions,
  type WorkerDeath,
  type WorkerProcess,
} from "../../../../src/run/worker/supervisor.ts";
import { findDeno } from "../../../parts/deno.ts";
import { withFolder } from "../../../parts/folder.ts";
import { until } from "../../../parts/until.ts";

const WORKER = join(import.meta.dir, "fixtures/worker.ts");
const SUPERVISE = join(import.meta.dir, "fixtures/supervise.ts");

const supervisors: Supervisor[] = [];
afterEach(async () => {
  for (const supervisor of supervisors.splice(0)) await supervisor.stop(0);
});

type Setup = Partial<Pick<SupervisorOptions, "names" | "adopted" | "replacesLeavers">> & {
  readonly logs: string;
  readonly args: readonly string[];
};

/** Supervises workers that behave as `args` say, and collects their starts and deaths. */
function supervise({
  logs,
  args,
  names = ["worker-1"],
  adopted = [],
  replacesLeavers = false,
}: Setup) {
  const started: WorkerProcess[] = [];
  const deaths: { readonly name: string; readonly death: WorkerDeath }[] = [];
  const lines: string[] = [];
  const supervisor = new Supervisor({
    names,
    adopted,
    replacesLeavers,
    logs,
    command: () => ({ file: process.execPath, args: [WORKER, ...args], env: {} }),
    onStart: (worker) => started.push(worker),
    onDeath: (name, death) => deaths.push({ name, death }),
    log: {
      write: (level, message) => void lines.push(`${level} ${message}`),
      close: () => Promise.resolve(),
    },
  });
  supervisors.push(supervisor);
  supervisor.start();
  return { supervisor, started, deaths, lines };
}

const pidOf = (worker: WorkerProcess | undefined) => worker?.pid ?? 0;
const stderrOf = (logs: string, name = "worker-1") => {
  const path = join(logs, `${name}.stderr`);
  return existsSync(path) ? readFileSync(path, "utf8") : "";
};
const lives = (pid: number) => isRunning({ pid, startTime: null });

/** Starts a process that supervises one worker, and answers both. */
async function spawnSupervisor(
  logs: string,
  behaviour: string,
  runtime: readonly string[] = [process.execPath],
) {
  const env = { ...process.env, DENO_DIR: join(logs, "cache"), DENO_NO_UPDATE_CHECK: "1" };
  const child = Bun.spawn([...runtime, SUPERVISE, logs, behaviour], {
    env,
    stdout: "pipe",
    stderr: "inherit",
    stdin: "ignore",
  });
  const next = lineReader(child.stdout);
  return { child, worker: (await next()) as WorkerProcess, next };
}

/** Reads a stream that has one JSON value a line. */
function lineReader(stream: ReadableStream<Uint8Array>): () => Promise<unknown> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  return async () => {
    while (!text.includes("\n"))
      text += decoder.decode((await reader.read()).value, { stream: true });
    const line = text.slice(0, text.indexOf("\n"));
    text = text.slice(line.length + 1);
    return JSON.parse(line);
  };
}

describe("starting workers", () => {
  test("a killed worker is replaced at once", () =>
    withFolder(async (logs) => {
      const { supervisor, started, deaths } = supervise({
        logs,
        args: ["serve"],
        names: ["worker-1", "worker-2"],
      });
      expect(started.map(({ name }) => name)).toEqual(["worker-1", "worker-2"]);
      const killedAt = performance.now();
      process.kill(pidOf(started[0]), "SIGKILL");
      await until(() => started.length === 3, "the worker is replaced");
      console.log(`replaced ${Math.round(performance.now() - killedAt)} ms after SIGKILL`);
      expect(deaths).toEqual([
        {
          name: "worker-1",
          death: { code: null, signal: "SIGKILL", lastError: "", restartInMs: 0 },
        },
      ]);
      expect(started[2]?.name).toBe("worker-1");
      expect(supervisor.workers.map(({ pid }) => pid).sort()).toEqual(
        [pidOf(started[1]), pidOf(started[2])].sort(),
      );
    }));

  test("each further crash of a worker delays its next start, and the log says why", () =>
    withFolder(async (logs) => {
      const { deaths, lines } = supervise({ logs, args: ["throw"] });
      await until(() => deaths.length === 4, "four crashes");
      expect(deaths.map(({ death }) => death.restartInMs)).toEqual([0, 0, 250, 500]);
      expect(
        deaths.every(({ death }) => death.code === 1 && death.lastError.includes("the sky fell")),
      ).toBe(true);
      // The report has the last error of this life alone, and none of earlier lives.
      expect(deaths[3]?.death.lastError.match(/the sky fell/g)).toHaveLength(1);
      expect(lines).toContainEqual(
        expect.stringMatching(
          /^error worker-1 crashed \(exit 1\) and is started again at once; its last words: .*the sky fell/,
        ),
      );
      expect(lines).toContainEqual(
        expect.stringMatching(
          /started again in 0\.5 s, after 4 crashes in a row; its last words: .*the sky fell/,
        ),
      );
    }));

  test("a crashed worker waits at most 30 s for its next start", () => {
    expect([1, 2, 3, 4, 9, 10, 100, 10_000].map(restartDelayMs)).toEqual([
      0, 0, 250, 500, 16_000, 30_000, 30_000, 30_000,
    ]);
  });

  test("a worker that refuses its recipe (exit 2) is not started again, and its error is reported", () =>
    withFolder(async (logs) => {
      const { supervisor, started, deaths, lines } = supervise({ logs, args: ["refuse"] });
      await until(() => deaths.length === 1, "it refuses");
      expect(deaths[0]?.death).toEqual({
        code: 2,
        signal: null,
        lastError: "error: recipe.toml:3: unknown key",
        restartInMs: null,
      });
      expect(lines).toEqual([
        "error worker-1 cannot run (exit 2) and is not started again; its last words: error: recipe.toml:3: unknown key",
      ]);
      expect([started.length, supervisor.workers.length]).toEqual([1, 0]);
      await supervisor.stop(1000);
    }));

  test("a worker that leaves with exit 0 is not started again", () =>
    withFolder(async (logs) => {
      const { deaths, lines } = supervise({ logs, args: ["leave"] });
      await until(() => deaths.length === 1, "it leaves");
      expect(deaths[0]?.death).toMatchObject({ code: 0, restartInMs: null });
      expect(lines).toEqual(["info worker-1 has ended (exit 0)"]);
    }));

  test("a supervisor that replaces leavers starts a worker again after exit 0", () =>
    withFolder(async (logs) => {
      const { supervisor, started, lines } = supervise({
        logs,
        args: ["leave"],
        replacesLeavers: true,
      });
      await until(() => started.length > 1, "it is started again");
      expect(lines[0]).toBe("warning worker-1 left (exit 0) and is started again at once");
      await supervisor.stop(1000);
    }));

  test("a worker whose program is missing is reported like one that crashes", () =>
    withFolder(async (logs) => {
      const deaths: WorkerDeath[] = [];
      const supervisor = new Supervisor({
        names: ["worker-1"],
        adopted: [],
        logs,
        command: () => ({ file: join(logs, "nothing"), args: [], env: {} }),
        onStart: () => expect.unreachable(),
        onDeath: (_name, death) => deaths.push(death),
        log: { write: () => undefined, close: () => Promise.resolve() },
      });
      supervisors.push(supervisor);
      supervisor.start();
      await until(() => deaths.length === 3, "three tries");
      expect(deaths[2]).toMatchObject({
        code: null,
        signal: null,
        lastError: expect.stringContaining("ENOENT"),
        restartInMs: 250,
      });
    }));

  test("a worker runs although the file for its output cannot be opened", () =>
    withFolder(async (folder) => {
      const { supervisor, lines } = supervise({ logs: join(folder, "nowhere"), args: ["serve"] });
      expect(supervisor.workers).toHaveLength(1);
      expect(lines).toEqual([
        "warning what worker-1 prints is not kept: its file cannot be opened",
      ]);
    }));

  test("a killed worker leaves no child process behind", () =>
    withFolder(async (logs) => {
      const path = join(logs, "child");
      const { started, deaths } = supervise({ logs, args: ["leave-child", path] });
      await until(() => existsSync(path) && readFileSync(path, "utf8") !== "", "it has a child");
      const child = Number(readFileSync(path, "utf8"));
      expect(lives(child)).toBe(true);
      process.kill(pidOf(started[0]), "SIGKILL");
      await until(() => deaths.length === 1 && !lives(child), "its child is gone too");
    }));

  test("a worker may print without end: its last lines are kept, and the file stays small", () =>
    withFolder(async (logs) => {
      const { deaths } = supervise({ logs, args: ["flood"] });
      await until(() => deaths.length === 3, "three floods");
      expect(deaths.map(({ death }) => death.lastError)).toEqual(Array(3).fill("error: drowned"));
      // The file is cut at each start and now and then.
      await until(
        () => statSync(join(logs, "worker-1.stderr")).size < 1024 * 1024,
        "the file is small",
      );
    }));
});

describe("stopping workers", () => {
  test("a stopped supervisor lets workers leave in their own way", () =>
    withFolder(async (logs) => {
      const { supervisor, started, deaths } = supervise({ logs, args: ["leave-on-sigterm"] });
      await until(() => stderrOf(logs).includes("listening"), "it listens");
      await supervisor.stop(60_000);
      expect(deaths.map(({ death }) => death)).toEqual([
        { code: 0, signal: null, lastError: "", restartInMs: null },
      ]);
      expect(lives(pidOf(started[0]))).toBe(false);
      expect(supervisor.workers).toEqual([]);
    }));

  test("a stopped supervisor kills deaf and frozen workers when the grace time is over", () =>
    withFolder(async (logs) => {
      const { supervisor, started, deaths, lines } = supervise({
        logs,
        args: ["ignore-sigterm"],
        names: ["worker-1", "worker-2"],
      });
      await until(
        () => ["worker-1", "worker-2"].every((name) => stderrOf(logs, name).includes("deaf")),
        "both are deaf",
      );
      process.kill(pidOf(started[1]), "SIGSTOP");
      await supervisor.stop(50);
      expect(deaths.map(({ death }) => [death.signal, death.restartInMs])).toEqual([
        ["SIGKILL", null],
        ["SIGKILL", null],
      ]);
      expect(lines).toContain("warning worker-1 did not end within 0.05 s and was killed");
    }));

  test("a supervisor whose workers all wait for their next start stops at once and starts none", () =>
    withFolder(async (logs) => {
      const { supervisor, started, deaths } = supervise({ logs, args: ["throw"] });
      await until(() => deaths.length === 4, "it waits");
      await supervisor.stop(60_000);
      expect(started).toHaveLength(4);
    }));
});

describe("adopting workers", () => {
  test("workers of a killed supervisor go on, and the next supervisor adopts and replaces them", () =>
    withFolder(async (logs) => {
      const { child, worker } = await spawnSupervisor(logs, "chatter");
      await until(() => stderrOf(logs).includes("still here"), "the worker prints");
      child.kill("SIGKILL");
      await child.exited;
      const printed = stderrOf(logs).length;
      await until(() => stderrOf(logs).length > printed + 1000, "the worker goes on printing");
      expect(isRunning(worker)).toBe(true);

      const next = supervise({
        logs,
        args: ["serve"],
        adopted: [worker],
        names: ["worker-1", "worker-2"],
      });
      expect(next.started.map(({ name }) => name)).toEqual(["worker-2"]);
      expect(next.supervisor.workers).toContainEqual(worker);
      const killedAt = performance.now();
      process.kill(worker.pid, "SIGKILL");
      await until(() => next.started.length === 2, "the adopted worker is replaced");
      console.log(
        `adopted worker replaced ${Math.round(performance.now() - killedAt)} ms after SIGKILL`,
      );
      expect(next.deaths[0]).toMatchObject({
        name: "worker-1",
        death: { code: null, signal: null, restartInMs: 0 },
      });
      expect(next.deaths[0]?.death.lastError).toContain("still here");
    }));

  test("a supervisor stops adopted workers, also those whose names it does not want", () =>
    withFolder(async (logs) => {
      const { child, worker } = await spawnSupervisor(logs, "ignore-sigterm");
      await until(() => stderrOf(logs).includes("deaf"), "the worker is deaf");
      child.kill("SIGKILL");
      await child.exited;
      const { supervisor, started, deaths } = supervise({
        logs,
        args: ["serve"],
        names: ["other"],
        adopted: [worker],
      });
      expect(started.map(({ name }) => name)).toEqual(["other"]);
      await supervisor.stop(50);
      expect(lives(worker.pid)).toBe(false);
      expect(deaths.map(({ name, death }) => [name, death.restartInMs]).sort()).toEqual([
        ["other", null],
        ["worker-1", null],
      ]);
    }));

  test("a supervisor adopts no process that only has the pid of a worker", () =>
    withFolder(async (logs) => {
      const other = {
        name: "worker-1",
        pid: process.pid,
        startTime: `${startTimeOf(process.pid)}0`,
      };
      const { supervisor, started } = supervise({ logs, args: ["serve"], adopted: [other] });
      expect(started.map(({ name }) => name)).toEqual(["worker-1"]);
      expect(supervisor.workers).toHaveLength(1);
    }));

  test("a worker that watches its parent ends when its supervisor is killed", () =>
    withFolder(async (logs) => {
      const { child, worker } = await spawnSupervisor(logs, "watch-parent");
      await until(() => stderrOf(logs).includes("watching"), "the worker watches");
      expect(isRunning(worker)).toBe(true);
      child.kill("SIGKILL");
      await until(() => !isRunning(worker), "the worker is gone");
    }));
});

test("the output of an adopted worker can be cut under it", () =>
  withFolder(async (logs) => {
    const { child, worker } = await spawnSupervisor(logs, "chatter");
    child.kill("SIGKILL");
    await child.exited;
    appendFileSync(join(logs, "worker-1.stderr"), "y".repeat(2 * 1024 * 1024));
    supervise({ logs, args: ["serve"], adopted: [worker] });
    await until(() => stderrOf(logs).length < 100_000, "the file is cut");
    const length = stderrOf(logs).length;
    await until(() => stderrOf(logs).length > length, "the worker goes on printing at its end");
    expect(stderrOf(logs)).not.toContain("\0");
  }));

test("Deno supervises as Bun does", () =>
  withFolder(async (logs) => {
    const deno = findDeno();
    if (deno === null) {
      console.log("skipped: the deno package has no binary for this machine");
      return;
    }
    const { child, worker, next } = await spawnSupervisor(logs, "leave-on-sigterm", [
      deno,
      "run",
      "-A",
    ]);
    const listening = (times: number) => () =>
      stderrOf(logs).split("listening").length === times + 1;
    await until(listening(1), "the worker listens");
    process.kill(worker.pid, "SIGKILL");
    expect(await next()).toEqual({
      code: null,
      signal: "SIGKILL",
      lastError: expect.any(String),
      restartInMs: 0,
    });
    expect(isRunning((await next()) as WorkerProcess)).toBe(true);
    await until(listening(2), "its replacement listens");
    child.kill("SIGTERM");
    expect(await next()).toMatchObject({ code: 0, signal: null, restartInMs: null });
    expect(await child.exited).toBe(0);
  }));
