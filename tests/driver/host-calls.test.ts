// The driver's answers to hosts, by the bytes of their requests.

import { expect, test } from "bun:test";
import { Coordinator } from "../../src/driver/coordinator.ts";
import { EndedTasks } from "../../src/driver/ended-tasks.ts";
import { HostCalls } from "../../src/driver/host-calls.ts";
import { Rates } from "../../src/driver/rates.ts";
import { createIdentity, createSeed } from "../../src/http/identity.ts";
import {
  type Control,
  type ControlKind,
  decodeControl,
  encodeControl,
} from "../../src/peer/control.ts";
import type { Spent } from "../../src/task/spent.ts";
import { createBroker, member } from "../peer/one-broker.ts";

const SPENT: Spent = { requests: 3, prompt_tokens: 20, completion_tokens: 10, cost: 0.5 };
const HOST = {
  id: "claimed",
  name: "worker-1",
  roles: ["work"],
  address: "http://a",
  leaving: false,
};

function createCalls() {
  const { broker, routing } = createBroker();
  const told: unknown[] = [];
  const coordinator = new Coordinator({
    self: member("self", [], { isSink: true }),
    broker,
    routing,
    tasks: { keys: () => [], adopt: () => true, orphan: () => true },
    expected: new Set(),
    formingMs: 0,
    silenceMs: 1000,
    censusPatienceMs: 1000,
    firstCensus: 0,
    ask: () => undefined,
    watcher: {
      joined: ({ id, name }) => void told.push(["joined", id, name]),
      left: ({ id }, why) => void told.push([why, id]),
      formed: () => undefined,
      orphaned: () => undefined,
    },
    now: () => 0,
  });
  const rates = new Rates(new Map([["fast", { rpm: 60_000 }]]));
  const ended = new EndedTasks(new Set(["work"]));
  const calls = new HostCalls({
    run: "this-run",
    desk: {
      welcome: (join) => {
        told.push(["welcome", join]);
        return { refused: "no room" };
      },
      spent: (host, spent) => void told.push(["spent", host, spent]),
      logs: (name, lines) => void told.push(["logs", name, lines]),
      recorded: async ({ row, trial }) => {
        const history = Buffer.from(`["${row}"]`);
        return {
          redraws: trial,
          record: row === "none" ? null : { seed: 7, history, error: "no" },
        };
      },
    },
    ...{ coordinator, rates, ended },
  });
  /** Asks as the host `a`, or another one. */
  const ask = async <Q extends ControlKind, A extends ControlKind>(
    route: string,
    question: Q,
    value: Control<Q>,
    answer: A,
    from = "a",
  ): Promise<Control<A>> => {
    const body = await calls.routes[route]?.run(encodeControl(question, value), from);
    return decodeControl(answer, body ?? new Uint8Array());
  };
  const beat = (more: Partial<Control<"beat">> = {}) =>
    ask(
      "beat",
      "beat",
      {
        run: "this-run",
        host: HOST,
        load: { work: { busy: 1, queued: 2, slots: 3 } },
        known: null,
        bytes: 100,
        spent: SPENT,
        ...more,
      },
      "heard",
    );
  const takeTold = () => told.splice(0);
  return { calls, coordinator, rates, ended, ask, beat, takeTold };
}

test("each route takes bodies up to its limit: 256 KiB, and 2 MiB of log lines", () => {
  const { calls } = createCalls();
  const limits = Object.entries(calls.routes).map(([name, { bytesMax }]) => [name, bytesMax]);
  expect(Object.fromEntries(limits)).toEqual({
    join: 262_144,
    beat: 262_144,
    permits: 262_144,
    leave: 262_144,
    logs: 2_097_152,
    recorded: 262_144,
  });
});

