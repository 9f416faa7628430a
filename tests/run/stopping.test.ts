// How a run stops before it is complete, and the reason that it gives.

import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import { Stopping, type StoppingOptions } from "../../src/run/stopping.ts";
import { keptLog } from "../parts/kept-log.ts";
import { SECRET, withSecret } from "../parts/secret.ts";
import { type Timers, withTimers } from "../parts/timers.ts";

const GRACE_MS = 20_000;
const LOOK_MS = 250;

interface Parts {
  readonly stopping: Stopping;
  readonly lines: readonly string[];
  readonly drain: AbortController;
  readonly halt: AbortController;
  readonly spentUp: AbortController;
  readonly early: AbortController;
  readonly timers: Timers;
  readonly world: { canFinish: boolean; used: string | null };
}

const within = (use: (parts: Parts) => void, more: Partial<StoppingOptions> = {}) =>
  withTimers((timers) => {
    const [drain, halt, spentUp, early] = Array.from({ length: 4 }, () => new AbortController());
    const world = { canFinish: true, used: null as string | null };
    const { log, lines } = keptLog();
    if (!drain || !halt || !spentUp || !early) throw new Error("four controllers are made");
    const stopping = new Stopping({
      wishes: { drain: drain.signal, halt: halt.signal },
      graceMs: GRACE_MS,
      spentUp: spentUp.signal,
      usedUp: () => world.used,
      earlyStop: {
        signal: early.signal,
        get reason() {
          return early.signal.aborted ? "20 tasks ended alike" : null;
        },
      },
      log,
      canFinish: () => world.canFinish,
      ...more,
    });
    use({ stopping, lines, drain, halt, spentUp, early, timers, world });
    stopping.close();
    expect(timers.waiting()).toEqual([]);
  });

test("a run goes on without a wish, a used-up budget or an early stop, and sets no timer", () =>
  within(({ stopping, timers, lines }) => {
    expect([stopping.drain.aborted, stopping.halt.aborted]).toEqual([false, false]);
    expect(timers.waiting()).toEqual([]);
    expect(lines).toEqual([]);
  }));

test("the user's first wish begins no further task, and the end of the grace time halts the run", () =>
  within(({ stopping, drain, timers, lines }) => {
    drain.abort();
    expect([stopping.drain.aborted, stopping.halt.aborted]).toEqual([true, false]);
    expect(lines).toEqual([
      "warning stopping: tasks in flight may finish within 20 s; a second signal stops at once",
    ]);
    timers.ring(LOOK_MS);
    expect(stopping.halt.aborted).toBe(false);
    timers.ring(GRACE_MS);
    expect(stopping.halt.aborted).toBe(true);
    expect(stopping.reason(null)).toEqual({ why: "signal", message: "the run was told to stop" });
  }));

test("the user's second wish halts the run at once", () =>
  within(({ stopping, drain, halt }) => {
    drain.abort();
    halt.abort();
    expect(stopping.halt.aborted).toBe(true);
  }));

test("a run that is to stop halts at the first look after its last host is gone", () =>
  within(({ stopping, drain, timers, world }) => {
    drain.abort();
    world.canFinish = false;
    expect(stopping.halt.aborted).toBe(false);
    timers.ring(LOOK_MS);
    expect(stopping.halt.aborted).toBe(true);
  }));

test("a used-up budget begins no further task, and tasks in flight have no limit of time", () =>
  within(({ stopping, spentUp, timers, lines, world }) => {
    world.used = "cost 1.02 of 1";
    spentUp.abort();
    expect([stopping.drain.aborted, stopping.halt.aborted]).toEqual([true, false]);
    expect(timers.waiting()).toEqual([]);
    expect(lines).toEqual([
      "warning run.budget is used up (cost 1.02 of 1): no further task begins, tasks in flight may finish",
    ]);
    expect(stopping.reason(null)).toEqual({
      why: "budget",
      message: "run.budget is used up: cost 1.02 of 1",
    });
  }));

test("an early stop gives its reason, and tasks in flight the grace time once", () =>
  within(({ stopping, early, drain, timers, lines, world }) => {
    world.used = "cost 1.02 of 1";
    early.abort();
    expect(stopping.drain.aborted).toBe(true);
    expect(lines).toEqual(["error the run stops early: 20 tasks ended alike"]);
    drain.abort();
    expect([...timers.waiting()].sort()).toEqual([GRACE_MS, LOOK_MS].sort());
    timers.ring(GRACE_MS);
    expect(stopping.halt.aborted).toBe(true);
    expect(stopping.reason(null)).toEqual({ why: "early_stop", message: "20 tasks ended alike" });
    expect(stopping.reason(new Error("the disk is full"))).toEqual({
      why: "error",
      message: "the disk is full",
    });
    expect(stopping.reason(new MatrixError("storage_failed", "no space left"))).toEqual({
      why: "disk",
      message: "no space left",
    });
    expect(stopping.reason(new MatrixError("dataset_gone", "no rows")).why).toBe("error");
  }));

test("a run without signals of a user stops for its budget alone", () =>
  within(
    ({ stopping, drain, halt, spentUp }) => {
      drain.abort();
      halt.abort();
      expect([stopping.drain.aborted, stopping.halt.aborted]).toEqual([false, false]);
      spentUp.abort();
      expect(stopping.drain.aborted).toBe(true);
    },
    { wishes: {} },
  ));

test("a known secret is masked in the reason why a run stopped, which the manifest keeps", () =>
  withSecret(() => {
    within(({ stopping }) => {
      expect(stopping.reason(new Error(`no ${SECRET}`))).toEqual({
        why: "error",
        message: "no [KNOWN]",
      });
    });
    const reason = `ended with ${SECRET}`;
    within(
      ({ stopping }) => {
        expect(stopping.reason(null)).toEqual({ why: "early_stop", message: "ended with [KNOWN]" });
      },
      { earlyStop: { signal: new AbortController().signal, reason } },
    );
  }));
