// `matrix export --to tau2` and `matrix report` on runs of the recipe, judged by the official
// loader, evaluator and metrics.

import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject } from "../../../src/task/json.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { CORAL } from "../../parts/repository.ts";
import { Bridge, inProcess, python } from "./bridge.ts";
import { type GoldScript, goldScripts } from "./gold.ts";
import { writeRecipes } from "./recipe.ts";

const MINUTES = 60_000;
/** Reference calls of telecom with fractions, which JavaScript would write as whole numbers. */
const WITH_FRACTIONS = goldScripts
  .filter(({ replies }) => JSON.stringify(replies).includes(".0}"))
  .slice(0, 2);

interface Seen {
  readonly domain: string;
  readonly policy: string;
  readonly trials: number;
  readonly tasks: number;
  readonly simulations: number;
  readonly differing: readonly string[];
  readonly verified: boolean;
  readonly avg_reward: number;
  readonly pass: readonly number[];
  readonly arguments: readonly string[];
}

async function officially(path: string): Promise<Seen> {
  const child = Bun.spawn([python ?? "python3", join(import.meta.dir, "results.py"), path], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [text, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(errors);
  return JSON.parse(text) as Seen;
}

function scriptOf(lines: readonly object[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

async function run(folder: string, filter: string, lines: readonly object[]): Promise<void> {
  const { gold } = await writeRecipes(folder);
  await writeFile(join(folder, "script.jsonl"), scriptOf(lines));
  const replies = ["agent", "user"].map((name) => `models.${name}.replies="script.jsonl"`);
  const args = [
    "-o",
    "run",
    "-q",
    "--trials",
    "2",
    "run.fail_above=1.0",
    `dataset.filter=${JSON.stringify(filter)}`,
    ...replies,
  ];
  const { code, stderr } = await matrix(["drive", gold, ...args], { cwd: folder });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
}

describe.if(python !== null)("the export to tau2", () => {
  test(
    "an export loads officially, evaluates to the recorded rewards, passes the leaderboard's verification and has our report's metrics",
    () =>
      withFolder(async (folder) => {
        // All of telecom, twice: some tasks are done both times, some once, most never. (Mock
        // cannot be verified: two of its tasks have messages without times, and the official loader
        // gives them others each time.)
        const telecom = goldScripts.filter(({ id }) => id.startsWith("telecom/"));
        const idle = { assistant: ["No."], "user-simulator": ["Hi", "###STOP###"] };
        const lines = telecom.flatMap((script, index) => [
          index < 12 ? script : { id: script.id, replies: idle },
          ...(index < 4 ? [{ id: script.id, trial: 1, replies: idle }] : []),
        ]);
        await run(folder, "row.domain == 'telecom' && 'base' in row.splits", lines);
        const exported = await matrix(["export", "run", "--to", "tau2", "-o", "results.json"], {
          cwd: folder,
        });
        expect(exported).toEqual({
          code: 0,
          stdout: "results.json: train 228, from 228 records (simulated model)\n",
          stderr: "",
        });
        const seen = await officially(join(folder, "results.json"));
        expect(seen).toMatchObject({
          domain: "telecom",
          trials: 2,
          tasks: 114,
          simulations: 228,
          differing: [],
          verified: true,
        });

        const { stdout } = await matrix(["report", "run", "--json"], { cwd: folder });
        const [line] = (JSON.parse(stdout) as { domains: { mean: number; pass: number[] }[] })
          .domains;
        expect(line).toMatchObject({
          domain: "telecom",
          tasks: 114,
          scored: 228,
          failed: 0,
          ended: { user_stop: 228 },
        });
        expect(line?.mean).toBeCloseTo(seen.avg_reward, 12);
        expect(line?.pass).toHaveLength(2);
        for (const [index, value] of seen.pass.entries())
          expect(line?.pass[index]).toBeCloseTo(value, 12);
        expect(line?.pass[1]).toBeLessThan(line?.pass[0] ?? 0);

        await using bridge = new Bridge(inProcess);
        const task = { domain: "telecom", task_id: telecom[0]?.id.slice("telecom/".length) ?? "" };
        const { policy } = await bridge.request<{ policy: string }>("load", {
          session: "s",
          ...task,
        });
        expect(seen.policy).toBe(policy);
        const imported = await bridge.request<{ simulations: JsonObject[] }>("import", {
          path: join(folder, "results.json"),
        });
        expect(imported.simulations).toHaveLength(228);
      }),
    3 * MINUTES,
  );

  test(
    "an export writes one file for each domain, leaves out records without a score, and keeps numbers as the model wrote them",
    () =>
      withFolder(async (folder) => {
        const [first, second] = WITH_FRACTIONS as [GoldScript, GoldScript];
        const rows = [first.id, second.id, "mock/update_task_1", "mock/create_task_1_nl_eval"];
        // The script knows nothing of the last row: it fails.
        const scripts = goldScripts.filter(({ id }) => rows.slice(0, 3).includes(id));
        const wrong = {
          id: "mock/update_task_1",
          trial: 1,
          replies: { assistant: ["No."], "user-simulator": ["Hi", "###STOP###"] },
        };
        await run(folder, `row.id in ${JSON.stringify(rows)}`, [...scripts, wrong]);
        const exported = await matrix(["export", "run", "--to", "tau2", "-o", "results.json"], {
          cwd: folder,
        });
        expect(exported).toEqual({
          code: 0,
          stdout:
            "results-mock.json, results-telecom.json: train 6, from 8 records (simulated model)\nleft out: not ok 2\n",
          stderr: "",
        });
        expect(
          readdirSync(folder).filter((name) => name.startsWith(".") || name === "results.json"),
        ).toEqual([]);
        const seen = await officially(join(folder, "results-telecom.json"));
        expect(seen).toMatchObject({
          simulations: 4,
          differing: [],
          verified: false,
          avg_reward: 1,
        });
        expect(seen.arguments.filter((text) => text.includes(".0}")).length).toBeGreaterThan(1);
        const wanted = [first, second].flatMap(({ replies }) => [
          ...replies.assistant,
          ...replies["user-simulator"],
        ]);
        const texts = wanted.flatMap((reply) =>
          typeof reply === "string" ? [] : reply.tool_calls.map((call) => call.function.arguments),
        );
        expect([...new Set(seen.arguments)].sort()).toEqual([...new Set(texts)].sort());

        const { stdout } = await matrix(["report", "run"], { cwd: folder });
        expect(stdout.split("\n").slice(0, 7)).toEqual([
          "tau2-gold (simulated model)",
          "",
          "domain   tasks  scored  failed  reward      ±  pass^1  pass^2  ended",
          "mock         2       2       2   0.500      -   0.500   0.000  model_refused_request 2, user_stop 2",
          "telecom      2       4       0   1.000  0.000   1.000   1.000  user_stop 4",
          "",
          "±: standard error over tasks",
        ]);
      }),
    3 * MINUTES,
  );
});

describe("an export", () => {
  test("an export of a run without tau2 is refused, and leaves no file", () =>
    withFolder(async (folder) => {
      await matrix(
        ["drive", CORAL, "-o", "run", "-q", "--limit", "2", 'models.speaker.latency="0ms"'],
        { cwd: folder },
      );
      const { code, stderr } = await matrix(
        ["export", "run", "--to", "tau2", "-o", "results.json"],
        { cwd: folder },
      );
      expect(code).toBe(2);
      expect(stderr).toContain("no record of these runs can be exported to tau2");
      expect(readdirSync(folder)).toEqual(["run"]);
      const report = await matrix(["report", "run"], { cwd: folder });
      expect(report.stdout).toContain("pass^1");
      expect(await readFile(join(folder, "run/manifest.json"), "utf8")).toContain('"complete"');
    }));
});
