// The shipped recipe through the compiled binary: real routing, real records, the real bridge and
// the official evaluator.

import { describe, expect, test } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findContainers, removeContainer } from "../../../src/sandbox/docker/client.ts";
import type { JsonObject } from "../../../src/task/json.ts";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { apptainer } from "../sandbox/engines.ts";
import { hasImage, python } from "./bridge.ts";
import { goldScript, goldScripts } from "./gold.ts";
import { writeRecipes } from "./recipe.ts";

const MINUTES = 60_000;
/** All 287 gold replays take minutes; otherwise some of each domain. */
const FULL = process.env["MATRIX_TAU2_FULL"] === "true";
const SAMPLE: Readonly<Record<string, number>> = { mock: 9, airline: 2, retail: 8, telecom: 16 };
const SHIPPED = join(ROOT, "recipes/tau2-gold.toml");
const UNSOLVED = "mock/update_task_with_history_and_env_assertions";

/** CEL for rows by id. */
const only = (...ids: readonly string[]) =>
  `dataset.filter=${JSON.stringify(`row.id in ${JSON.stringify(ids)}`)}`;

function chosen(): string[] {
  const seen = new Map<string, number>();
  return goldScripts.flatMap(({ id }) => {
    const domain = id.slice(0, id.indexOf("/"));
    const before = seen.get(domain) ?? 0;
    seen.set(domain, before + 1);
    return FULL || before < (SAMPLE[domain] ?? 0) ? [id] : [];
  });
}

for (const { where, recipe, there } of [
  {
    where: "bridges that are plain processes",
    recipe: async (folder: string) => (await writeRecipes(folder)).gold,
    there: python !== null,
  },
  {
    where: "the sandboxes that the recipe ships with",
    recipe: async () => join(ROOT, "recipes/tau2-gold.toml"),
    there: hasImage,
  },
])
  describe.if(there)(`gold replays over ${where}`, () => {
    test(
      "gold replays get the official reward: 1 for every task, except for the one whose reference falls short",
      () =>
        withFolder(async (folder) => {
          const env = { MATRIX_TAU2_BRIDGES: "2" };
          const ids = chosen();
          const { code, stderr } = await matrix(
            ["drive", await recipe(folder), "-o", "run", "-q", only(...ids)],
            { cwd: folder, env },
          );
          expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
          const records = await readRecords(join(folder, "run"));
          expect(records.map(({ id }) => id).sort()).toEqual([...ids].sort());
          expect(
            records.filter(({ score }) => score !== 1).map(({ id, score }) => [id, score]),
          ).toEqual([[UNSOLVED, 0]]);
          for (const { outcome, stop_reason } of records) {
            expect(stop_reason).toBe("stopped");
            expect(outcome).toMatchObject({
              termination_reason: "user_stop",
              restarts: 0,
              reward_info: { reward: expect.any(Number) },
            });
          }
        }),
      15 * MINUTES,
    );
  });

