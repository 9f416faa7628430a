// A pool: which task has which sandbox, what a repeated, late or lost call gets, and when a session
// ends.

import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import { type Caller, type Place, type PoolOptions, SandboxPool } from "../../src/sandbox/pool.ts";
import { Starts } from "../../src/sandbox/starts.ts";
import { quiet } from "../parts/quiet.ts";
import { SPEC } from "../parts/sandbox-spec.ts";
import { ScriptedEngine, type ScriptedSandboxOptions, settle } from "../parts/scripted-sandbox.ts";

const HOUR_MS = 3_600_000;

async function withPool<T>(
  options: Partial<PoolOptions>,
  use: (pool: SandboxPool, engine: ScriptedEngine, time: { now: number }) => Promise<T>,
  sandboxes: ScriptedSandboxOptions = {},
): Promise<T> {
  const engine = new ScriptedEngine(sandboxes);
  const time = { now: 0 };
  await using pool = new SandboxPool({
    spec: SPEC,
    prepare: async () => ({ sandboxes: engine, image: "", mounts: [] }),
    serves: "many",
    count: 1,
    warm: 0,
    stateful: true,
    watches: false,
    taskMs: HOUR_MS,
    patienceMs: 0,
    starts: new Starts({ atOnceMax: 8, log: quiet, clock: () => 0 }),
    log: quiet,
    clock: () => time.now,
    ...options,
  });
  return await use(pool, engine, time);
}

const caller = (rowId: string, hop = 0, more: Partial<Caller> = {}): Caller => ({
  rowId,
  trial: 0,
  attempt: 1,
  hop,
  tries: 1,
  continues: hop > 0,
  ...more,
});
const never = new AbortController().signal;
const idOf = async ({ sandbox }: Place) => sandbox.id;
const sessionOf = async ({ session }: Place) => session;
const lost = () => new MatrixError("sandbox_lost", "it went");
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "nothing was thrown",
    (thrown) => `${thrown.code ?? "error"}: ${thrown.message}`,
  );

test("a task stays in its sandbox, and tasks spread over sandboxes", () =>
  withPool({ count: 3 }, async (pool) => {
    const ask = (hop: number) =>
      Promise.all([..."abcdef"].map((id) => pool.call(caller(id, hop), `${hop}`, idOf, never)));
    const first = await ask(0);
    expect(new Set(first).size).toBeGreaterThan(1);
    expect(await ask(1)).toEqual(first);
  }));

test("the same call is made once, and every copy of it gets the answer", () =>
  withPool({}, async (pool) => {
    let made = 0;
    const use = async () => ++made;
    const copies = [1, 2, 3].map(() => pool.call(caller("a"), "same", use, never));
    expect(await Promise.all(copies)).toEqual([1, 1, 1]);
    expect(await pool.call(caller("a"), "same", use, never)).toBe(1);
    expect(await pool.call(caller("a", 1), "next", use, never)).toBe(2);
    expect(await pool.call(caller("a", 1), "next", use, never)).toBe(2);
  }));

test("in a sandbox without state the same call is made again", () =>
  withPool({ stateful: false }, async (pool) => {
    let made = 0;
    const use = async () => ++made;
    await pool.call(caller("a"), "same", use, never);
    expect(await pool.call(caller("a"), "same", use, never)).toBe(2);
  }));

test("a call of an attempt that was given up is refused, with both places in the message", () =>
  withPool({}, async (pool) => {
    const first = await pool.call(caller("a"), "x", sessionOf, never);
    const newer = { attempt: 2 };
    const second = await pool.call(
      caller("a", 3, { ...newer, continues: false }),
      "x",
      sessionOf,
      never,
    );
    expect(second).not.toBe(first);
    expect(await errorOf(pool.call(caller("a", 1), "y", sessionOf, never))).toBe(
      "sandbox_fenced: sandbox case has gone on with this task: call 1.1 comes after 2.3",
    );
    expect(await pool.call(caller("a", 4, newer), "y", sessionOf, never)).toBe(second);
  }));

test("the name of a session is 16 hexadecimal digits, one for each row, trial and attempt", () =>
  withPool({}, async (pool) => {
    const names = [
      await pool.call(caller("a"), "x", sessionOf, never),
      await pool.call(caller("b"), "x", sessionOf, never),
      await pool.call(caller("a", 0, { trial: 1 }), "x", sessionOf, never),
      await pool.call(caller("a", 0, { attempt: 2 }), "x", sessionOf, never),
    ];
    expect(new Set(names).size).toBe(4);
    for (const name of names) expect(name).toMatch(/^[0-9a-f]{16}$/);
  }));

