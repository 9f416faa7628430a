// The host of one process, as a recipe configures it.

import { expect, test } from "bun:test";
import { MemoryTransport } from "../../src/peer/memory-transport.ts";
import { createHost, createRoles } from "../../src/run/create-host.ts";
import type { Message } from "../../src/task/task.ts";
import { Recorder } from "../../src/telemetry/recorder.ts";
import { agentContext } from "../parts/agent-context.ts";
import { withFolder } from "../parts/folder.ts";
import { hopOf, taskOf } from "../parts/task.ts";
import { until } from "../parts/until.ts";
import { task } from "../peer/one-broker.ts";
import { prepareSmallRun } from "./small-run.ts";

const agent = { run: () => ({ result: 1 }) };

test("a role has the slots and the timeout of the recipe", () =>
  withFolder(async (folder) => {
    const overrides = ["roles.grader.concurrency=3", 'roles.grader.timeout="2s"'];
    const { recipe } = await prepareSmallRun(folder, { overrides });
    const roles = createRoles(recipe, new Map([["grader", agent]]));
    expect(roles.map(({ name, slots, timeoutMs }) => [name, slots, timeoutMs])).toEqual([
      ["grader", 3, 2000],
    ]);
    expect(roles[0]?.agent).toBe(agent);
    expect(() => createRoles(recipe, new Map([["judge", agent]]))).toThrow(
      "bug: the recipe has no role judge",
    );
  }));

test("only roles that ask a model heed run.task_limit", () =>
  withFolder(async (folder) => {
    const { recipe } = await prepareSmallRun(folder, { overrides: ["run.task_limit.calls=1"] });
    const agents = new Map([
      ["student", agent],
      ["grader", agent],
    ]);
    const [student, grader] = createRoles(recipe, agents);
    expect(grader?.agent).toBe(agent);
    const usage = { requests: 1, prompt_tokens: 1, completion_tokens: 1 };
    const history = [hopOf("student", "", { usage })];
    const context = agentContext();
    expect(student?.agent.run(taskOf(), context)).toEqual({ result: 1 });
    expect(() => student?.agent.run(taskOf({ history }), context)).toThrow(
      "the task has used 1 of 1 calls (run.task_limit) and would ask a model again",
    );
  }));

test("a host has its name, the plan's rule and the timeout of tasks", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { overrides: ['run.timeout="1s"'] });
    const transport = new MemoryTransport();
    const roles = createRoles(
      plan.recipe,
      new Map([
        ["student", agent],
        ["grader", agent],
      ]),
    );
    const host = createHost({
      plan,
      name: "h",
      roles,
      transport,
      tracing: null,
      recorder: new Recorder(),
    });
    const ends: Message[] = [];
    transport.start(host, { receive: (messages) => void ends.push(...messages) });
    const now = performance.timeOrigin + performance.now();
    const admittedAt = (ago: number) => ({ admittedAt: now - ago });
    transport.submit({ kind: "step", task: { ...task({ role: "student" }), ...admittedAt(0) } });
    await until(() => ends.length === 1, "the task has ended");
    expect(ends[0]?.task.history.map(({ role, host: name }) => `${role} on ${name}`)).toEqual([
      "student on h",
      "grader on h",
    ]);
    transport.submit({ kind: "step", task: { ...task({ role: "student" }), ...admittedAt(1000) } });
    await until(() => ends.length === 2, "the old task has ended");
    expect(ends[1]).toMatchObject({ ending: { error: { code: "task_timeout" } } });
    host.stop();
  }));
