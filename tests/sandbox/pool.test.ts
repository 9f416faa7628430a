// Which task has which sandbox, and what becomes of both: sessions, fences, deaths, waiting, starts that fail.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import type { Sandbox, Sandboxes } from "../../src/sandbox/contract.ts";
import { exec } from "../../src/sandbox/exec.ts";
import { judge } from "../../src/sandbox/fence.ts";
import { Lease } from "../../src/sandbox/lease.ts";
import { type Caller, type Place, type PoolOptions, SandboxPool } from "../../src/sandbox/pool.ts";
import { ProcessSandboxes } from "../../src/sandbox/process.ts";
import { Starts } from "../../src/sandbox/starts.ts";
import type { Log } from "../../src/telemetry/log.ts";
import { quiet } from "../parts/quiet.ts";
import { SPEC } from "../parts/sandbox-spec.ts";
import { until } from "../parts/until.ts";

let lease: Lease;
beforeAll(async () => {
  lease = await Lease.take({ run: "pool", host: "test" });
});
afterAll(() => lease.release());

/** Plain processes, whose starts can be made to fail, and counted. */
class Flaky implements Sandboxes {
  readonly engine = "process";
  readonly started: Sandbox[] = [];
  failures = 0;
  attempts = 0;

  async start(): Promise<Sandbox> {
    this.attempts++;
    if (this.failures > 0) {
      this.failures--;
      throw new MatrixError("sandbox_unavailable", "the engine is out of order");
    }
    const sandbox = await new ProcessSandboxes(lease).start(SPEC);
    this.started.push(sandbox);
    return sandbox;
  }
}

async function withPool<T>(
  options: Partial<PoolOptions>,
  use: (pool: SandboxPool, sandboxes: Flaky) => Promise<T>,
  log: Log = quiet,
): Promise<T> {
  const sandboxes = new Flaky();
  const starts = new Starts({ atOnceMax: 8, log, clock: () => performance.now() });
  await using pool = new SandboxPool({
    spec: SPEC,
    prepare: async () => ({ sandboxes, image: "" }),
    serves: "many",
    count: 1,
    warm: 0,
    stateful: true,
    taskMs: 3_600_000,
    patienceMs: 2000,
    clock: () => performance.now(),
    starts,
    log,
    ...options,
  });
  return await use(pool, sandboxes);
}

const caller = (rowId: string, hop = 0, more: Partial<Caller> = {}): Caller => ({
  rowId,
  trial: 0,
  attempt: 1,
  hop,
  continues: hop > 0,
  ...more,
});
const never = new AbortController().signal;
const idOf = async ({ sandbox }: Place) => sandbox.id;
const sh = async ({ sandbox }: Place, script: string): Promise<string> => {
  const outcome = await exec(sandbox, {
    args: ["/bin/sh", "-c", script],
    timeoutMs: 20_000,
    outputBytesMax: 10_000,
  });
  return Buffer.from(outcome.stdout).toString("utf8");
};
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "nothing was thrown",
    (thrown) => thrown.code ?? thrown.message,
  );

/** Answers the first request, and writes down what it is told. */
const LISTENER =
  'read -r line; echo \'{"id":1,"ok":true}\'; while read -r line; do echo "$line" >>told; done';

describe("the end of a task", () => {
  test("is told to the agents of its stateful sandbox, whatever ended it", () =>
    withPool({}, async (pool) => {
      const agent = { command: { args: ["/bin/sh", "-c", LISTENER] }, lineBytesMax: 1000 };
      const ask = async (place: Place) =>
        (await place.channel(agent)).request({ op: "step" }, { timeoutMs: 5000 });
      const told = async (place: Place) => {
        const { stdout } = await exec(place.sandbox, {
          args: ["cat", "told"],
          timeoutMs: 5000,
          outputBytesMax: 1000,
        });
        return Buffer.from(stdout).toString("utf8").trim();
      };
      const look = () => pool.call(caller("other", looks++), String(looks), told, never);
      let looks = 0;
      await pool.call(caller("row"), "a", ask, never);
      pool.release("row", 0);
      await until(async () => (await look()) !== "", "the agent was told");
      expect(JSON.parse(await look())).toEqual({
        end: { session: expect.any(String), id: "row", trial: 0, attempt: 1 },
      });
    }));
});

describe("the fence", () => {
  const call = (attempt: number, hop: number, digest = "d") => ({ attempt, hop, digest });

  test("begins a session for a first call and for a newer attempt", () => {
    expect(judge(null, call(1, 4))).toBe("begin");
    expect(judge(call(1, 9), call(2, 1))).toBe("begin");
  });

  test("goes on with a later hop, answers the same call again, and refuses all else", () => {
    expect(judge(call(2, 4), call(2, 6))).toBe("go-on");
    expect(judge(call(2, 4), call(2, 4))).toBe("repeat");
    expect(judge(call(2, 4), call(2, 4, "other"))).toBe("refuse");
    expect(judge(call(2, 4), call(2, 3))).toBe("refuse");
    expect(judge(call(2, 4), call(1, 9))).toBe("refuse");
  });
});

