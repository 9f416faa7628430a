// A host: slots, queues, timeouts, and that every message that came in goes out exactly once.

import { afterEach, describe, expect, test } from "bun:test";
import type { AgentAnswer, AgentContext } from "../../src/agent/contract.ts";
import { MatrixError } from "../../src/error.ts";
import { Host } from "../../src/host/host.ts";
import { Role } from "../../src/host/role.ts";
import { done, to } from "../../src/orchestrator/contract.ts";
import type { Message, Task } from "../../src/task/task.ts";
import { taskOf } from "../parts/task.ts";

const hosts: Host[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.stop();
});

interface Setup {
  readonly run: (task: Task, context: AgentContext) => AgentAnswer | Promise<AgentAnswer>;
  readonly concurrency?: number;
  readonly timeoutMs?: number;
  readonly taskTimeoutMs?: number;
}

/** A host with one role `a`; `sent` is what it hands on, `settled(n)` waits for n messages. */
function createHost({ run, concurrency = 10, timeoutMs = 60_000, taskTimeoutMs = 60_000 }: Setup) {
  const sent: Message[] = [];
  let waiting: { count: number; resolve: () => void } | null = null;
  const rule = {
    orchestrator: { start: () => to("a"), next: () => done() },
    roles: new Set(["a"]),
    maxHops: 9,
  };
  const host = new Host({
    id: "h1",
    roles: [new Role({ name: "a", agent: { run }, concurrency, timeoutMs })],
    rule,
    taskTimeoutMs,
    transport: {
      self: "h1",
      settle: () => undefined,
      submit: (message) => sent.push(message),
      handOn: (_done, message) => {
        sent.push(message);
        if (waiting !== null && sent.length >= waiting.count) waiting.resolve();
      },
    },
    clock: () => performance.now(),
    tracing: null,
  });
  hosts.push(host);
  const settled = (count: number) =>
    new Promise<void>((resolve) => {
      if (sent.length >= count) resolve();
      waiting = { count, resolve };
    });
  return { host, sent, settled };
}

function step(rowId: string): Message {
  const task = taskOf({ rowId, admittedAt: performance.now() });
  return { kind: "step", task };
}

const steps = (count: number) => Array.from({ length: count }, (_, i) => step(String(i)));

describe("a host", () => {
  test("runs no more steps of a role at once than it has slots, and all of them in the end", async () => {
    let running = 0;
    let most = 0;
    const { host, sent, settled } = createHost({
      concurrency: 3,
      run: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return { result: 1 };
      },
    });
    host.receive(steps(50));
    expect([...host.roles][0]).toMatchObject({ busy: 3, queued: 47, slots: 3 });
    await settled(50);
    expect(most).toBe(3);
    expect(new Set(sent.map(({ task }) => task.rowId)).size).toBe(50);
    expect([...host.roles][0]).toMatchObject({ busy: 0, queued: 0 });
  });

  test("takes a long queue of agents that answer at once without recursing", async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { host, settled } = createHost({
      concurrency: 1,
      run: (task) => (task.rowId === "0" ? gate.then(() => ({ result: 1 })) : { result: 1 }),
    });
    host.receive(steps(100_000));
    release();
    await settled(100_000);
  });

  test("records queue and run time, the host and the result of a hop", async () => {
    const { host, sent, settled } = createHost({
      run: () => ({
        result: { x: 1 },
        model: "m",
        usage: { requests: 1, prompt_tokens: 2, completion_tokens: 3 },
      }),
    });
    host.receive([step("1")]);
    await settled(1);
    const [hop] = sent[0]?.task.history ?? [];
    expect(hop).toMatchObject({ hop: 0, role: "a", host: "h1", model: "m", result: { x: 1 } });
    expect(hop?.queue_ms).toBeGreaterThanOrEqual(0);
    expect(hop?.run_ms).toBeGreaterThanOrEqual(0);
  });

  test("ends a task whose agent does not answer in time, tells the agent, and ignores its late answer", async () => {
    let aborted: unknown = null;
    let answerLate = (): void => undefined;
    const { host, sent, settled } = createHost({
      timeoutMs: 1,
      run: (_, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            aborted = signal.reason;
          });
          answerLate = () => resolve({ result: "late" });
        }),
    });
    host.receive([step("1")]);
    await settled(1);
    answerLate();
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({
      kind: "end",
      ending: {
        status: "failed",
        stopReason: "timeout",
        error: { code: "agent_timeout", role: "a", hop: 0 },
      },
    });
    expect(aborted).toBeInstanceOf(MatrixError);
  });

  test("ends a task that has used up its own time before its step begins", async () => {
    const { host, sent, settled } = createHost({ taskTimeoutMs: 0, run: () => ({ result: 1 }) });
    host.receive([step("1")]);
    await settled(1);
    expect(sent[0]).toMatchObject({
      kind: "end",
      ending: { stopReason: "timeout", error: { code: "task_timeout" } },
    });
  });

  test("turns whatever an agent throws into the end of that task alone", async () => {
    const { host, sent, settled } = createHost({
      run: (task) => {
        if (task.rowId === "0") throw new Error("broken");
        if (task.rowId === "1") return Promise.reject(new MatrixError("model_timeout", "too slow"));
        return { result: 1 };
      },
    });
    host.receive(steps(3));
    await settled(3);
    const codes = Object.fromEntries(
      sent.map((message) => [
        message.task.rowId,
        message.kind === "end" ? message.ending.error?.code : null,
      ]),
    );
    expect(codes).toEqual({ "0": "agent_failed", "1": "model_timeout", "2": undefined });
  });

  test("hands nothing on once it is stopped", async () => {
    let answer = (): void => undefined;
    const { host, sent } = createHost({
      run: () => new Promise((resolve) => (answer = () => resolve({ result: 1 }))),
    });
    host.receive([step("1")]);
    host.stop();
    answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toHaveLength(0);
  });
});