describe.if(python !== null)("a tau2 run", () => {
  test(
    "a task that was not done, not said or not finished scores 0",
    () =>
      withFolder(async (folder) => {
        // Pinned: a task with one mutating action, one with something to say, one with errors to
        // make.
        const dropped = "retail/0";
        const unsaid =
          goldScripts.find(
            ({ id, replies }) =>
              id.startsWith("airline/") && replies.assistant.at(-1) !== "That is all done.",
          )?.id ?? "";
        const script = (id: string, assistant: readonly unknown[]) => ({
          id,
          replies: {
            assistant,
            "user-simulator": [...Array(20).fill("Please go on."), "###STOP###"],
          },
        });
        const gold = (id: string) => goldScript(id).replies.assistant;
        const failing = {
          content: null,
          tool_calls: Array.from({ length: 10 }, (_, i) => callOf(`e${i}`, "fly", "{}")),
        };
        const lines = [
          {
            id: dropped,
            replies: {
              assistant: [...gold(dropped).slice(0, -2), "Done."],
              "user-simulator": ["Hi", "###STOP###"],
            },
          },
          {
            id: unsaid,
            replies: {
              assistant: [...gold(unsaid).slice(0, -1), "Done."],
              "user-simulator": ["Hi", "###STOP###"],
            },
          },
          script("mock/create_task_1", Array(20).fill("Why?")),
          script("mock/update_task_1", [failing]),
        ];
        const records = await drive(folder, lines, ["orchestrator.with.max_steps=30"]);
        const ends = Object.fromEntries(
          records.map(({ id, score, outcome }) => [id, [score, outcome?.["termination_reason"]]]),
        );
        expect(ends).toEqual({
          [dropped]: [0, "user_stop"],
          [unsaid]: [0, "user_stop"],
          "mock/create_task_1": [0, "max_steps"],
          "mock/update_task_1": [0, "too_many_errors"],
        });
        // Each task scored 0 for the reason that this test set up.
        const infoOf = (id: string) =>
          records.find((record) => record.id === id)?.outcome?.["reward_info"] as JsonObject;
        expect(infoOf(dropped)["reward_breakdown"]).toMatchObject({ DB: 0 });
        expect(infoOf(unsaid)["reward_breakdown"]).toMatchObject({ DB: 1, COMMUNICATE: 0 });
      }),
    2 * MINUTES,
  );

  test(
    "the text of arguments stays the same from the model to the record, with numbers of either kind",
    () =>
      withFolder(async (folder) => {
        const text =
          '{"user_id":"user_1",  "title": "A", "description": null, "far": 1.0, "near": 1}';
        const lines = [
          {
            id: "mock/create_task_1",
            replies: {
              assistant: [
                { content: "Let me.", tool_calls: [callOf("c", "create_task", text)] },
                "Done.",
              ],
              "user-simulator": ["Hi", "###STOP###"],
            },
          },
        ];
        const [record] = await drive(folder, lines);
        const messages = record?.outcome?.["messages"] as readonly JsonObject[];
        expect(messages[2]).toMatchObject({
          role: "assistant",
          content: "Let me.",
          tool_calls: [{ arguments: text, requestor: "assistant" }],
        });
        expect(messages[3]).toMatchObject({
          role: "tool",
          id: "c",
          requestor: "assistant",
          error: true,
        });
        expect(record?.outcome?.["usage"]).toMatchObject({
          assistant: { requests: 2 },
          user: { requests: 2 },
        });
      }),
    MINUTES,
  );

  test(
    "a task that its environment cannot set up is recorded as failed without a score, and the next one goes on",
    () =>
      withFolder(async (folder) => {
        const rows = join(folder, "rows.jsonl");
        await writeFile(
          rows,
          '{"id": "airline/none", "domain": "airline", "task_id": "none", "splits": ["base"]}\n',
        );
        await appendFile(
          rows,
          '{"id": "mock/create_task_1", "domain": "mock", "task_id": "create_task_1", "splits": ["base"]}\n',
        );
        const { gold } = await writeRecipes(folder);
        const args = [
          `dataset.path=${JSON.stringify(rows)}`,
          'dataset.filter="true"',
          "run.fail_above=1.0",
        ];
        const { code } = await matrix(["drive", gold, "-o", "run", "-q", ...args], { cwd: folder });
        expect(code).toBe(0);
        const records = await readRecords(join(folder, "run"));
        const ends = Object.fromEntries(
          records.map(({ id, status, score, error }) => [id, [status, score, error?.message]]),
        );
        expect(ends).toEqual({
          "airline/none": ["failed", null, "airline has no task 'none'"],
          "mock/create_task_1": ["ok", 1, undefined],
        });
      }),
    MINUTES,
  );

  test(
    "the shipped recipe runs with simulated speakers, and every record is accounted for",
    () =>
      withFolder(async (folder) => {
        const { tau2 } = await writeRecipes(folder);
        const filter = `dataset.filter=${JSON.stringify("row.domain == 'mock' || (row.domain == 'telecom' && 'small' in row.splits)")}`;
        const { code, stderr } = await matrix(
          ["drive", tau2, "-o", "run", "-q", "--trials", "2", "run.fail_above=0.2", filter],
          {
            cwd: folder,
          },
        );
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        const records = await readRecords(join(folder, "run"));
        expect(records).toHaveLength(2 * (9 + 20));
        // Random calls can leave a database in which the official evaluator's own assertions break:
        // a failure, and no score.
        const failed = records.filter(({ status }) => status !== "ok");
        for (const { status, score, error } of failed)
          expect({ status, score, role: error?.role }).toEqual({
            status: "failed",
            score: null,
            role: "reward-calculator",
          });
        expect(failed.length).toBeLessThan(10);
        expect(await readFile(join(folder, "run/manifest.json"), "utf8")).toContain(
          '"simulated": true',
        );
      }),
    2 * MINUTES,
  );
});

