// A host: slots, queues, deadlines, and that every message that came in goes out exactly once.

import { afterEach, expect, test } from "bun:test";
import type { AgentAnswer, AgentContext } from "../../src/agent/contract.ts";
import { MatrixError } from "../../src/error.ts";
import type { HopMeter } from "../../src/host/hop-meter.ts";
import { type AskedModel, Host } from "../../src/host/host.ts";
import { Role } from "../../src/host/role.ts";
import { currentOwner } from "../../src/host/stray-error.ts";
import { readSteps } from "../../src/host/watch/steps.ts";
import { type WatchData, Watchdog } from "../../src/host/watch/watchdog.ts";
import {
  done,
  fork,
  type Orchestrator,
  type RemoteOrchestrator,
  to,
} from "../../src/orchestrator/contract.ts";
import type { Json } from "../../src/task/json.ts";
import { TASK_BYTES_MAX } from "../../src/task/size.ts";
import type { Message, Task } from "../../src/task/task.ts";
import type { HopSpan, Tracing } from "../../src/telemetry/tracing.ts";
import { until } from "../parts/until.ts";
import { task as taskOf } from "../peer/one-broker.ts";

const hosts: Host[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.stop();
});

type Run = (task: Task, context: AgentContext) => AgentAnswer | Promise<AgentAnswer>;

interface Setup {
  readonly run: Run;
  /** The agent of a second role, `b`. */
  readonly runB?: Run;
  readonly concurrency?: number;
  readonly timeoutMs?: number;
  readonly taskTimeoutMs?: number;
  readonly retries?: number;
  readonly orchestrator?: Partial<Orchestrator> | RemoteOrchestrator;
  readonly tracing?: Tracing;
  /** Rows whose tasks a newer copy has overtaken. */
  readonly overtaken?: readonly string[];
  readonly meter?: HopMeter;
  readonly watchdog?: Watchdog;
  readonly models?: ReadonlyMap<string, AskedModel>;
}

/** A host of roles `a` and `b`, on a clock that the test sets. Tasks were admitted at 0. */
function createHost({
  run,
  runB = () => ({ result: "b" }),
  concurrency = 10,
  timeoutMs = 60_000,
  taskTimeoutMs = 1e9,
  retries = 0,
  orchestrator = {},
  tracing,
  overtaken = [],
  meter,
  watchdog,
  models,
}: Setup) {
  const sent: Message[] = [];
  const done_: Task[] = [];
  const branches: Message[] = [];
  const settled: Task[] = [];
  const clock = { now: 1000, reads: 0 };
  const host = new Host({
    id: "h1",
    roles: [
      new Role({ name: "a", agent: { run }, concurrency, timeoutMs, retries }),
      new Role({ name: "b", agent: { run: runB }, concurrency: 1, timeoutMs: 60_000, retries: 0 }),
    ],
    rule: {
      orchestrator:
        "isRemote" in orchestrator
          ? orchestrator
          : { start: () => to("a"), next: () => done(), ...orchestrator },
      roles: new Set(["a", "b"]),
      maxHops: 9,
    },
    taskTimeoutMs,
    transport: {
      self: "h1",
      begin: (task) => (overtaken.includes(task.rowId) ? null : task),
      settle: (branch) => void settled.push(branch),
      submit: (message) => void branches.push(message),
      handOn: (done, message) => {
        done_.push(done);
        sent.push(message);
      },
    },
    clock: () => {
      clock.reads++;
      return clock.now;
    },
    tracing: tracing ?? null,
    ...(meter === undefined ? {} : { meter }),
    watchdog,
    ...(models === undefined ? {} : { models }),
  });
  hosts.push(host);
  const sentAll = (count: number) =>
    until(() => sent.length >= count, `${count} messages went out`);
  /** Resolves when the host has looked for deadlines that are over. */
  const looked = async () => {
    const before = clock.reads;
    await until(() => clock.reads > before, "the host has looked for deadlines");
  };
  return { host, sent, done: done_, branches, settled, clock, sentAll, looked };
}

