import { expect, test } from "bun:test";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Selected } from "../../../src/export/contract.ts";
import { tau2 } from "../../../src/export/formats/tau2.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import { withFolder } from "../../parts/folder.ts";
import { formatOptions, hopsOf, manifestOf, recordOf } from "../made.ts";

const TOLD = {
  task: '{"id":"1","n":1.0}',
  system: {
    assistant: "Rules.\n<policy>\nBe <policy> kind.\n</policy>\nEnd.",
    user: "Guidelines.\n\n<scenario>\nYou call.",
  },
};

function made(
  outcome: JsonObject | null,
  record: Partial<TrajectoryRecord> = {},
  told: Json = TOLD,
): Selected {
  const [load, speak, ask, later] = hopsOf(
    ["environment", told],
    ["assistant", 1],
    ["user-simulator", 2],
    ["environment", { reward: 1 }],
  );
  const history = [load, { ...speak, model: "gpt" }, { ...ask, model: "qwen" }, later];
  return {
    number: 0,
    run: manifestOf({
      recipe: { roles: { assistant: { sampling: { temperature: 0 } }, "user-simulator": {} } },
    }),
    record: recordOf({ score: 1, outcome, history: history as never, ...record }),
    conversation: null,
    candidates: () => [],
  };
}

const OUTCOME: JsonObject = {
  domain: "retail",
  task_id: "1",
  max_steps: 200,
  max_errors: 10,
  termination_reason: "user_stop",
  reward_info: { reward: 1 },
  usage: { assistant: { cost: 0.5 }, user: {} },
  messages: [],
};

/** The texts of the files after these records, and the writer's answers. */
async function written(
  selected: readonly Selected[],
): Promise<{ examples: number[]; files: Record<string, string> }> {
  return withFolder(async (folder) => {
    const writer = await tau2.open(join(folder, "out.json"), formatOptions());
    const examples: number[] = [];
    for (const one of selected) examples.push(await writer.add(one));
    await writer.close();
    const files: Record<string, string> = {};
    for (const name of (await readdir(folder)).sort())
      files[name] = await readFile(join(folder, name), "utf8");
    return { examples, files };
  });
}

test("a file of tau2 has the info of the run, each simulation, and each task", async () => {
  const { examples, files } = await written([made(OUTCOME, { id: "retail-1", trial: 2, seed: 5 })]);
  expect(examples).toEqual([1]);
  expect(JSON.parse(files["out.json"] ?? "")).toEqual({
    timestamp: "2026-11-24T10:20:30.500",
    info: {
      git_commit: "unknown",
      num_trials: 2,
      max_steps: 200,
      max_errors: 10,
      user_info: {
        implementation: "user_simulator",
        llm: "qwen",
        llm_args: {},
        global_simulation_guidelines: "Guidelines.",
      },
      agent_info: { implementation: "llm_agent", llm: "gpt", llm_args: { temperature: 0 } },
      environment_info: { domain_name: "retail", policy: "Be <policy> kind.", tool_defs: null },
      seed: 9,
    },
    simulations: [
      {
        id: "retail-1#2",
        task_id: "1",
        timestamp: "2026-11-24T10:20:30.500",
        start_time: "2026-11-24T10:20:30.500",
        end_time: "2026-11-24T10:20:30.500",
        duration: 0.0015,
        termination_reason: "user_stop",
        agent_cost: 0.5,
        user_cost: null,
        reward_info: { reward: 1 },
        messages: [],
        trial: 2,
        seed: 5,
        skipped: false,
      },
    ],
    tasks: [{ id: "1", n: 1 }],
  });
});

test("numbers in tasks and in arguments of calls stay as they were written", async () => {
  const call = { id: "c1", name: "f", arguments: '{"price": 1.0}' };
  const messages = [{ role: "assistant", tool_calls: [call] }, { role: "user", content: "x" }, 7];
  const { files } = await written([made({ ...OUTCOME, messages })]);
  const text = files["out.json"] ?? "";
  expect(text).toContain('{"id":"1","n":1.0}');
  expect(text).toContain('{"id":"c1","name":"f","arguments":{"price": 1.0}}');
  expect(JSON.parse(text).simulations[0].messages).toEqual([
    { role: "assistant", tool_calls: [{ ...call, arguments: { price: 1 } }] },
    { role: "user", content: "x" },
    {},
  ]);
});

test("a task without a user is exported as solo", async () => {
  const told = { ...TOLD, system: { ...TOLD.system, user: null } };
  const { files } = await written([made({ ...OUTCOME, solo: true }, {}, told)]);
  expect(JSON.parse(files["out.json"] ?? "").info).toMatchObject({
    user_info: { implementation: "dummy_user", global_simulation_guidelines: null },
    agent_info: { implementation: "llm_agent_solo" },
  });
});

test.each<[what: string, selected: () => Selected]>([
  ["a score", () => made(OUTCOME, { score: null })],
  ["an outcome", () => made(null)],
  ["the environment's task", () => made(OUTCOME, {}, { system: TOLD.system })],
  ["the environment's prompts", () => made(OUTCOME, {}, { task: TOLD.task })],
])("a record without %s is not exported to tau2", async (_, selected) => {
  expect(await written([selected()])).toEqual({ examples: [0], files: {} });
});

test("an outcome without messages is exported to tau2 with an empty list", async () => {
  const { messages: _, ...outcome } = OUTCOME;
  const { files } = await written([made(outcome)]);
  expect(JSON.parse(files["out.json"] ?? "").simulations[0].messages).toEqual([]);
});

test("a score of 0 is exported to tau2", async () => {
  expect((await written([made(OUTCOME, { score: 0 })])).examples).toEqual([1]);
});

test("each domain has its own file, with each of its tasks once", async () => {
  const of = (domain: string, task: string, trial: number) =>
    made(
      { ...OUTCOME, domain, task_id: task },
      { id: `${domain}-${task}`, trial },
      {
        ...TOLD,
        task: `{"id":"${task}"}`,
      },
    );
  const { examples, files } = await written([
    of("retail", "1", 0),
    of("mock", "1", 0),
    of("retail", "1", 1),
    of("retail", "2", 0),
  ]);
  expect(examples).toEqual([1, 1, 1, 1]);
  expect(Object.keys(files)).toEqual(["out-mock.json", "out-retail.json"]);
  const retail = JSON.parse(files["out-retail.json"] ?? "");
  expect(retail.simulations.map(({ id }: { id: string }) => id)).toEqual([
    "retail-1#0",
    "retail-1#1",
    "retail-2#0",
  ]);
  expect(retail.tasks).toEqual([{ id: "1" }, { id: "2" }]);
  expect(retail.info.environment_info.domain_name).toBe("retail");
});

test("a file of tau2 is not a table and has no columns", () => {
  expect(tau2.columns(formatOptions({ masked: false }))).toBeNull();
});

test("a file of a domain that exists already is a storage error", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "out-retail.json"));
    const writer = await tau2.open(join(folder, "out.json"), formatOptions());
    await expect(writer.add(made(OUTCOME))).rejects.toMatchObject({ code: "storage_failed" });
  }));
