// Tasks that go several ways at once, on one host: branches run side by side, the rule joins them,
// and each row has one end with everything that its branches did.

import { afterEach, expect, test } from "bun:test";
import type { AgentAnswer } from "../../src/agent/contract.ts";
import { Host } from "../../src/host/host.ts";
import { Role } from "../../src/host/role.ts";
import { startTask } from "../../src/orchestrator/advance.ts";
import {
  done,
  fork,
  type Orchestrator,
  type RemoteOrchestrator,
  to,
} from "../../src/orchestrator/contract.ts";
import { createOrchestrator } from "../../src/orchestrator/create.ts";
import { MemoryTransport } from "../../src/peer/memory-transport.ts";
import type { PatternConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import type { Json } from "../../src/task/json.ts";
import type { Message, Task } from "../../src/task/task.ts";

type End = Extract<Message, { kind: "end" }>;
type Step = (task: Task) => Json | Promise<Json>;

const hosts: Host[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.stop();
});

/** Runs one task to its end, and a moment longer for what else might come. */
async function run(
  orchestrator: Orchestrator | RemoteOrchestrator,
  steps: Readonly<Record<string, Step>>,
  { taskTimeoutMs = 60_000, maxHops = 50 } = {},
): Promise<End> {
  const ends: Message[] = [];
  const first = Promise.withResolvers<void>();
  const rule = { orchestrator, roles: new Set(Object.keys(steps)), maxHops };
  const agentOf = (step: Step) => ({
    run: async (task: Task): Promise<AgentAnswer> => ({ result: await step(task) }),
  });
  const roles = Object.entries(steps).map(
    ([name, step]) =>
      new Role({ name, agent: agentOf(step), concurrency: 10, timeoutMs: 60_000, retries: 0 }),
  );
  const transport = new MemoryTransport();
  const host = new Host({
    id: "h",
    roles,
    rule,
    taskTimeoutMs,
    transport,
    clock: () => performance.now(),
    tracing: null,
  });
  hosts.push(host);
  transport.start(host, {
    receive: (messages) => {
      ends.push(...messages);
      first.resolve();
    },
  });
  const admitted = {
    rowId: "1",
    trial: 0,
    row: { n: 1 },
    seed: 1,
    attempt: 1,
    admittedAt: performance.now(),
    trace: null,
  };
  transport.submit(await startTask(rule, admitted));
  await first.promise;
  await new Promise((resolve) => setImmediate(resolve));
  expect(ends).toHaveLength(1);
  return ends[0] as End;
}

async function patternOf(config: PatternConfig): Promise<Orchestrator> {
  return createOrchestrator(config, () => Promise.reject(new Error("no module in a pattern")), []);
}

const pathOf = ({ task }: End) =>
  task.history.map(
    ({ hop, role, branch }) => `${hop} ${role}${branch === undefined ? "" : ` in ${branch}`}`,
  );

test("a fan-out asks its roles at once, and sums up when all have answered, in the order of the recipe", async () => {
  const slow = Promise.withResolvers<Json>();
  const orchestrator = await patternOf({
    pattern: "fan-out",
    roles: ["a", "b"],
    after: ["judge"],
    score: "results.a + results.b",
  });
  const end = await run(orchestrator, {
    a: () => slow.promise,
    b: () => {
      // It runs while the other one does, or this test never ends.
      slow.resolve(1);
      return 2;
    },
    judge: ({ history }) => ({ seen: history.map(({ result }) => result) }),
  });
  expect(pathOf(end)).toEqual(["0 a in 0", "1 b in 1", "2 judge"]);
  expect(end.ending).toMatchObject({
    status: "ok",
    stopReason: "completed",
    score: 3,
    outcome: { seen: [1, 2] },
  });
  expect(end.task).toMatchObject({ rowId: "1", trial: 0, attempt: 1 });
  expect(end.task.branch).toBeUndefined();
});

test("a fan-out without a role that sums up gives the answers by role", async () => {
  const orchestrator = await patternOf({ pattern: "fan-out", roles: ["a", "b", "c"], after: [] });
  const end = await run(orchestrator, {
    a: () => "x",
    b: () => ({ y: 1 }),
    c: () => ({ role: "assistant", content: "hi" }),
  });
  expect(end.ending.outcome).toEqual({
    a: "x",
    b: { y: 1 },
    c: { result: { role: "assistant", content: "hi" } },
  });
});

test("a fan-out fails with the branch that failed", async () => {
  const orchestrator = await patternOf({ pattern: "fan-out", roles: ["a", "b"], after: [] });
  const end = await run(orchestrator, {
    a: () => 1,
    b: () => {
      throw new Error("no idea");
    },
  });
  expect(end.ending).toMatchObject({
    status: "failed",
    score: null,
    error: { code: "agent_failed", message: "no idea", role: "b" },
  });
});

const config: PatternConfig = {
  pattern: "best-of-n",
  roles: ["solve", "judge"],
  n: 4,
  parallel: true,
};
const judge: Step = ({ history }) => ({ score: history.at(-1)?.result ?? 0, says: "so" });