test("a host that joins gets the desk's answer, and its earlier life is known to be dead", async () => {
  const { ask, beat, takeTold } = createCalls();
  await beat();
  takeTold();
  const first = { program: "1.0", name: "worker-1", replaces: null };
  expect(await ask("join", "join", first, "welcome")).toEqual({ refused: "no room" });
  expect(takeTold()).toEqual([["welcome", first]]);
  await ask("join", "join", { ...first, replaces: "a" }, "welcome");
  expect(takeTold()).toEqual([
    ["died", "a"],
    ["welcome", { ...first, replaces: "a" }],
  ]);
});

test("a beat counts under the id of its sender, and is answered with the list, ended tasks and rated models", async () => {
  const { coordinator, ended, beat, takeTold } = createCalls();
  ended.add("x", 1, [member("a", ["work"])]);
  expect(await beat()).toEqual({
    state: "forming",
    joining: "self/2",
    rated: ["fast"],
    ended: [["x", 1]],
    list: null,
  });
  expect(takeTold()).toEqual([
    ["spent", "a", SPENT],
    ["joined", "a", "worker-1"],
  ]);
  expect(coordinator.hosts).toMatchObject([
    {
      member: { ...HOST, id: "a", isSink: false },
      load: { work: { busy: 1, queued: 2, slots: 3 } },
    },
  ]);
  coordinator.tick();
  const version = { driver: "self", version: 2 };
  expect(await beat()).toMatchObject({
    state: "running",
    ended: [],
    list: {
      version,
      members: [
        { id: "self", isSink: true, roles: [] },
        { ...HOST, id: "a", isSink: false },
      ],
    },
  });
  expect(await beat({ known: version })).toMatchObject({ state: "running", list: null });
});

test("a host of another run, or of other secrets, is told to join anew, and counts for nothing", async () => {
  const { calls, coordinator, beat, takeTold } = createCalls();
  expect(await beat({ run: "another-run" })).toEqual({
    state: "rejoin",
    joining: "",
    rated: [],
    ended: [],
    list: null,
  });
  expect([takeTold(), coordinator.hosts, calls.bytesSent]).toEqual([[], [], 0]);
});

test("bytes that hosts sent are summed over hosts, by the latest beat of each", async () => {
  const { calls, beat } = createCalls();
  expect(calls.bytesSent).toBe(0);
  await beat({ bytes: 100 });
  await beat({ bytes: 150 });
  expect(calls.bytesSent).toBe(150);
  const second = encodeControl("beat", {
    ...{ run: "this-run", host: HOST, load: {}, known: null, bytes: 7, spent: SPENT },
  });
  await calls.routes["beat"]?.run(second, "b");
  expect(calls.bytesSent).toBe(157);
});

test("permits are answered with the waits of the first requests, and at once for a model without a rate", async () => {
  const { rates, ask } = createCalls();
  const wanted = { tokens: [1, 1], settled: 0 };
  const unrated = await ask("permits", "permits", { model: "other", ...wanted }, "turns");
  expect(unrated).toEqual({ waits: [0, 0] });
  const rated = await ask("permits", "permits", { model: "fast", ...wanted }, "turns");
  expect(rated.waits).toHaveLength(2);
  rates.stop();
});

test("a host that leaves tells its last spending, and is removed for the reason that it gives", async () => {
  for (const why of ["left", "died"] as const) {
    const { ask, beat, takeTold } = createCalls();
    await beat();
    takeTold();
    expect(await ask("leave", "leave", { id: "a", why, spent: SPENT }, "done")).toBeNull();
    expect(takeTold()).toEqual([
      ["spent", "a", SPENT],
      [why, "a"],
    ]);
  }
});

test("a host cannot say that another one has left, nor what that one has spent", async () => {
  const { ask, beat, takeTold } = createCalls();
  await beat();
  takeTold();
  const goodbye = { id: "a", why: "died", spent: SPENT } as const;
  await expect(ask("leave", "leave", goodbye, "done", "b")).rejects.toMatchObject({
    code: "wire_invalid",
    message: "b speaks for a",
  });
  expect(takeTold()).toEqual([]);
});