describe("a pool", () => {
  test("keeps a task in its sandbox, and spreads tasks over sandboxes", () =>
    withPool({ count: 3 }, async (pool) => {
      const first = await Promise.all(
        Array.from({ length: 9 }, (_, n) => pool.call(caller(`${n}`), "a", idOf, never)),
      );
      await until(() => pool.size === 3, "three sandboxes run");
      const later = await Promise.all(
        Array.from({ length: 9 }, (_, n) => pool.call(caller(`${n}`, 1), "b", idOf, never)),
      );
      expect(later).toEqual(first);
      const more = await Promise.all(
        Array.from({ length: 9 }, (_, n) => pool.call(caller(`more ${n}`), "a", idOf, never)),
      );
      expect(new Set(more).size).toBeGreaterThan(1);
    }));

  test("does the same call once, however often it comes, and answers each", () =>
    withPool({}, async (pool) => {
      let done = 0;
      const work = async () => ++done;
      const answers = await Promise.all(
        [1, 2, 3].map(() => pool.call(caller("a"), "same", work, never)),
      );
      expect([...answers, await pool.call(caller("a"), "same", work, never), done]).toEqual([
        1, 1, 1, 1, 1,
      ]);
    }));

  test("refuses a call of an attempt that was given up, and begins anew for a newer one", () =>
    withPool({}, async (pool) => {
      const session = async (place: Place) => place.session;
      const first = await pool.call(caller("a"), "x", session, never);
      const second = await pool.call(caller("a", 0, { attempt: 2 }), "x", session, never);
      expect(second).not.toBe(first);
      expect(await codeOf(pool.call(caller("a", 1), "y", session, never))).toBe("sandbox_fenced");
      expect(await pool.call(caller("a", 1, { attempt: 2 }), "y", session, never)).toBe(second);
    }));

  test("says that a task's state is lost when its sandbox went, rather than begin in an empty one", () =>
    withPool({}, async (pool, { started }) => {
      await pool.call(caller("a"), "x", (place) => sh(place, "echo state > file"), never);
      await started[0]?.stop();
      expect(
        await codeOf(pool.call(caller("a", 1), "y", (place) => sh(place, "cat file"), never)),
      ).toBe("sandbox_lost");
      // The row starts again: a newer attempt finds another sandbox.
      expect(
        await pool.call(caller("a", 0, { attempt: 2 }), "x", (place) => sh(place, "ls"), never),
      ).toBe("");
    }));

  test("says so too to a task that comes from another host with its state left there", () =>
    withPool({}, async (pool) => {
      expect(await codeOf(pool.call(caller("a", 5), "y", idOf, never))).toBe("sandbox_lost");
    }));

  test("repeats a first call in another sandbox when its own dies under it", () =>
    withPool({}, async (pool, { started }) => {
      let tries = 0;
      const work = async ({ sandbox }: Place) => {
        if (tries++ === 0) {
          await sandbox.stop();
          throw new MatrixError("sandbox_lost", "it went");
        }
        return sandbox.id;
      };
      expect(await pool.call(caller("a"), "x", work, never)).toBe(started[1]?.id as string);
    }));

  test("moves a task that keeps nothing to another sandbox, in the middle of it", () =>
    withPool({ stateful: false }, async (pool, { started }) => {
      await pool.call(caller("a"), "x", idOf, never);
      await started[0]?.stop();
      expect(await pool.call(caller("a", 1), "y", idOf, never)).toBe(started[1]?.id as string);
    }));

  test("gives a task a sandbox of its own where it serves one, and the next task an empty one", () =>
    withPool({ serves: "one", count: 1 }, async (pool, { started }) => {
      await pool.call(caller("a"), "x", (place) => sh(place, "echo secret > file"), never);
      const waiting = pool.call(caller("b"), "x", (place) => sh(place, "cat file"), never);
      expect(await pool.call(caller("a", 1), "y", (place) => sh(place, "cat file"), never)).toBe(
        "secret\n",
      );
      pool.release("a", 0);
      expect(await waiting).toBe("");
      expect(started).toHaveLength(2);
    }));

  test("runs as many tasks at once as it has sandboxes where each serves one", () =>
    withPool({ serves: "one", count: 3 }, async (pool, { started }) => {
      await Promise.all(
        Array.from({ length: 12 }, async (_, n) => {
          await pool.call(caller(`${n}`), "x", (place) => sh(place, "true"), never);
          pool.release(`${n}`, 0);
        }),
      );
      expect(started).toHaveLength(12);
      await until(() => pool.size === 0, "every sandbox is gone with its task");
    }));

  test("lets a waiting task give up", () =>
    withPool({ serves: "one", count: 1 }, async (pool) => {
      await pool.call(caller("a"), "x", idOf, never);
      const controller = new AbortController();
      const waiting = codeOf(pool.call(caller("b"), "x", idOf, controller.signal));
      controller.abort(new Error("given up"));
      expect(await waiting).toBe("given up");
    }));

  test("starts sandboxes before anybody asks where it is told to", () =>
    withPool({ count: 4, warm: 2 }, async (pool) => {
      await until(() => pool.size === 2, "two are warm");
    }));

  test("tries a start again that failed, and nobody notices", () =>
    withPool({}, async (pool, sandboxes) => {
      sandboxes.failures = 2;
      expect(await pool.call(caller("a"), "x", idOf, never)).toBe(
        sandboxes.started[0]?.id as string,
      );
    }));

  test(
    "says that it is unavailable when no start succeeds, to everybody who waits",
    () =>
      withPool({ count: 2 }, async (pool, sandboxes) => {
        sandboxes.failures = Number.POSITIVE_INFINITY;
        const codes = await Promise.all(
          Array.from({ length: 20 }, (_, n) => codeOf(pool.call(caller(`${n}`), "x", idOf, never))),
        );
        expect(new Set(codes)).toEqual(new Set(["sandbox_unavailable"]));
        // The breaker held: far fewer starts than callers times tries.
        expect(sandboxes.attempts).toBeLessThan(20);
      }),
    30_000,
  );

  test(
    "goes on with what runs while its engine fails",
    () =>
      withPool({ count: 4 }, async (pool, sandboxes) => {
        await pool.call(caller("a"), "x", idOf, never);
        sandboxes.failures = Number.POSITIVE_INFINITY;
        const ids = await Promise.all(
          Array.from({ length: 20 }, (_, n) => pool.call(caller(`${n}`), "x", idOf, never)),
        );
        expect(new Set(ids).size).toBe(1);
      }),
    30_000,
  );

  test("does not wait for what will never be", () =>
    withPool(
      {
        prepare: () => Promise.reject(new MatrixError("sandbox_invalid", "there is no such image")),
        patienceMs: 600_000,
      },
      async (pool) => {
        expect(await codeOf(pool.call(caller("a"), "x", idOf, never))).toBe("sandbox_invalid");
      },
    ));

  test("that is stopped ends everything and refuses more", async () => {
    const ended: string[] = [];
    await withPool({ count: 2, warm: 2 }, async (pool, { started }) => {
      await until(() => pool.size === 2, "two run");
      for (const sandbox of started) void sandbox.ended.then((why) => ended.push(why));
      await pool.stop();
      expect(await codeOf(pool.call(caller("a"), "x", idOf, never))).toBe("sandbox_lost");
    });
    expect(ended).toEqual(["it was stopped", "it was stopped"]);
  });
});