test("best-of-n in parallel makes all candidates at once, from their own seeds, and chooses the best", async () => {
  const seeds = new Set<number>();
  const orchestrator = await patternOf(config);
  const end = await run(orchestrator, {
    solve: ({ seed, state }) => {
      seeds.add(seed);
      return [0.1, 0.9, 0.3, 0.9][(state as { candidate: number }).candidate] ?? 0;
    },
    judge,
  });
  expect(seeds.size).toBe(4);
  expect(end.ending).toMatchObject({ score: 0.9, outcome: { chosen: 1, says: "so" } });
  expect(end.task.history.map(({ branch }) => branch)).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
});

test("best-of-n in parallel ends with the first accepted candidate, and does not wait for the others", async () => {
  const orchestrator = await patternOf({ ...config, accept: "score > 0.5" });
  const never = new Promise<Json>(() => undefined);
  const end = await run(orchestrator, {
    solve: ({ state }) => ((state as { candidate: number }).candidate === 2 ? 0.8 : never),
    judge,
  });
  expect(end.ending).toMatchObject({
    stopReason: "completed",
    score: 0.8,
    outcome: { chosen: 2 },
  });
  expect(end.ending.outcome?.["candidates"]).toEqual([
    null,
    null,
    { score: 0.8, accepted: true },
    null,
  ]);
  expect(pathOf(end)).toEqual(["0 solve in 2", "1 judge in 2"]);
});

const steps = { a: () => 1, b: () => 2 };
const ruleOf = (rule: Partial<Orchestrator>): Orchestrator => ({
  start: () => to("a"),
  next: () => done(),
  ...rule,
});

test("a rule can fork in the middle of a task, on the state and the history that the task has then", async () => {
  const rule = ruleOf({
    next: (state, result, { history }) => {
      if (state === null)
        return fork([to<Json>("b", "left"), to<Json>("b", "right")], { before: history.length });
      return done({ outcome: { side: state, result, seen: history.length } });
    },
    join: (state, ended) =>
      ended.includes(null)
        ? null
        : done({ outcome: { state, sides: ended.map((one) => one?.outcome ?? null) } }),
  });
  const end = await run(rule, steps);
  expect(end.ending.outcome).toEqual({
    state: { before: 1 },
    sides: [
      { side: "left", result: 2, seen: 2 },
      { side: "right", result: 2, seen: 2 },
    ],
  });
  expect(pathOf(end)).toEqual(["0 a", "1 b in 0", "2 b in 1"]);
});

test("a rule that forks wrongly fails its task with a message that says what is wrong", async () => {
  const error = async (rule: Partial<Orchestrator>) =>
    (await run(ruleOf(rule), steps)).ending.error?.message;
  const join = () => null;
  expect(await error({ start: () => fork([to("b")], null) })).toContain(
    "but the orchestrator has no join()",
  );
  expect(await error({ start: () => fork([], null), join })).toContain("forks into no branches");
  expect(await error({ start: () => fork([to("c")], null), join })).toContain(
    'has a branch to "c", which is not a role of the recipe; roles: a, b',
  );
  const again = { start: () => fork([to("b")], null), next: () => fork([to("a")], null), join };
  expect(await error(again)).toContain("in a branch, and a branch cannot fork again");
  const broken = () => {
    throw new Error("cannot join");
  };
  expect(await error({ start: () => fork([to("b")], null), join: broken })).toBe("cannot join");
});

test("a task fails with its own timeout when its branches do not come back", async () => {
  const rule = ruleOf({ start: () => fork([to("a"), to("b")], null), join: () => null });
  const end = await run(
    rule,
    { a: () => 1, b: () => new Promise<Json>(() => undefined) },
    { taskTimeoutMs: 100 },
  );
  expect(end.ending).toMatchObject({
    status: "failed",
    stopReason: "timeout",
    error: { code: "task_timeout" },
  });
});

test("a rule in another process is asked after each end of a branch, in their order, one after another", async () => {
  const asked: (readonly number[])[] = [];
  let open = 0;
  const orchestrator: RemoteOrchestrator = {
    isRemote: true,
    start: async () => fork([to("a"), to("b"), to("c")], null),
    next: async (_state, result) => done({ score: result as number }),
    join: async (_state, ended) => {
      asked.push(ended.map((end) => end?.score ?? 0));
      expect(++open).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      open--;
      return ended.includes(null) ? null : done({ score: 6 });
    },
  };
  const { ending } = await run(orchestrator, { a: () => 1, b: () => 2, c: () => 3 });
  expect(ending).toMatchObject({ status: "ok", score: 6 });
  expect(asked).toEqual([
    [1, 0, 0],
    [1, 2, 0],
    [1, 2, 3],
  ]);
});

test("a join that decides before all branches have ended is asked no more", async () => {
  let asked = 0;
  const orchestrator: RemoteOrchestrator = {
    isRemote: true,
    start: async () => fork([to("a"), to("b")], null),
    next: async () => done({ score: 1 }),
    join: async () => {
      asked++;
      return done({ score: 9 });
    },
  };
  const { ending } = await run(orchestrator, { a: () => 1, b: () => 2 });
  expect([ending.score, asked]).toEqual([9, 1]);
});