test("no member speaks for the driver by taking its name as an id, whatever it asks", async () => {
  const { calls, takeTold } = createCalls();
  for (const [name, { run }] of Object.entries(calls.routes))
    for (const from of ["driver", "DRIVER"])
      expect(() => run(new Uint8Array(), from), name).toThrow(
        expect.objectContaining({ code: "wire_invalid", message: `${from} is no host` }),
      );
  expect(takeTold()).toEqual([]);
});

test("a host that joins replaces an earlier life with its own key, and no other host", async () => {
  const { ask, coordinator, takeTold } = createCalls();
  const seed = createSeed();
  const [before, now] = [createIdentity("w-1", seed).id, createIdentity("w-2", seed).id];
  const other = createIdentity("w-1").id;
  const load = {};
  const beat = { run: "this-run", host: HOST, load, known: null, bytes: 0, spent: SPENT };
  const join = (from: string) =>
    ask("join", "join", { program: "1", name: "w", replaces: before }, "welcome", from);
  await ask("beat", "beat", beat, "heard", before);
  for (const stranger of [other, "plain"]) {
    await join(stranger);
    expect(coordinator.hosts.map(({ member }) => member.id)).toEqual([before]);
  }
  takeTold();
  await join(now);
  expect(coordinator.hosts).toEqual([]);
  expect(takeTold()[0]).toEqual(["died", before]);
});

test("lines of a host that takes the name of a present one go under its id", async () => {
  const { ask, beat, takeTold } = createCalls();
  await beat();
  const join = { program: "1", name: "worker-1", replaces: null };
  await ask("join", "join", join, "welcome", "thief");
  takeTold();
  for (const from of ["thief", "a"])
    await ask("logs", "logs", { name: "worker-1", lines: [] }, "done", from);
  expect(takeTold()).toEqual([
    ["logs", "thief", []],
    ["logs", "worker-1", []],
  ]);
});

test("lines of a host that has not joined are refused, so that it sends them again", async () => {
  const { ask, beat, takeTold } = createCalls();
  await expect(ask("logs", "logs", { name: "w", lines: [] }, "done")).rejects.toMatchObject({
    code: "wire_invalid",
    message: "a has not joined",
  });
  await beat();
  takeTold();
  await ask("logs", "logs", { name: "claimed", lines: [] }, "done");
  expect(takeTold()).toEqual([["logs", "worker-1", []]]);
});

test("lines of a host's log go to the desk under the host's name", async () => {
  const { ask, beat, takeTold } = createCalls();
  await beat();
  takeTold();
  const line = { at: 5, level: "warning", message: "it is warm", fields: { role: "a", hop: 1 } };
  const lines = [{ ...line, level: "warning" as const }];
  expect(await ask("logs", "logs", { name: "worker-1", lines }, "done")).toBeNull();
  expect(takeTold()).toEqual([["logs", "worker-1", [line]]]);
});

test("a body that is no such call is refused as wire_invalid", async () => {
  const { calls } = createCalls();
  const body = encodeControl("done", null);
  for (const [name, route] of Object.entries(calls.routes)) {
    const error = await Promise.resolve()
      .then(() => route.run(body, "a"))
      .then(
        () => null,
        (thrown: unknown) => thrown,
      );
    expect([name, error]).toMatchObject([name, { code: "wire_invalid" }]);
  }
});

test("a host is given the record of a task that is replayed, or none", async () => {
  const { ask } = createCalls();
  expect(await ask("recorded", "recorded", { row: "a", trial: 1 }, "recording")).toEqual({
    redraws: 1,
    record: { seed: 7, history: Buffer.from('["a"]'), error: "no" },
  });
  expect(await ask("recorded", "recorded", { row: "none", trial: 0 }, "recording")).toEqual({
    redraws: 0,
    record: null,
  });
});
