// Seats: which sandbox a task gets, when another is started, and what waiting tasks hear.

import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import { Seats, type SeatsOptions } from "../../src/sandbox/seats.ts";
import { Starts } from "../../src/sandbox/starts.ts";
import { keptLog } from "../parts/kept-log.ts";
import { listenersOn } from "../parts/listeners.ts";
import { quiet } from "../parts/quiet.ts";
import { SPEC } from "../parts/sandbox-spec.ts";
import { ScriptedEngine, settle } from "../parts/scripted-sandbox.ts";

const BROUGHT = { source: "/copy", target: "/agents/a", writable: false };
const never = new AbortController().signal;
const out = (retryAfterMs?: number) =>
  new MatrixError(
    "sandbox_unavailable",
    "out of order",
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );

function seatsWith(options: Partial<SeatsOptions> = {}, failures: readonly Error[] = []) {
  const engine = new ScriptedEngine();
  engine.failures.push(...failures);
  const { log, lines } = keptLog();
  const time = { now: 1000, pauses: [] as number[] };
  const seats = new Seats({
    spec: SPEC,
    prepare: async () => ({ sandboxes: engine, image: "prepared", mounts: [BROUGHT] }),
    serves: "many",
    count: 1,
    warm: 0,
    patienceMs: 2000,
    starts: new Starts({ atOnceMax: 100, log: quiet, clock: () => 0 }),
    log,
    clock: () => time.now,
    pause: async (ms) => {
      time.pauses.push(ms);
      time.now += ms;
    },
    ...options,
  });
  return { seats, engine, lines, time };
}

const idOf = async (taken: Promise<{ sandbox: { id: string } }>) => (await taken).sandbox.id;
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing was thrown",
    (thrown) => `${thrown.code ?? "error"}: ${thrown.message}`,
  );

test("a sandbox starts with the specification and the prepared image", async () => {
  const { seats, engine } = seatsWith();
  const seat = await seats.take(never);
  expect(seat.sessions).toBe(1);
  expect(engine.specs).toEqual([{ ...SPEC, image: "prepared", mounts: [BROUGHT] }]);
  expect(seats.size).toBe(1);
});

test.each([
  [0, 4, 0],
  [2, 4, 2],
  [5, 3, 3],
])(
  "with warm %d and count %d, %d sandboxes start before a task asks",
  async (warm, count, size) => {
    const { seats } = seatsWith({ warm, count });
    await settle();
    expect(seats.size).toBe(size);
  },
);

test("tasks share one sandbox when count is 1", async () => {
  const { seats, engine } = seatsWith();
  const taken = await Promise.all([1, 2, 3].map(() => seats.take(never)));
  expect(new Set(taken).size).toBe(1);
  expect(taken[0]?.sessions).toBe(3);
  expect(engine.attempts).toBe(1);
});

test("a task takes the sandbox with the fewest tasks", async () => {
  const { seats } = seatsWith({ warm: 3, count: 3 });
  await settle();
  const ids: string[] = [];
  for (let n = 0; n < 6; n++) ids.push(await idOf(seats.take(never)));
  expect(ids).toEqual(["s0", "s1", "s2", "s0", "s1", "s2"]);
});

test("a busy sandbox makes one more start, up to count, while the task takes the busy one", async () => {
  const { seats, engine } = seatsWith({ count: 3 });
  await seats.take(never);
  expect(await idOf(seats.take(never))).toBe("s0");
  await settle();
  expect(engine.attempts).toBe(2);
  expect(await idOf(seats.take(never))).toBe("s1");
  await settle();
  expect(engine.attempts).toBe(2);
  await seats.take(never);
  await settle();
  expect(engine.attempts).toBe(3);
  for (let n = 0; n < 9; n++) await seats.take(never);
  await settle();
  expect(engine.attempts).toBe(3);
});