const step = (rowId: string, role = "a"): Message => ({
  kind: "step",
  task: taskOf({ rowId, role }),
});
const steps = (count: number) => Array.from({ length: count }, (_, index) => step(String(index)));
const errorOf = (message: Message | undefined) =>
  message?.kind === "end" ? message.ending.error : null;

/** An agent that answers when the test says so. */
function createGate() {
  const open = new Map<string, (answer: AgentAnswer) => void>();
  const started: string[] = [];
  const signals = new Map<string, AbortSignal>();
  const run: Run = ({ rowId }, { signal }) => {
    started.push(rowId);
    signals.set(rowId, signal);
    return new Promise((resolve) => open.set(rowId, resolve));
  };
  const answer = (rowId: string, result: Json = rowId) => open.get(rowId)?.({ result });
  return { run, started, signals, answer };
}

test("a host runs no more steps of a role at once than it has slots, and all of them in the end", async () => {
  let running = 0;
  let most = 0;
  const { host, sent, sentAll } = createHost({
    concurrency: 3,
    run: async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return { result: 1 };
    },
  });
  host.receive(steps(50));
  expect(host.roles[0]).toMatchObject({ busy: 3, queued: 47, slots: 3 });
  await sentAll(50);
  expect(most).toBe(3);
  expect(new Set(sent.map(({ task }) => task.rowId)).size).toBe(50);
  expect(host.roles[0]).toMatchObject({ busy: 0, queued: 0 });
});

test("steps that wait start in the order in which they came, each when a slot is free", async () => {
  const gate = createGate();
  const { host, sentAll } = createHost({ run: gate.run, concurrency: 2 });
  host.receive(steps(4));
  expect(gate.started).toEqual(["0", "1"]);
  gate.answer("1");
  await sentAll(1);
  expect(gate.started).toEqual(["0", "1", "2"]);
  gate.answer("0");
  await sentAll(2);
  expect(gate.started).toEqual(["0", "1", "2", "3"]);
});

test("a role that is full does not hold up another role", async () => {
  const gate = createGate();
  const { host, sent } = createHost({ run: gate.run, concurrency: 1 });
  host.receive([step("0"), step("1"), step("2", "b")]);
  expect(sent.map(({ task }) => task.rowId)).toEqual(["2"]);
});

test("a host takes a long queue of agents that answer at once without recursing", async () => {
  const gate = Promise.withResolvers<AgentAnswer>();
  const { host, sentAll } = createHost({
    concurrency: 1,
    run: (task) => (task.rowId === "0" ? gate.promise : { result: 1 }),
  });
  host.receive(steps(100_000));
  gate.resolve({ result: 1 });
  await sentAll(100_000);
});

test("a hop records its role, its host, its times, its result and what its model used", async () => {
  const usage = { requests: 1, prompt_tokens: 20, completion_tokens: 3 };
  const gate = Promise.withResolvers<AgentAnswer>();
  const { host, sent, done, clock, sentAll } = createHost({
    concurrency: 1,
    run: ({ rowId }) =>
      rowId === "0" ? gate.promise : { result: { x: 1 }, model: "m", usage, cost: 0.5 },
  });
  const second = step("1");
  host.receive([step("0"), second]);
  clock.now += 250;
  gate.resolve({ result: "first" });
  await sentAll(2);
  const at = (ms: number) => new Date(ms).toISOString();
  expect(sent[0]?.task.history).toEqual([
    { hop: 0, role: "a", host: "h1", at: at(1000), queue_ms: 0, run_ms: 250, result: "first" },
  ]);
  expect(sent[1]?.task.history).toEqual([
    {
      ...{ hop: 0, role: "a", host: "h1", at: at(1250), queue_ms: 250, run_ms: 0 },
      ...{ result: { x: 1 }, model: "m", usage, cost: 0.5 },
    },
  ]);
  expect(done[1]).toBe(second.task);
});

