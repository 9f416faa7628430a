// Budgets: what a run spends at most, how it stops there, and how it goes on.

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { CORAL } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { Cluster } from "../chaos/cluster.ts";

const PRICED = ["models.speaker.price={ prompt = 100, completion = 300 }"];
const IN_FLIGHT = 10;

interface Spent {
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cost: number;
}

const drive = async (directory: string, ...more: string[]) => {
  const args = [
    "drive",
    CORAL,
    "-o",
    directory,
    "-n",
    String(IN_FLIGHT),
    "--trials",
    "5",
    "--json",
    "-q",
    ...PRICED,
    ...more,
  ];
  const { code, stdout, stderr } = await matrix(args);
  return {
    code,
    stderr,
    summary: JSON.parse(stdout) as { ok: number; abandoned: number; spent: Spent },
  };
};

const spentOf = async (directory: string) =>
  (JSON.parse(await readFile(join(directory, "manifest.json"), "utf8")) as { spent: Spent }).spent;

/** The sums over a run's records, which are the run's spending when nothing was done twice. */
const costOf = (records: readonly { readonly cost: number | null }[]) =>
  records.reduce((sum, { cost }) => sum + (cost ?? 0), 0);

test(
  "a budget in money ends a run after the tasks in flight, and a higher budget completes it",
  () =>
    withFolder(async (folder) => {
      const directory = join(folder, "run");
      const first = await drive(directory, "run.budget.money=2");
      expect(first.code).toBe(3);
      expect(first.stderr).toMatch(/run\.budget is used up \(2\.\d+ of 2 in money\)/);
      expect(first.summary.abandoned).toBe(0);
      const records = await readRecords(directory);
      const dearest = Math.max(...records.map(({ cost }) => cost ?? 0));
      expect(first.summary.spent.cost).toBeGreaterThanOrEqual(2);
      expect(first.summary.spent.cost).toBeLessThanOrEqual(2 + IN_FLIGHT * dearest);
      expect(first.summary.spent.cost).toBeCloseTo(costOf(records), 6);
      expect((await matrix(["verify", directory])).code).toBe(3);

      // Still over it: nothing is spent, and it says so.
      const again = await drive(directory, "run.budget.money=2");
      expect(again.code).toBe(3);
      expect(again.stderr).toContain("run.budget is used up");
      expect(again.summary.spent.requests).toBe(first.summary.spent.requests);
      expect(again.summary.spent.cost).toBeCloseTo(first.summary.spent.cost, 6);

      const last = await drive(directory, "run.budget.money=1000");
      expect(last.code).toBe(0);
      expect(last.summary.ok).toBe(200);
      expect(last.summary.spent.cost).toBeCloseTo(costOf(await readRecords(directory)), 6);
      expect((await matrix(["verify", directory])).code).toBe(0);
    }),
  60_000,
);

test("a budget is overspent by little more than a task, and a run that ends over it says so", () =>
  withFolder(async (folder) => {
    const directory = join(folder, "run");
    const priced = (price: number) =>
      `models.speaker.price={ prompt = ${price}, completion = ${price} }`;
    const args = ["-n", "60", "--trials", "1", priced(500), "run.budget.money=1"];
    const { code, summary } = await drive(directory, ...args);
    expect(code).toBe(3);
    const dearest = Math.max(...(await readRecords(directory)).map(({ cost }) => cost ?? 0));
    expect(summary.spent.cost).toBeGreaterThanOrEqual(1);
    // The first four begin while nothing is known.
    expect(summary.spent.cost).toBeLessThan(1 + 4 * dearest);
    const all = [
      "drive",
      CORAL,
      "-o",
      join(folder, "all"),
      "-q",
      "--limit",
      "1",
      priced(5000),
      "run.budget.money=0.01",
    ];
    const complete = await matrix(all);
    expect(complete.code).toBe(0);
    expect(complete.stdout).toMatch(/^over run\.budget: \d+\.\d+ of 0\.01 in money$/m);
  }));