test("waiting tasks start one sandbox each, up to count", async () => {
  const { seats, engine } = seatsWith({ count: 3, serves: "one" });
  const gate = Promise.withResolvers<void>();
  engine.gate = gate.promise;
  const taken = [1, 2, 3, 4, 5].map(() => seats.take(never));
  await settle();
  expect([engine.attempts, seats.waiting, seats.size]).toEqual([2, 5, 0]);
  gate.resolve();
  expect(await Promise.all(taken.slice(0, 3).map(idOf))).toEqual(["s0", "s1", "s2"]);
  await settle();
  expect(seats.waiting).toBe(2);
  await seats.stop();
  expect(await errorOf(taken[4] as Promise<unknown>)).toBe(
    "sandbox_lost: sandbox case: the run was stopped",
  );
  await errorOf(taken[3] as Promise<unknown>);
});

test("a sandbox that serves one task is stopped when it is free, and the next task gets another", async () => {
  const { seats, engine } = seatsWith({ serves: "one" });
  const first = await seats.take(never);
  const second = seats.take(never);
  await settle();
  expect(seats.waiting).toBe(1);
  seats.free(first);
  expect(await idOf(second)).toBe("s1");
  expect(engine.started.map(({ stops }) => stops)).toEqual([1, 0]);
  expect(first.sessions).toBe(0);
});

test("a freed sandbox is replaced at once only when fewer than warm are left", async () => {
  const { seats, engine } = seatsWith({ serves: "one", count: 3, warm: 1 });
  await settle();
  const first = await seats.take(never);
  const second = await seats.take(never);
  await settle();
  expect(engine.attempts).toBe(2);
  seats.free(first);
  await settle();
  expect([engine.attempts, seats.size]).toEqual([2, 1]);
  seats.free(second);
  await settle();
  expect([engine.attempts, seats.size]).toEqual([3, 1]);
});

test("a sandbox that serves many stays when it is free", async () => {
  const { seats, engine } = seatsWith();
  const seat = await seats.take(never);
  seats.free(seat);
  await settle();
  expect([seat.sessions, seats.size, engine.started[0]?.stops]).toEqual([0, 1, 0]);
});

test("a sandbox that ends is left, and the next task gets another", async () => {
  const { seats, engine } = seatsWith();
  await seats.take(never);
  engine.started[0]?.end("its container ended");
  await settle();
  expect(seats.size).toBe(0);
  expect(await idOf(seats.take(never))).toBe("s1");
});

test("a sandbox that is gone but not reported yet takes no further task", async () => {
  const { seats } = seatsWith({ count: 2 });
  const seat = await seats.take(never);
  seat.gone = "killed";
  expect(await idOf(seats.take(never))).toBe("s1");
});

test("a condemned sandbox is stopped, keeps its first reason, and lets a waiting task start another", async () => {
  const { seats, engine } = seatsWith({ serves: "one" });
  const seat = await seats.take(never);
  const waiting = seats.take(never);
  await settle();
  seats.condemn(seat, "it went");
  expect(await idOf(waiting)).toBe("s1");
  seats.condemn(seat, "again");
  expect(seat.gone).toBe("it went");
  expect(engine.started[0]?.stops).toBeGreaterThan(0);
});

test("a sandbox that went while it served one task is not stopped again when it is freed", async () => {
  const { seats, engine } = seatsWith({ serves: "one" });
  const seat = await seats.take(never);
  engine.started[0]?.end("killed");
  await settle();
  seats.free(seat);
  await settle();
  expect(engine.started[0]?.stops).toBe(0);
});

test("a task that gives up while it waits hears its own reason, and waits no longer", async () => {
  const { seats, engine } = seatsWith();
  engine.gate = new Promise(() => undefined);
  const controller = new AbortController();
  const waiting = errorOf(seats.take(controller.signal));
  await settle();
  controller.abort(new Error("given up"));
  expect(await waiting).toBe("error: given up");
  expect(seats.waiting).toBe(0);
  expect(await errorOf(seats.take(AbortSignal.abort(new Error("before"))))).toBe("error: before");
});