test("the rule is given the result of each hop, and the next message follows it", () => {
  const { host, sent } = createHost({
    run: ({ history }) => ({ result: history.length }),
    orchestrator: { next: (_state, result) => (result === 0 ? to("b", "on") : done()) },
  });
  host.receive([step("0")]);
  expect(sent[0]).toMatchObject({ kind: "step", task: { rowId: "0", role: "b", state: "on" } });
  host.receive([{ kind: "step", task: taskOf({ rowId: "1", role: "a", hops: 2 }) }]);
  expect(sent[1]).toMatchObject({ kind: "end", ending: { status: "ok", stopReason: "completed" } });
  expect(sent[1]?.task.history.map(({ hop }) => hop)).toEqual([0, 1, 2]);
});

test("an answer that a model did not finish ends the task with the model's reason", () => {
  const { host, sent } = createHost({ run: () => ({ result: "", stop: "refused" }) });
  host.receive([step("0")]);
  expect(sent[0]).toMatchObject({ kind: "end", ending: { status: "ok", stopReason: "refused" } });
  expect(sent[0]?.task.history[0]).not.toHaveProperty("stop");
});

test("a step whose agent does not answer in time ends its task, and its late answer counts for nothing", async () => {
  const gate = createGate();
  const { host, sent, clock, sentAll, looked } = createHost({
    run: gate.run,
    timeoutMs: 500,
    concurrency: 1,
  });
  host.receive(steps(2));
  clock.now += 499;
  await looked();
  expect(sent).toEqual([]);
  clock.now += 1;
  await sentAll(1);
  expect(sent[0]).toMatchObject({
    kind: "end",
    ending: {
      status: "failed",
      stopReason: "timeout",
      error: {
        code: "agent_timeout",
        message: "a did not answer within 500 ms (roles.a.timeout)",
        role: "a",
        hop: 0,
      },
    },
  });
  const reason = gate.signals.get("0")?.reason as MatrixError;
  expect([reason.code, gate.signals.get("1")?.aborted]).toEqual(["agent_timeout", false]);
  gate.answer("0");
  gate.answer("1");
  await sentAll(2);
  await new Promise(setImmediate);
  expect(sent).toHaveLength(2);
  expect(host.roles[0]).toMatchObject({ busy: 0, queued: 0 });
});

test("a step ends when the time of its task is used up, counted from the task's admission", async () => {
  const gate = createGate();
  const { host, sent, clock, sentAll, looked } = createHost({ run: gate.run, taskTimeoutMs: 3000 });
  host.receive([step("0")]);
  clock.now = 2999;
  await looked();
  expect(sent).toEqual([]);
  clock.now = 3000;
  await sentAll(1);
  expect(errorOf(sent[0])).toMatchObject({
    code: "task_timeout",
    message: "the task took longer than 3000 ms (run.timeout)",
    role: "a",
    hop: 0,
  });
});

test("a step does not begin when the time of its task is used up", () => {
  const { host, sent, clock } = createHost({ run: () => ({ result: 1 }), taskTimeoutMs: 2000 });
  clock.now = 1999;
  host.receive([step("0")]);
  clock.now = 2000;
  host.receive([step("1")]);
  expect(sent.map((message) => errorOf(message)?.code)).toEqual([undefined, "task_timeout"]);
  expect(host.roles[0]?.busy).toBe(0);
});

test("an error of an agent ends its own task alone, with its code", async () => {
  const { host, sent, sentAll } = createHost({
    run: (task) => {
      if (task.rowId === "0") throw new Error("broken");
      if (task.rowId === "1") return Promise.reject(new MatrixError("model_timeout", "too slow"));
      return { result: 1 };
    },
  });
  host.receive(steps(3));
  await sentAll(3);
  const codes = sent.map((message) => [message.task.rowId, errorOf(message)?.code]);
  expect(Object.fromEntries(codes)).toEqual({
    "0": "agent_failed",
    "1": "model_timeout",
    "2": undefined,
  });
  expect(host.roles[0]).toMatchObject({ busy: 0, queued: 0 });
});