test("a task whose stateful sandbox went is lost, and its next attempt gets another sandbox", () =>
  withPool({}, async (pool, { started }) => {
    await pool.call(caller("a"), "x", idOf, never);
    started[0]?.end("its container ended");
    await settle();
    expect(await errorOf(pool.call(caller("a", 1), "y", idOf, never))).toBe(
      "sandbox_lost: sandbox case: its container ended",
    );
    expect(await pool.call(caller("a", 0, { attempt: 2 }), "x", idOf, never)).toBe("s1");
  }));

test("a task that comes with its state on another host is lost", () =>
  withPool({}, async (pool, { started }) => {
    expect(await errorOf(pool.call(caller("a", 5), "y", idOf, never))).toBe(
      "sandbox_lost: sandbox case: the sandbox with the state of this task is gone, so the row must start again",
    );
    expect(started).toHaveLength(0);
  }));

test("without state, a task that comes from another host begins here", () =>
  withPool({ stateful: false }, async (pool) => {
    expect(await pool.call(caller("a", 5), "y", idOf, never)).toBe("s0");
  }));

test.each([
  ["moves to another sandbox twice", { stateful: true }, 0, 3],
  ["of a task without state moves to another sandbox twice", { stateful: false }, 5, 3],
] as const)("a first call whose sandbox is lost %s", (_title, options, hop, tries) =>
  withPool({ ...options, serves: "many" }, async (pool, { started }) => {
    const seen: string[] = [];
    const use = async ({ sandbox }: Place) => {
      seen.push(sandbox.id);
      throw lost();
    };
    expect(await errorOf(pool.call(caller("a", hop), "x", use, never))).toBe(
      "sandbox_lost: it went",
    );
    expect(seen).toEqual(["s0", "s1", "s2"].slice(0, tries));
    expect(started.every(({ stops }) => stops > 0)).toBe(true);
  }),
);

test("a later call of a stateful sandbox does not move", () =>
  withPool({}, async (pool, { started }) => {
    await pool.call(caller("a"), "x", idOf, never);
    const use = () => Promise.reject(lost());
    expect(await errorOf(pool.call(caller("a", 1), "y", use, never))).toBe("sandbox_lost: it went");
    expect(started).toHaveLength(1);
  }));

test("a call that its caller gave up does not move", () =>
  withPool({}, async (pool, { started }) => {
    const controller = new AbortController();
    const use = () => {
      controller.abort();
      return Promise.reject(lost());
    };
    expect(await errorOf(pool.call(caller("a"), "x", use, controller.signal))).toBe(
      "sandbox_lost: it went",
    );
    expect(started).toHaveLength(1);
  }));

test("another error of a call keeps the sandbox and does not move", () =>
  withPool({}, async (pool, { started }) => {
    const use = () => Promise.reject(new MatrixError("agent_timeout", "late"));
    expect(await errorOf(pool.call(caller("a"), "x", use, never))).toBe("agent_timeout: late");
    expect([pool.size, started[0]?.stops]).toEqual([1, 0]);
    expect(await pool.call(caller("a", 1), "y", idOf, never)).toBe("s0");
  }));

test("where a sandbox serves one task, the next task waits for the release and gets a fresh one", () =>
  withPool({ serves: "one" }, async (pool, { started }) => {
    expect(await pool.call(caller("a"), "x", idOf, never)).toBe("s0");
    const waiting = pool.call(caller("b"), "x", idOf, never);
    await settle();
    expect(await pool.call(caller("a", 1), "y", idOf, never)).toBe("s0");
    pool.release("a", 1);
    await settle();
    expect(started).toHaveLength(1);
    pool.release("a", 0);
    expect(await waiting).toBe("s1");
    expect(started[0]?.stops).toBe(1);
  }));

test("where a sandbox without state serves one task, the task keeps it until the release", () =>
  withPool({ serves: "one", stateful: false }, async (pool, { started }) => {
    await pool.call(caller("a"), "x", idOf, never);
    expect(await pool.call(caller("a", 1), "y", idOf, never)).toBe("s0");
    pool.release("a", 0);
    await settle();
    expect([pool.size, started[0]?.stops]).toEqual([0, 1]);
  }));