test("a failed start is tried again after pauses that double up to 5 s, with a warning each", async () => {
  const { seats, lines, time } = seatsWith(
    { patienceMs: 100_000 },
    Array.from({ length: 8 }, () => out()),
  );
  // The fifth failure opens the breaker, whose clock stands still here.
  expect(await errorOf(seats.take(never))).toStartWith("sandbox_unavailable");
  expect(time.pauses.slice(0, 4)).toEqual([250, 500, 1000, 2000]);
  expect(lines[0]).toBe('warning out of order {"sandbox":"case"}');
});

test("a start that the breaker refuses is tried again when the breaker may close", async () => {
  const time = { now: 0 };
  const starts = new Starts({ atOnceMax: 4, log: quiet, clock: () => time.now });
  const pauses: number[] = [];
  const { seats, engine } = seatsWith(
    {
      patienceMs: 60_000,
      starts,
      clock: () => time.now,
      pause: async (ms) => {
        pauses.push(ms);
        time.now += ms;
      },
    },
    Array.from({ length: 6 }, () => out()),
  );
  expect(await idOf(seats.take(never))).toBe("s0");
  expect(engine.attempts).toBe(7);
  expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 5000]);
});

test("a longer wait that the engine asks for is kept", async () => {
  const { seats, time } = seatsWith({}, [out(1234), out(10)]);
  await seats.take(never);
  expect(time.pauses).toEqual([1234, 500]);
});

test.each([
  [749, [250], "sandbox_unavailable: out of order"],
  [750, [250, 500], "nothing was thrown"],
])("with a patience of %d ms the pauses are %j", async (patienceMs, pauses, heard) => {
  const { seats, time } = seatsWith({ patienceMs }, [out(), out()]);
  expect(await errorOf(seats.take(never))).toBe(heard);
  expect(time.pauses).toEqual(pauses);
});

test("an error that no retry can mend reaches every waiting task at once", async () => {
  const { seats, time } = seatsWith({}, [new MatrixError("sandbox_invalid", "no such image")]);
  const heard = await Promise.all([1, 2].map(() => errorOf(seats.take(never))));
  expect(heard).toEqual(Array(2).fill("sandbox_invalid: no such image"));
  expect(time.pauses).toEqual([]);
});

test("while one sandbox runs, the failure of another start reaches no task", async () => {
  const { seats, engine } = seatsWith({ serves: "one", count: 2 }, []);
  const first = await seats.take(never);
  engine.failures.push(new MatrixError("sandbox_invalid", "no such image"));
  const waiting = seats.take(never);
  await settle();
  expect(seats.waiting).toBe(1);
  seats.free(first);
  expect(await idOf(waiting)).toBe("s1");
});

test("a sandbox whose start ends after the stop is stopped too", async () => {
  const { seats, engine } = seatsWith({ warm: 1 });
  const gate = Promise.withResolvers<void>();
  engine.gate = gate.promise;
  await settle();
  await seats.stop();
  gate.resolve();
  await settle();
  expect(engine.started.map(({ stops }) => stops)).toEqual([1]);
  expect(seats.size).toBe(0);
});

test("a stopped pool stops its sandboxes, starts none, and refuses tasks", async () => {
  const { seats, engine, time } = seatsWith({ warm: 2, count: 3, serves: "one" });
  await settle();
  const seat = await seats.take(never);
  await seats.stop();
  expect(engine.started.map(({ stops }) => stops)).toEqual([1, 1]);
  seats.free(seat);
  await settle();
  expect(engine.attempts).toBe(2);
  expect(await errorOf(seats.take(never))).toBe("sandbox_lost: sandbox case: the run was stopped");
  expect(time.pauses).toEqual([]);
});

test("a failed start is not tried again once the pool is stopped", async () => {
  const { seats, engine, time } = seatsWith({ warm: 1 }, [out(), out()]);
  const gate = Promise.withResolvers<void>();
  engine.gate = gate.promise;
  await settle();
  await seats.stop();
  gate.resolve();
  await settle();
  expect([engine.attempts, time.pauses]).toEqual([1, []]);
});

test("a task that got its seat leaves no listener on its signal", async () => {
  const { seats } = seatsWith();
  const { signal } = new AbortController();
  await seats.take(signal);
  expect(listenersOn(signal)).toBe(0);
});