test("a failed step is tried again in its slot, each try with its own time limit", async () => {
  const tried: number[] = [];
  const { host, sent, clock, sentAll, looked } = createHost({
    run: (task, { tries, signal }) => {
      if (task.rowId === "1") return { result: "other" };
      tried.push(tries);
      if (tries === 1) throw new Error("ECONNRESET");
      if (tries === 2)
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
        });
      return { result: "ok" };
    },
    ...{ timeoutMs: 500, retries: 2, concurrency: 1 },
  });
  host.receive(steps(2));
  expect([tried, sent.length, host.roles[0]?.busy, host.idle]).toEqual([[1], 0, 1, false]);
  clock.now += 250;
  await until(() => tried.length === 2, "the second try began");
  clock.now += 499;
  await looked();
  expect(tried).toEqual([1, 2]);
  clock.now += 1;
  await looked();
  clock.now += 500;
  await sentAll(2);
  expect(tried).toEqual([1, 2, 3]);
  const [hop] = sent[0]?.task.history ?? [];
  expect(hop).toMatchObject({ result: "ok", tries: 3, queue_ms: 0, run_ms: 1250 });
  expect(hop?.at).toBe(new Date(1000).toISOString());
  expect(sent[1]?.task.history[0]).not.toHaveProperty("tries");
  expect(host.idle).toBe(true);
});

test("a step that failed in every try ends its task, and its last hop says how often it was tried", async () => {
  const { host, sent, clock, sentAll, looked } = createHost({
    run: () => Promise.reject(new Error("down")),
    retries: 1,
  });
  host.receive([step("0")]);
  await new Promise(setImmediate);
  clock.now += 250;
  await looked();
  await sentAll(1);
  expect(errorOf(sent[0])).toMatchObject({ code: "agent_failed", message: "down", hop: 0 });
  expect(sent[0]?.task.history).toEqual([
    {
      ...{ hop: 0, role: "a", host: "h1", at: new Date(1000).toISOString() },
      ...{ queue_ms: 0, run_ms: 250, tries: 2, error: "agent_failed", result: null },
    },
  ]);
});

test("a step without time for its next try ends with the error of the last one", () => {
  const { host, sent } = createHost({
    run: () => {
      throw new Error("down");
    },
    ...{ retries: 5, taskTimeoutMs: 1125 },
  });
  host.receive([step("0")]);
  expect(errorOf(sent[0])).toMatchObject({ code: "agent_failed", message: "down" });
  expect(sent[0]?.task.history).toEqual([]);
});

test("a stopped host does not try a failed step again", async () => {
  let tries = 0;
  const { host, sent, clock, looked } = createHost({
    run: () => {
      tries++;
      throw new Error("down");
    },
    retries: 5,
  });
  host.receive([step("0")]);
  host.stop();
  clock.now += 10_000;
  await new Promise(setImmediate);
  expect([tries, sent.length]).toEqual([1, 0]);
  expect(looked).toBeDefined();
});

test("answers that a step could not use are in its hop, and make the hop of a step that failed", async () => {
  const usage = { requests: 1, prompt_tokens: 5, completion_tokens: 3 };
  const both = { requests: 2, prompt_tokens: 10, completion_tokens: 6 };
  const given = { model: "m", usage, cost: 0.1, result: { content: "not json {" } };
  const missed = { problem: "not JSON", usage, cost: 0.1, result: { content: "not json {" } };
  const { host, sent, sentAll } = createHost({
    run: (task, context) => {
      context.missed(given, "not JSON");
      if (task.rowId === "0") return { model: "m", usage: both, cost: 0.2, result: "yes" };
      context.missed(given, "not JSON");
      throw new MatrixError("schema_mismatch", "it does not fit");
    },
  });
  host.receive(steps(2));
  await sentAll(2);
  expect(sent[0]?.task.history[0]).toMatchObject({ usage: both, missed: [missed], result: "yes" });
  expect(sent[0]?.task.history[0]).not.toHaveProperty("error");
  expect(sent[1]?.task.history).toMatchObject([
    {
      ...{ hop: 0, role: "a", model: "m", usage: both, cost: 0.2 },
      ...{ missed: [missed, missed], error: "schema_mismatch", result: null },
    },
  ]);
});