/** Tasks that take little time, with users that have tools and users that have none. */
const QUICK = goldScripts
  .map(({ id }) => id)
  .filter((id) => (id.startsWith("mock/") && id !== UNSOLVED) || id.startsWith("telecom/"))
  .slice(0, 60);

describe.if(hasImage)("gold replays in containers", () => {
  test(
    "gold replays in containers get the same rewards when a container and a host are killed on the way",
    () =>
      withFolder(async (folder) => {
        const one = ["tau2", "tau2-rewards"].flatMap((name) => [
          `sandboxes.${name}.engine=docker`,
          `sandboxes.${name}.count=1`,
        ]);
        const args = [
          "drive",
          SHIPPED,
          "-o",
          "run",
          "-q",
          "--workers",
          "2",
          `name=killed-${crypto.randomUUID()}`,
          only(...QUICK),
          ...one,
        ];
        const { finished } = spawnMatrix(args, { cwd: folder });
        const records = () => readRecords(join(folder, "run")).catch(() => []);
        const { name, workers } = await begun(folder, async () => (await records()).length > 5);
        const containers = (await findContainers()).filter(({ run }) => run === name);
        expect(containers.length).toBeGreaterThanOrEqual(2);
        await removeContainer(containers[0]?.id ?? "");
        const other = workers.find((worker) => worker.name !== containers[0]?.host);
        process.kill(other?.pid ?? 0, "SIGKILL");
        expect((await finished).code).toBe(0);
        expect((await records()).map(({ id, score }) => `${id} ${score}`).sort()).toEqual(
          QUICK.map((id) => `${id} 1`).sort(),
        );
        expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(0);
      }),
    5 * MINUTES,
  );

  test.if(apptainer.image !== null)(
    "gold replays get the same rewards by Apptainer",
    () =>
      withFolder(async (folder) => {
        const engine = ["tau2", "tau2-rewards"].flatMap((name) => [
          `sandboxes.${name}.engine=apptainer`,
          `sandboxes.${name}.count=1`,
        ]);
        const { code } = await matrix(
          ["drive", SHIPPED, "-o", "run", "-q", only(...QUICK), ...engine],
          { cwd: folder },
        );
        expect(code).toBe(0);
        const records = await readRecords(join(folder, "run"));
        expect(records.map(({ id, score }) => `${id} ${score}`).sort()).toEqual(
          QUICK.map((id) => `${id} 1`).sort(),
        );
      }),
    10 * MINUTES,
  );
});

/** The run's name and workers, once the condition holds. */
async function begun(folder: string, condition: () => Promise<boolean>) {
  await until(condition, "records are written", 3 * MINUTES);
  const { name } = JSON.parse(await readFile(join(folder, "run/manifest.json"), "utf8")) as {
    name: string;
  };
  const { workers } = JSON.parse(await readFile(join(folder, "run/driver.json"), "utf8")) as {
    workers: { name: string; pid: number }[];
  };
  return { name, workers };
}

function callOf(id: string, name: string, text: string) {
  return { id, type: "function", function: { name, arguments: text } };
}

/** Runs a script and gives its records. */
async function drive(
  folder: string,
  lines: readonly { readonly id: string }[],
  more: readonly string[] = [],
) {
  const { gold } = await writeRecipes(folder);
  const script = join(folder, "script.jsonl");
  await writeFile(script, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const replies = ["agent", "user"].map(
    (name) => `models.${name}.replies=${JSON.stringify(script)}`,
  );
  const { code, stderr } = await matrix(
    ["drive", gold, "-o", "run", "-q", only(...lines.map(({ id }) => id)), ...replies, ...more],
    {
      cwd: folder,
    },
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return await readRecords(join(folder, "run"));
}