test("where a sandbox without state serves many, each call goes where there is least to do", () =>
  withPool({ stateful: false, count: 2, warm: 2 }, async (pool) => {
    await settle();
    const slow = Promise.withResolvers<string>();
    const busy = pool.call(caller("a"), "x", () => slow.promise, never);
    await settle();
    expect(await pool.call(caller("b"), "x", idOf, never)).toBe("s1");
    slow.resolve("done");
    await busy;
    expect(await pool.call(caller("b", 1), "y", idOf, never)).toBe("s0");
  }));

test("two calls of one task without state at once share its session", () =>
  withPool({ stateful: false, count: 2, warm: 2 }, async (pool) => {
    await settle();
    const slow = Promise.withResolvers<string>();
    const first = pool.call(caller("a"), "x", () => slow.promise, never);
    expect(await pool.call(caller("a"), "y", idOf, never)).toBe("s0");
    // The session lives on while the first call runs.
    expect(await pool.call(caller("a"), "z", idOf, never)).toBe("s0");
    slow.resolve("done");
    expect(await first).toBe("done");
  }));

/** Keeps what agents were told beside requests. */
function listening() {
  const told: unknown[] = [];
  const program: ScriptedSandboxOptions["program"] = ({ stdin, stdout }) =>
    stdin.on("data", (line: Buffer) => {
      const message = JSON.parse(line.toString());
      if ("id" in message) stdout.write(`{"id":"${message.id}","ok":true}\n`);
      else told.push(message);
    });
  const agent = { command: { args: ["agent"] }, lineBytesMax: 1000 };
  const ask = async (place: Place) =>
    (await place.channel(agent)).request({ op: "step" }, { timeoutMs: 5000 });
  return { told, program, ask };
}

test("the release of a task is told to the agents of its stateful sandbox", async () => {
  const { told, program, ask } = listening();
  await withPool(
    {},
    async (pool) => {
      await pool.call(caller("row", 0, { trial: 2, attempt: 3 }), "a", ask, never);
      const session = await pool.call(
        caller("row", 1, { trial: 2, attempt: 3 }),
        "b",
        sessionOf,
        never,
      );
      pool.release("row", 2);
      pool.release("row", 2);
      pool.release("unknown", 0);
      await settle();
      expect(told).toEqual([{ end: { session, id: "row", trial: 2, attempt: 3 } }]);
    },
    { program },
  );
});

test("agents of a sandbox without state are not told of the end of a task", async () => {
  const { told, program, ask } = listening();
  await withPool(
    { stateful: false },
    async (pool) => {
      await pool.call(caller("row"), "a", ask, never);
      pool.release("row", 0);
      await settle();
      expect(told).toEqual([]);
    },
    { program },
  );
});

test("a newer attempt ends the session of the older one", async () => {
  const { told, program, ask } = listening();
  await withPool(
    {},
    async (pool) => {
      await pool.call(caller("row"), "a", ask, never);
      await pool.call(caller("row", 0, { attempt: 2 }), "a", ask, never);
      await settle();
      expect(told).toMatchObject([{ end: { attempt: 1 } }]);
    },
    { program },
  );
});

test("a session that was silent for longer than a task may live ends, and a shorter silence is kept", () =>
  withPool({ taskMs: 100_000 }, async (pool, _engine, time) => {
    await pool.call(caller("a"), "x", idOf, never);
    time.now = 100_000;
    pool.evict();
    expect(await pool.call(caller("a", 1), "y", idOf, never)).toBe("s0");
    time.now = 200_001;
    pool.evict();
    expect(await errorOf(pool.call(caller("a", 2), "z", idOf, never))).toStartWith("sandbox_lost");
  }));

test("a session with a call in progress is never evicted", () =>
  withPool({ taskMs: 100_000 }, async (pool, _engine, time) => {
    const slow = Promise.withResolvers<string>();
    const busy = pool.call(caller("a"), "x", () => slow.promise, never);
    await settle();
    time.now = 500_000;
    pool.evict();
    slow.resolve("done");
    await busy;
    expect(await pool.call(caller("a", 1), "y", idOf, never)).toBe("s0");
  }));