test("a step that is cut off by its time limit still says what was paid", async () => {
  const { host, sent, clock, sentAll } = createHost({
    run: (_, context) => {
      context.missed(
        { model: "m", usage: { requests: 1, prompt_tokens: 5, completion_tokens: 3 }, result: 1 },
        "no",
      );
      return new Promise(() => undefined);
    },
    timeoutMs: 500,
  });
  host.receive([step("0")]);
  clock.now += 500;
  await sentAll(1);
  expect(sent[0]?.task.history).toMatchObject([
    {
      model: "m",
      usage: { prompt_tokens: 5 },
      missed: [{ problem: "no" }],
      error: "agent_timeout",
    },
  ]);
  expect(sent[0]?.task.history[0]).not.toHaveProperty("cost");
});

test("a host that is stopped aborts its steps, hands nothing on and takes nothing new", async () => {
  const gate = createGate();
  const { host, sent } = createHost({ run: gate.run, concurrency: 1 });
  host.receive(steps(2));
  host.stop();
  expect(gate.signals.get("0")?.reason).toMatchObject({
    code: "agent_timeout",
    message: "the run was stopped",
  });
  gate.answer("0");
  await new Promise(setImmediate);
  host.receive([step("9")]);
  expect([sent, gate.started]).toEqual([[], ["0"]]);
});

test("a host is idle when no step runs or waits and no task waits for branches", async () => {
  const gate = createGate();
  const { host, sentAll } = createHost({ run: gate.run, concurrency: 1 });
  expect(host.idle).toBe(true);
  host.receive([step("0")]);
  expect(host.idle).toBe(false);
  gate.answer("0");
  await sentAll(1);
  expect(host.idle).toBe(true);
  const forked = taskOf({ rowId: "1" });
  const state = { branches: [{ to: "a", state: null }], state: null };
  host.receive([{ kind: "fork", task: { ...forked, state } }]);
  expect(host.idle).toBe(false);
});

test("steps that wait can be taken out of their queues, and those that run stay", async () => {
  const gate = createGate();
  const { host } = createHost({ run: gate.run, runB: gate.run, concurrency: 1 });
  host.receive([step("0"), step("1"), step("2", "b"), step("3", "b"), step("4")]);
  expect(host.takeWaiting()).toMatchObject([
    { kind: "step", task: { rowId: "1", role: "a" } },
    { kind: "step", task: { rowId: "4", role: "a" } },
    { kind: "step", task: { rowId: "3", role: "b" } },
  ]);
  expect([host.takeWaiting(), gate.started]).toEqual([[], ["0", "2"]]);
});

test("a message for a role that the host does not serve is a bug", () => {
  const { host } = createHost({ run: () => ({ result: 1 }) });
  expect(() => host.receive([step("0", "c")])).toThrow("bug: a message for c reached host h1");
});

test("a task that waits for branches longer than its time ends, and its branches lead nowhere", async () => {
  const { host, sent, branches, settled, clock, sentAll, looked } = createHost({
    run: () => ({ result: 1 }),
    taskTimeoutMs: 2000,
    orchestrator: { start: () => fork([to("a")], null), join: () => null },
  });
  const state = {
    branches: [
      { to: "a", state: null },
      { to: "b", state: 1 },
    ],
    state: null,
  };
  host.receive([{ kind: "fork", task: { ...taskOf({ rowId: "1" }), state } }]);
  expect(branches.map(({ task }) => task.role)).toEqual(["a", "b"]);
  clock.now = 1999;
  await looked();
  expect(sent).toEqual([]);
  clock.now = 2000;
  await sentAll(1);
  expect(errorOf(sent[0])).toMatchObject({
    code: "task_timeout",
    message: "the task took longer than 2000 ms (run.timeout)",
    role: null,
    hop: null,
  });
  expect(settled).toEqual(branches.map(({ task }) => task));
});