describe("starts", () => {
  test("are few at first and more as they succeed, never more than allowed", async () => {
    const starts = new Starts({ atOnceMax: 4, log: quiet, clock: () => 0 });
    let running = 0;
    const seen: number[] = [];
    await Promise.all(
      Array.from({ length: 40 }, () =>
        starts.run(async () => {
          seen.push(++running);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
        }),
      ),
    );
    expect(Math.max(...seen.slice(0, 2))).toBe(2);
    expect(Math.max(...seen)).toBe(4);
  });

  test("stop for a while after five failures in a row, say why, and begin again with one", async () => {
    let now = 0;
    const said: string[] = [];
    const log: Log = {
      write: (level, message) => void said.push(`${level}: ${message}`),
      close: async () => undefined,
    };
    const starts = new Starts({ atOnceMax: 4, log, clock: () => now });
    const fail = () =>
      starts.run(() =>
        Promise.reject(new MatrixError("sandbox_unavailable", "no space left on device")),
      );
    for (let n = 0; n < 5; n++) expect(await codeOf(fail())).toBe("sandbox_unavailable");
    expect(said).toEqual(["warning: no sandbox is started for 2000 ms: no space left on device"]);
    const refused = await starts.run(async () => "started").catch((thrown) => thrown);
    expect(refused.message).toBe(
      "no sandbox is started for now, after 5 failures: no space left on device",
    );
    expect(refused.retryAfterMs).toBe(2000);
    now = 2001;
    expect(await starts.run(async () => "started")).toBe("started");
    expect(said.at(-1)).toBe("info: sandboxes start again");
    expect(await starts.run(async () => "started")).toBe("started");
  });

  test("are not held up by what users did wrong", async () => {
    const starts = new Starts({ atOnceMax: 2, log: quiet, clock: () => 0 });
    for (let n = 0; n < 10; n++)
      expect(await codeOf(starts.run(() => Promise.reject(new Error("a bug"))))).toBe("a bug");
    expect(await starts.run(async () => "started")).toBe("started");
  });
});