test(
  "a budget in tokens holds for all hosts together, and for a driver that is killed and restarted",
  () =>
    withFolder(async (folder) => {
      await using cluster = new Cluster(folder);
      const args = [
        "--workers",
        "2",
        "-n",
        String(IN_FLIGHT),
        "--trials",
        "20",
        ...PRICED,
        "run.budget.tokens=60000",
      ];
      const first = cluster.drive(CORAL, args);
      await until(
        async () =>
          cluster.recordCount() > 5 && (await spentOf(cluster.directory)).prompt_tokens > 10_000,
        "some is spent",
      );
      const before = await spentOf(cluster.directory);
      first.signal("SIGKILL");
      await first.ended;
      const second = cluster.drive(CORAL, args);
      expect(await second.ended).toBe(3);
      expect(second.stdout()).toMatch(
        /run\.budget is used up: [67]\d,\d+ of 60,000 tokens; the same command with a higher budget goes on/,
      );

      const after = await spentOf(cluster.directory);
      const records = await readRecords(cluster.directory);
      expect(after.requests).toBeGreaterThan(before.requests);
      // Steps that workers did before the driver died and while it was down are counted once.
      const recorded = records.reduce(
        (sum, { usage }) => sum + usage.prompt_tokens + usage.completion_tokens,
        0,
      );
      expect(after.prompt_tokens + after.completion_tokens).toBe(recorded);
      // Only tasks that were in flight when the budget was used up, and none that began later.
      const largest = Math.max(
        ...records.map(({ usage }) => usage.prompt_tokens + usage.completion_tokens),
      );
      expect(recorded).toBeLessThan(60_000 + IN_FLIGHT * largest);
      expect((await matrix(["verify", cluster.directory])).code).toBe(3);
    }),
  60_000,
);

test(
  "hosts that spend faster than they report keep the budget",
  () =>
    withFolder(async (folder) => {
      const directory = join(folder, "run");
      const fast = [
        'models.speaker.latency="0ms"',
        "models.speaker.tokens_per_second=1e9",
        "--trials",
        "500",
        "--workers",
        "2",
      ];
      const { code, summary } = await drive(directory, ...fast, "run.budget.tokens=300000");
      expect(code).toBe(3);
      const used = (await readRecords(directory)).map(
        ({ usage }) => usage.prompt_tokens + usage.completion_tokens,
      );
      const sum = used.reduce((total, tokens) => total + tokens, 0);
      expect(summary.spent.prompt_tokens + summary.spent.completion_tokens).toBe(sum);
      expect(sum).toBeGreaterThanOrEqual(300_000);
      expect(sum).toBeLessThan(300_000 + IN_FLIGHT * Math.max(...used));
    }),
  60_000,
);

test("a continued run counts the cost of records that its killed driver had not noted down", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const first = cluster.drive(CORAL, ["-n", String(IN_FLIGHT), "--trials", "5", ...PRICED]);
    await until(() => cluster.recordCount() > 15, "some records are written");
    first.signal("SIGKILL");
    await first.ended;
    const { code, summary } = await drive(cluster.directory, "run.budget.tokens=1");
    expect(code).toBe(3);
    const records = await readRecords(cluster.directory);
    expect(summary.spent.prompt_tokens).toBeGreaterThanOrEqual(
      records.reduce((sum, { usage }) => sum + usage.prompt_tokens, 0),
    );
  }));

test("a budget in money needs the price of every model in use, and an empty budget is refused", () =>
  withFolder(async (folder) => {
    const directory = join(folder, "run");
    const unpriced = await matrix(["drive", CORAL, "-o", directory, "run.budget.money=2"]);
    expect(unpriced.code).toBe(2);
    expect(unpriced.stderr).toContain(
      "run.budget.money needs the price of every model in use: set models.speaker.price",
    );
    const empty = await matrix(["check", CORAL, "run.budget={}"]);
    expect(empty.code).toBe(2);
    expect(empty.stderr).toContain("a table with money, tokens or both");
  }));

test("a budget that is not reached stops nothing, and may be set or lifted between starts", () =>
  withFolder(async (folder) => {
    const recipe = join(folder, "recipe.toml");
    await writeFile(recipe, `extends = "${CORAL}"\n[run]\nbudget = { tokens = 100_000_000 }\n`);
    const directory = join(folder, "run");
    expect((await matrix(["drive", recipe, "-o", directory, "--limit", "5"])).code).toBe(0);
    expect((await matrix(["drive", CORAL, "-o", directory, "--limit", "10"])).code).toBe(0);
    expect((await spentOf(directory)).requests).toBeGreaterThan(20);
  }));