test("each hop of a traced task is a span with its times, its model and its error", async () => {
  const spans: (readonly [string, HopSpan])[] = [];
  const tracing: Tracing = {
    startTask: () => "",
    hop: (trace, span) => void spans.push([trace, span]),
    endTask: () => undefined,
    close: async () => undefined,
  };
  const usage = { requests: 1, prompt_tokens: 2, completion_tokens: 3 };
  const gate = Promise.withResolvers<AgentAnswer>();
  const { host, clock, sentAll } = createHost({
    concurrency: 1,
    tracing,
    run: ({ rowId }) => {
      if (rowId === "0") return gate.promise;
      throw new MatrixError("model_failed", "no");
    },
  });
  const traced = (rowId: string, hops = 0): Message => ({
    kind: "step",
    task: { ...taskOf({ rowId, role: "a", hops }), trace: `trace-${rowId}` },
  });
  host.receive([traced("0"), traced("1", 2), step("2")]);
  clock.now += 30;
  gate.resolve({ result: 1, model: "m", usage });
  await sentAll(3);
  const common = { role: "a", host: "h1", queuedAt: 1000, endedAt: 1030 };
  expect(spans).toEqual([
    ["trace-0", { ...common, hop: 0, startedAt: 1000, model: "m", usage }],
    ["trace-1", { ...common, hop: 2, startedAt: 1030, error: "model_failed" }],
  ]);
});

test("the span of a role's model has its provider, also where the model gave no answer, and steps are timed", async () => {
  const spans: HopSpan[] = [];
  const tracing: Tracing = {
    startTask: () => "",
    hop: (_, span) => void spans.push(span),
    endTask: () => undefined,
    close: async () => undefined,
  };
  const timed: unknown[] = [];
  const meter = {
    record: (...times: unknown[]) => void timed.push(times),
  } as unknown as HopMeter;
  const asked = { finishReasons: ["stop"] };
  const { host, sent, sentAll } = createHost({
    ...{ tracing, meter, models: new Map([["a", { id: "gpt", provider: "openai" }]]) },
    run: ({ rowId }) => {
      if (rowId === "1") throw new MatrixError("model_failed", "no");
      return { result: 1, model: "simulated:gpt", asked };
    },
  });
  const traced = (rowId: string): Message => ({
    kind: "step",
    task: { ...taskOf({ rowId, role: "a" }), trace: "trace" },
  });
  host.receive([traced("0"), traced("1")]);
  await sentAll(2);
  expect(spans).toMatchObject([
    { model: "simulated:gpt", provider: "openai", asked },
    { model: "gpt", provider: "openai", error: "model_failed" },
  ]);
  expect(sent[0]?.task.history[0]).not.toHaveProperty("asked");
  expect(timed).toEqual([
    ["a", 0, 0, "ok"],
    ["a", 0, 0, "model_failed"],
  ]);
});

test("branches of a host are numbered from 1, over all tasks that fork", () => {
  const { host, branches } = createHost({ run: () => ({ result: 1 }) });
  const state = {
    branches: [
      { to: "a", state: "left" },
      { to: "b", state: "right" },
    ],
    state: null,
  };
  for (const rowId of ["1", "2"])
    host.receive([{ kind: "fork", task: { ...taskOf({ rowId, role: "" }), state } }]);
  expect(branches.map(({ task }) => [task.rowId, task.role, task.state, task.branch])).toEqual([
    ["1", "a", "left", { of: "h1", id: 1 }],
    ["1", "b", "right", { of: "h1", id: 2 }],
    ["2", "a", "left", { of: "h1", id: 3 }],
    ["2", "b", "right", { of: "h1", id: 4 }],
  ]);
  expect(new Set(branches.map(({ task }) => task.seed)).size).toBe(2);
});

