// Workers under supervision, as short shell scripts. Workers that outlive their supervisor are in
// tests/e2e/run/worker.

import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { EXIT_REJOIN, EXIT_TOLD } from "../../../src/error.ts";
import { isRunning, startTimeOf } from "../../../src/process.ts";
import {
  restartDelayMs,
  STARTS_MAX,
  Supervisor,
  type SupervisorOptions,
  type WorkerDeath,
  type WorkerProcess,
} from "../../../src/run/worker/supervisor.ts";
import { withFolder } from "../../parts/folder.ts";
import { keptLog } from "../../parts/kept-log.ts";
import { until } from "../../parts/until.ts";

const supervisors: Supervisor[] = [];
afterEach(async () => {
  for (const supervisor of supervisors.splice(0)) await supervisor.stop(0);
});

type Setup = Partial<
  Pick<
    SupervisorOptions,
    "names" | "adopted" | "replacesLeavers" | "echo" | "confirm" | "hasJoined"
  >
>;

/** Supervises workers that run this script. */
function supervise(logs: string, script: string, setup: Setup = {}) {
  const started: WorkerProcess[] = [];
  const deaths: [name: string, death: WorkerDeath][] = [];
  const { log, lines } = keptLog();
  const supervisor = new Supervisor({
    ...{ names: ["w"], adopted: [], logs, log, ...setup },
    command: (name) => ({ file: "/bin/sh", args: ["-c", script, "sh", name], env: { A: "1" } }),
    onStart: (worker) => void started.push(worker),
    onDeath: (name, death) => void deaths.push([name, death]),
  });
  supervisors.push(supervisor);
  supervisor.start();
  return { supervisor, started, deaths, lines };
}

const ended = ({ deaths }: ReturnType<typeof supervise>, count = 1) =>
  until(() => deaths.length >= count, `${count} workers have ended`);
const deathOf = (more: Partial<WorkerDeath>): WorkerDeath => ({
  ...{ code: null, signal: null, lastError: "", restartInMs: null },
  ...more,
});