test("while a task waits, the task that was silent longest for over a minute gives its sandbox up", () =>
  withPool({ serves: "one", count: 2 }, async (pool, _engine, time) => {
    await pool.call(caller("a"), "x", idOf, never);
    time.now = 10;
    await pool.call(caller("b"), "x", idOf, never);
    time.now = 60_000;
    const waiting = pool.call(caller("c"), "x", idOf, never);
    await settle();
    pool.evict();
    await settle();
    expect(await pool.call(caller("a", 1), "y", idOf, never)).toBe("s0");
    time.now = 60_011;
    pool.evict();
    expect(await waiting).toBe("s2");
    expect(await pool.call(caller("a", 2), "z", idOf, never)).toBe("s0");
    expect(await errorOf(pool.call(caller("b", 1), "y", idOf, never))).toStartWith("sandbox_lost");
  }));

test("the task that was silent longest is the first to give its sandbox up", () =>
  withPool({ serves: "one", count: 2 }, async (pool, _engine, time) => {
    await pool.call(caller("late"), "x", idOf, never);
    await pool.call(caller("early"), "x", idOf, never);
    time.now = 5;
    await pool.call(caller("late", 1), "y", idOf, never);
    time.now = 100_000;
    const waiting = pool.call(caller("c"), "x", idOf, never);
    await settle();
    pool.evict();
    await waiting;
    expect(await pool.call(caller("late", 2), "z", idOf, never)).toBe("s0");
    expect(await errorOf(pool.call(caller("early", 1), "y", idOf, never))).toStartWith(
      "sandbox_lost",
    );
  }));

test("silent tasks keep their sandbox while no other waits, and where sandboxes serve many", () =>
  withPool({ serves: "one" }, async (pool, _engine, time) => {
    await pool.call(caller("a"), "x", idOf, never);
    time.now = 90_000;
    pool.evict();
    expect(await pool.call(caller("a", 1), "y", idOf, never)).toBe("s0");
  }));

test("a call fails when no sandbox can be started, and the next call begins anew", () =>
  withPool({}, async (pool, engine) => {
    engine.failures.push(new MatrixError("sandbox_unavailable", "out of order"));
    expect(await errorOf(pool.call(caller("a"), "x", idOf, never))).toBe(
      "sandbox_unavailable: out of order",
    );
    expect(await pool.call(caller("a"), "x", idOf, never)).toBe("s0");
  }));

test("a stopped pool stops its sandboxes and refuses calls", () =>
  withPool({ warm: 2, count: 2 }, async (pool, { started }) => {
    await settle();
    await pool.call(caller("a"), "x", idOf, never);
    await pool.stop();
    expect(started.map(({ stops }) => stops)).toEqual([1, 1]);
    expect(await errorOf(pool.call(caller("b"), "x", idOf, never))).toBe(
      "sandbox_lost: sandbox case: the run was stopped",
    );
  }));

test("a pool that watches reads the files once a session, before its first call", () => {
  const begun: string[] = [];
  const program: ScriptedSandboxOptions["program"] = ({ command, stdout, exit }) => {
    begun.push(command.args[0] === "agent" ? "agent" : "files");
    if (command.args[0] === "agent") return;
    stdout.write("\0\0");
    exit(0);
  };
  const open = async ({ sandbox, before }: Place) => {
    await sandbox.open({ args: ["agent"] });
    return before();
  };
  return withPool(
    { watches: true },
    async (pool) => {
      const first = await pool.call(caller("a"), "x", open, never);
      expect(first.size).toBe(0);
      expect(begun).toEqual(["files", "agent"]);
      expect(await pool.call(caller("a", 1, { continues: true }), "y", open, never)).toBe(first);
      expect(begun).toEqual(["files", "agent", "agent"]);
      await pool.call(caller("b"), "x", open, never);
      expect(begun.slice(3)).toEqual(["files", "agent"]);
    },
    { program },
  );
});

test("files that cannot be read fail only the call that asks for changes", () =>
  withPool(
    { watches: true },
    async (pool) => {
      expect(await pool.call(caller("a"), "x", idOf, never)).toBe("s0");
      const asking = ({ before }: Place) => before();
      await expect(
        pool.call(caller("a", 1, { continues: true }), "y", asking, never),
      ).rejects.toMatchObject({
        code: "agent_failed",
        message: "cannot list . in the sandbox: exit 1",
      });
    },
    { program: ({ exit }) => exit(1) },
  ));