test("the end of a branch that leads nowhere any more is settled, and changes nothing", () => {
  const { host, sent, settled } = createHost({ run: () => ({ result: 1 }) });
  const late: Message = {
    kind: "end",
    task: { ...taskOf({ rowId: "1" }), branch: { of: "h1", id: 77 } },
    ending: { status: "ok", stopReason: "completed", score: null, outcome: null, error: null },
  };
  host.receive([late]);
  expect([settled, sent]).toEqual([[late.task], []]);
});

test("a branch whose end comes twice is joined and settled as if it came once", () => {
  const { host, sent, branches, settled } = createHost({
    run: () => ({ result: 1 }),
    orchestrator: { start: () => fork([to("a")], null), join: () => done() },
  });
  const state = { branches: [{ to: "a", state: null }], state: null };
  host.receive([{ kind: "fork", task: { ...taskOf({ rowId: "1", role: "" }), state } }]);
  const [branch] = branches;
  if (branch === undefined) throw new Error("the task has a branch");
  const end: Message = {
    kind: "end",
    task: branch.task,
    ending: { status: "ok", stopReason: "completed", score: null, outcome: null, error: null },
  };
  host.receive([end]);
  expect([sent.length, settled.length, host.idle]).toEqual([1, 1, true]);
  host.receive([end]);
  expect([sent.length, settled.length]).toEqual([1, 2]);
});

test("an error that user code lets go outside of its answer fails the step that it belongs to", async () => {
  const { host, sent, sentAll } = createHost({
    run: ({ rowId }) => {
      if (rowId === "0") currentOwner()?.fail(new Error("it escaped"));
      return new Promise(() => undefined);
    },
  });
  host.receive(steps(2));
  await sentAll(1);
  expect(errorOf(sent[0])).toMatchObject({ code: "agent_failed", message: "it escaped" });
  expect([sent.length, sent[0]?.task.rowId]).toEqual([1, "0"]);
});

test("the signal of a step that has answered does not abort at its deadline", async () => {
  const gate = createGate();
  const { host, clock, sentAll, looked } = createHost({ run: gate.run, timeoutMs: 500 });
  host.receive(steps(1));
  gate.answer("0");
  await sentAll(1);
  clock.now += 1000;
  await looked();
  expect(gate.signals.get("0")?.aborted).toBe(false);
});

test("a step that a newer copy has overtaken does not begin, and its slot goes to the next", async () => {
  const ran: string[] = [];
  const { host, sentAll, sent } = createHost({
    run: (given) => {
      ran.push(given.rowId);
      return { result: null };
    },
    concurrency: 1,
    overtaken: ["1"],
  });
  host.receive([step("1"), step("2")]);
  await sentAll(1);
  expect([ran, sent.map((message) => message.task.rowId), host.idle]).toEqual([["2"], ["2"], true]);
});

test("the watchdog knows the step whose agent is called, and those that have not answered yet", async () => {
  const started: WatchData[] = [];
  const watchdog = new Watchdog("run", "h1", (data) => {
    started.push(data as WatchData);
    return { stop: () => undefined };
  });
  const read = () => {
    const [data] = started;
    if (data === undefined) throw new Error("the watchdog has no thread");
    return readSteps(data.memory);
  };
  const gate = createGate();
  const called: (string | null)[] = [];
  const { host, sentAll } = createHost({
    run: (task, context) => {
      called.push(read().running);
      if (task.rowId === "bad") throw new Error("no");
      return task.rowId === "quick" ? { result: 1 } : gate.run(task, context);
    },
    watchdog,
  });
  expect(started).toEqual([]);
  host.receive([step("quick"), step("bad"), step("slow")]);
  expect(called).toEqual([
    "role a, row quick, trial 0",
    "role a, row bad, trial 0",
    "role a, row slow, trial 0",
  ]);
  expect(started).toMatchObject([{ kind: "run", name: "h1" }]);
  expect(read()).toMatchObject({ running: null, waiting: ["role a, row slow, trial 0"] });
  gate.answer("slow");
  await sentAll(3);
  expect(read()).toMatchObject({ running: null, waiting: [] });
  watchdog.stop();
});