test("a worker is started again at once twice, and then after pauses that double up to 30 s", () => {
  const pauses = Array.from({ length: 12 }, (_, index) => restartDelayMs(index + 1));
  expect(pauses).toEqual([
    ...[0, 0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
  ]);
});

test("a worker runs under its name, and is known by its number and start time", () =>
  withFolder(async (logs) => {
    const { supervisor, started } = supervise(logs, "sleep 60", { names: ["a", "b"] });
    expect(started.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(supervisor.workers).toEqual(started);
    for (const { pid, startTime } of started) expect(startTime).toBe(startTimeOf(pid));
    await supervisor.stop(10_000);
    expect(supervisor.workers).toEqual([]);
    expect(started.some(isRunning)).toBe(false);
  }));

test("a worker that crashes is started again, and the log says why", () =>
  withFolder(async (logs) => {
    const stage = supervise(logs, "echo 'Error: no' >&2; echo '  at a' >&2; exit 1");
    await ended(stage, 3);
    expect(stage.deaths.slice(0, 3).map(([, death]) => death)).toEqual(
      [0, 0, 250].map((restartInMs) =>
        deathOf({ code: 1, lastError: "Error: no\n  at a", restartInMs }),
      ),
    );
    const at = (when: string) =>
      `error w crashed (exit 1) and is started again ${when}; its last words: Error: no`;
    expect(stage.lines.filter((line) => line.startsWith("error")).slice(0, 3)).toEqual([
      at("at once"),
      at("at once"),
      at("in 0.25 s, after 3 crashes in a row"),
    ]);
    expect(stage.lines[1]).toBe('info the last words of w {"stderr":"Error: no\\n  at a"}');
  }));

test("a worker that leaves on purpose is not started again, and its output is not an error", () =>
  withFolder(async (logs) => {
    const stage = supervise(logs, "echo 'Error: no' >&2; exit 0");
    await ended(stage);
    expect(stage.deaths).toEqual([["w", deathOf({ code: 0 })]]);
    expect(stage.lines).toEqual(["info w has ended (exit 0)"]);
    await stage.supervisor.stop(10_000);
    expect(stage.started).toHaveLength(1);
  }));

test("a worker that is to join anew begins another life, and its output is not an error", () =>
  withFolder(async (logs) => {
    const stage = supervise(logs, `echo 'Error: no' >&2; exit ${EXIT_REJOIN}`);
    await ended(stage, 2);
    expect(stage.deaths[0]).toEqual(["w", deathOf({ code: EXIT_REJOIN, restartInMs: 0 })]);
    expect(stage.lines[0]).toBe("info w begins another life at once");
  }));

test("a worker that was told to leave is not started again, and its output is not an error", () =>
  withFolder(async (logs) => {
    const stage = supervise(logs, `echo 'Error: no' >&2; exit ${EXIT_TOLD}`);
    await ended(stage);
    expect(stage.deaths).toEqual([["w", deathOf({ code: EXIT_TOLD })]]);
    expect(stage.lines).toEqual([`info w has ended (exit ${EXIT_TOLD})`]);
  }));

test("a worker that leaves on purpose is started again where leavers are replaced", () =>
  withFolder(async (logs) => {
    const stage = supervise(logs, "exit 0", { replacesLeavers: true });
    await ended(stage, 2);
    expect(stage.deaths[0]).toEqual(["w", deathOf({ code: 0, restartInMs: 0 })]);
    expect(stage.lines[0]).toBe("warning w left (exit 0) and is started again at once");
  }));

test("a worker that cannot run (exit 2) is not started again", () =>
  withFolder(async (logs) => {
    const stage = supervise(logs, "echo 'a wrong recipe' >&2; exit 2", { replacesLeavers: true });
    await ended(stage);
    expect(stage.deaths).toEqual([["w", deathOf({ code: 2, lastError: "a wrong recipe" })]]);
    expect(stage.lines).toEqual([
      "error w cannot run (exit 2) and is not started again; its last words: a wrong recipe",
    ]);
  }));

test("a program that is not there counts as a crash, with the reason", () =>
  withFolder(async (logs) => {
    const deaths: WorkerDeath[] = [];
    const { log, lines } = keptLog();
    const supervisor = new Supervisor({
      ...{ names: ["w"], adopted: [], logs, log },
      command: () => ({ file: join(logs, "none"), args: [], env: {} }),
      onStart: () => undefined,
      onDeath: (_, death) => void deaths.push(death),
    });
    supervisors.push(supervisor);
    supervisor.start();
    await until(() => deaths.length > 0, "the start has failed");
    expect(deaths[0]).toMatchObject({ code: null, signal: null, restartInMs: 0 });
    expect(deaths[0]?.lastError).toContain("ENOENT");
    expect(lines[0]).toStartWith("error w crashed (it could not be started) and is started again");
  }));

test("a worker whose command cannot be made counts as a crash, with the reason", () =>
  withFolder(async (logs) => {
    const { log, lines } = keptLog();
    const deaths: WorkerDeath[] = [];
    const started: WorkerProcess[] = [];
    let asked = 0;
    const supervisor = new Supervisor({
      ...{ names: ["w"], adopted: [], logs, log },
      command: () => {
        if (++asked === 1) throw new Error("no command today");
        return { file: "/bin/sh", args: ["-c", "sleep 60"], env: {} };
      },
      onStart: (worker) => void started.push(worker),
      onDeath: (_, death) => void deaths.push(death),
    });
    supervisors.push(supervisor);
    supervisor.start();
    await until(() => started.length > 0, "the worker runs at the second attempt");
    expect(deaths).toEqual([deathOf({ lastError: "no command today", restartInMs: 0 })]);
    expect(lines).toEqual([
      "error w crashed (it could not be started) and is started again at once; its last words: no command today",
    ]);
  }));

test("a worker that stays longer than the grace time is killed, with what it has started", () =>
  withFolder(async (logs) => {
    const seen: string[] = [];
    const stage = supervise(logs, "trap '' TERM; sleep 60 & echo child $! >&2; wait; wait", {
      echo: (text) => void seen.push(text),
    });
    await until(() => seen.join("").includes("child"), "the worker has a child");
    const child = Number(/child (\d+)/.exec(seen.join(""))?.[1]);
    await stage.supervisor.stop(30);
    expect(stage.deaths).toEqual([
      ["w", deathOf({ signal: "SIGKILL", lastError: `child ${child}` })],
    ]);
    expect(stage.lines[0]).toBe("warning w did not end within 0.03 s and was killed");
    await until(() => !isRunning({ pid: child, startTime: null }), "the child has ended");
  }));

test("workers that wait to be started again are over when the supervisor stops", () =>
  withFolder(async (logs) => {
    const stage = supervise(logs, "exit 1");
    await ended(stage, 3);
    const { length } = stage.started;
    await stage.supervisor.stop(10_000);
    expect([stage.supervisor.workers, stage.started.length]).toEqual([[], length]);
  }));

test("output of workers is echoed once, as it comes", () =>
  withFolder(async (logs) => {
    const seen: string[] = [];
    const stage = supervise(logs, 'echo "I am $1, A=$A"; exit 0', {
      echo: (text) => void seen.push(text),
    });
    await ended(stage);
    expect(seen.join("")).toBe("I am w, A=1\n");
  }));

test("nothing is echoed when a worker has printed nothing new", () =>
  withFolder(async (logs) => {
    const seen: string[] = [];
    const script = `[ -e ${logs}/told ] || { touch ${logs}/told; echo once; }; exit 1`;
    const stage = supervise(logs, script, { echo: (text) => void seen.push(text) });
    await ended(stage, 3);
    expect(seen).toEqual(["once\n"]);
  }));

test("a worker runs though there is no place for what it prints", () =>
  withFolder(async (folder) => {
    const stage = supervise(join(folder, "none"), "exit 0");
    await ended(stage);
    expect(stage.lines[0]).toBe("warning what w prints is not kept: its file cannot be opened");
    expect(stage.deaths[0]?.[1].code).toBe(0);
  }));

test("living workers of an earlier driver are adopted, and those that are dead are started anew", () =>
  withFolder(async (logs) => {
    const children = ["w", "surplus"].map((name) => {
      const { pid, exited } = Bun.spawn(["sleep", "60"]);
      return { worker: { name, pid, startTime: startTimeOf(pid) }, exited };
    });
    const dead = { name: "v", pid: process.pid, startTime: "1" };
    const living = children.map(({ worker }) => worker);
    const names = ["w", "v"];
    const stage = supervise(logs, "sleep 60", { names, adopted: [...living, dead] });
    expect(stage.started.map(({ name }) => name)).toEqual(["v"]);
    expect(stage.supervisor.workers.map(({ name }) => name)).toEqual(["surplus", "w", "v"]);
    for (const { pid } of living) process.kill(pid, "SIGKILL");
    await Promise.all(children.map(({ exited }) => exited));
    await ended(stage, 2);
    // Their ends are seen, not told. The one that is not wanted any more stays away.
    expect(Object.fromEntries(stage.deaths)).toEqual({
      w: deathOf({ restartInMs: 0 }),
      surplus: deathOf({}),
    });
    await until(() => stage.started.length === 2, "the adopted worker is replaced");
    expect(stage.started[1]?.name).toBe("w");
    expect(stage.lines.sort()).toEqual([
      "error w crashed (unseen) and is started again at once",
      "info surplus has ended (unseen)",
    ]);
  }));

test("a worker is not started again by a driver that lost its run", () =>
  withFolder(async (logs) => {
    const confirm = () => Promise.reject(new Error("lost"));
    const stage = supervise(logs, "exit 1", { confirm });
    await ended(stage);
    await stage.supervisor.stop(10_000);
    expect(stage.started).toHaveLength(1);
  }));

test("a supervisor that abandons its workers neither stops nor replaces them", () =>
  withFolder(async (logs) => {
    const stage = supervise(logs, "read line; exec sleep 60", { names: ["a", "b"] });
    stage.supervisor.abandon();
    for (const { pid } of stage.started) process.kill(pid, 0);
    for (const { pid } of stage.started) process.kill(pid, "SIGKILL");
    await ended(stage, 2);
    expect(stage.started).toHaveLength(2);
  }));

test("a worker that ends six times in the same way before it takes part is not started again", () =>
  withFolder(async (logs) => {
    const stage = supervise(logs, "echo Error: no $$ >&2; exit 1", { hasJoined: () => false });
    await until(() => stage.deaths.at(-1)?.[1].restartInMs === null, "the worker is given up");
    expect(stage.started).toHaveLength(STARTS_MAX);
    const last = stage.lines.filter((line) => line.startsWith("error")).at(-1);
    expect(last).toMatch(
      /^error w failed to start 6 times in the same way and is not started again; its last words: Error: no \d+$/,
    );
  }));

test("a worker that took part, or ends in another way each time, is started again", () =>
  withFolder(async (logs) => {
    const joined = supervise(logs, "exit 1", { hasJoined: () => true });
    const script = "echo x >> count; exit $((10 + $(wc -l < count)))";
    const varied = supervise(logs, `cd ${logs}; ${script}`, { hasJoined: () => false });
    await ended(joined, STARTS_MAX + 1);
    await ended(varied, STARTS_MAX + 1);
    for (const { deaths } of [joined, varied])
      expect(deaths.map(([, { restartInMs }]) => restartInMs)).not.toContain(null);
  }));