test("a slot stays taken until a rule in another process has decided, and a stopped host sends nothing", async () => {
  const decisions = new Map<string, (role: string) => void>();
  const {
    host,
    sent,
    done: handed,
    sentAll,
  } = createHost({
    run: () => ({ result: "said" }),
    concurrency: 1,
    orchestrator: {
      isRemote: true,
      start: () => Promise.reject(new Error("never asked")),
      next: (_state, _result, { id }) =>
        new Promise((resolve) => decisions.set(id, (role) => resolve(to(role)))),
    },
  });
  host.receive(steps(2));
  expect([[...decisions.keys()], host.idle]).toEqual([["0"], false]);
  decisions.get("0")?.("b");
  await sentAll(1);
  expect(sent).toMatchObject([{ kind: "step", task: { rowId: "0", role: "b" } }]);
  expect(sent[0]?.task.history).toMatchObject([{ hop: 0, role: "a", result: "said" }]);
  expect(handed.map(({ rowId }) => rowId)).toEqual(["0"]);
  expect([...decisions.keys()]).toEqual(["0", "1"]);
  host.stop();
  decisions.get("1")?.("b");
  await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toHaveLength(1);
});

test("a failed step leaves its unused answers out when the task has no room for them", async () => {
  const usage = { requests: 1, prompt_tokens: 5, completion_tokens: 3 };
  const run: Run = async ({ rowId }, context) => {
    const result = "x".repeat(rowId === "0" ? TASK_BYTES_MAX : 100_000);
    context.missed({ model: "m", usage, result }, "no");
    throw new MatrixError("schema_mismatch", "no");
  };
  const { host, sent, sentAll } = createHost({ run });
  host.receive(steps(2));
  await sentAll(2);
  const [large, small] = sent.map(({ task }) => task.history[0]);
  expect(large).toMatchObject({ usage, error: "schema_mismatch", result: null });
  expect(large).not.toHaveProperty("missed");
  expect(small?.missed).toHaveLength(1);
});

test("a task whose time is over ends while it waits for a slot, and the others keep their order", async () => {
  const gate = createGate();
  const { host, sent, clock, looked } = createHost({
    run: gate.run,
    concurrency: 1,
    taskTimeoutMs: 10_000,
    overtaken: ["4"],
  });
  const at = (rowId: string, admittedAt: number): Message => {
    const message = step(rowId);
    return { ...message, task: { ...message.task, admittedAt } };
  };
  host.receive([
    at("0", 9000),
    at("1", 8000),
    at("2", 0),
    at("3", 8000),
    at("4", 0),
    at("5", 9000),
  ]);
  clock.now = 10_000;
  await until(() => sent.length === 1, "the late task has ended");
  await looked();
  expect(sent.map(({ task, ...message }) => [task.rowId, message])).toMatchObject([
    ["2", { ending: { error: { code: "task_timeout", role: "a", hop: 0 } } }],
  ]);
  for (const rowId of ["0", "1", "3", "5"]) gate.answer(rowId);
  await until(() => gate.started.length >= 2, "the next step has started");
  gate.answer("1");
  await until(() => gate.started.length >= 3, "the next step has started");
  gate.answer("3");
  await until(() => gate.started.length >= 4, "the last step has started");
  expect(gate.started).toEqual(["0", "1", "3", "5"]);
});
