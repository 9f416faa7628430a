// Drivers that share one dataset, each with its shard and a run directory, and their accounting.

import { expect, test } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { comparable, readRecords } from "../parts/records.ts";

const ROWS = 1000;
const RECIPE = `name = "shards"
[dataset]
path = "d.jsonl"
[roles.a]
agent = "a.ts"
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;
/** 750 of the rows. */
const FILTERED = ["dataset.filter=row.n % 4 != 3", "dataset.shuffle=true"];

async function withRecipe<T>(use: (folder: string) => Promise<T>, rows = ROWS): Promise<T> {
  return withFolder(async (folder) => {
    await writeFile(join(folder, "recipe.toml"), RECIPE);
    await writeFile(
      join(folder, "a.ts"),
      "export default ({ row }) => ({ n: row.n, score: 1 });\n",
    );
    await writeFile(
      join(folder, "d.jsonl"),
      Array.from({ length: rows }, (_, n) => `{"n":${n},"key":"k${n}"}\n`).join(""),
    );
    return use(folder);
  });
}

const drive = (folder: string, output: string, more: readonly string[]) =>
  matrix(["drive", "recipe.toml", "-q", "-o", output, ...more], { cwd: folder });

/** Drives every shard of `count` into DIR-INDEX, all at once. */
async function driveShards(
  folder: string,
  count: number,
  more: readonly string[] = [],
): Promise<readonly string[]> {
  const outputs = Array.from({ length: count }, (_, index) => `run-${index}`);
  const runs = outputs.map((output, index) =>
    drive(folder, output, [`dataset.shard=${index}/${count}`, ...more]),
  );
  for (const { code, stderr } of await Promise.all(runs))
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return outputs;
}

const verify = (folder: string, ...directories: readonly string[]) =>
  matrix(["verify", ...directories], { cwd: folder });
const idsOf = async (folder: string, output: string) =>
  (await readRecords(join(folder, output))).map(({ id }) => id);
const sorted = (ids: Iterable<string>) => [...ids].sort((a, b) => Number(a) - Number(b));

test("shards share no row and are together the whole dataset, filtered and shuffled, with its row numbers", () =>
  withRecipe(async (folder) => {
    const outputs = await driveShards(folder, 4, FILTERED);
    const ids = await Promise.all(outputs.map((output) => idsOf(folder, output)));
    expect(sorted(ids.flat())).toEqual(
      sorted(
        Array.from({ length: ROWS }, (_, n) => String(n)).filter((id) => Number(id) % 4 !== 3),
      ),
    );
    for (const [index, own] of ids.entries())
      expect(own.every((id) => Number(id) % 4 === index)).toBe(true);
    // Row 3, 7, 11 … did not pass: the last shard has nothing to do, and says so.
    expect(ids[3]).toEqual([]);
    for (const record of await readRecords(join(folder, "run-1")))
      expect(record.row["n"]).toBe(Number(record.id));

    const { code, stdout } = await verify(folder, ...outputs);
    expect(stdout).toContain("run-0: expected 250 = ok 250 + failed 0 + lost 0\n");
    expect(stdout).toContain("run-3: expected 0 = ok 0 + failed 0 + lost 0\n");
    expect(stdout).toContain("shards: expected 750 = ok 750 + failed 0 + lost 0\n");
    expect(stdout).toContain("verified: in 4 shards every row and trial has exactly one record");
    expect(code).toBe(0);
  }));

test("shards have together the rows that a limit leaves of the whole dataset", () =>
  withRecipe(async (folder) => {
    for (const shuffle of ["false", "true"]) {
      const more = [
        "dataset.limit=100",
        `dataset.shuffle=${shuffle}`,
        "dataset.filter=row.n % 2 == 0",
        "--fresh",
      ];
      await drive(folder, "whole", more);
      const outputs = await driveShards(folder, 3, more);
      const ids = await Promise.all(outputs.map((output) => idsOf(folder, output)));
      expect(sorted(ids.flat())).toEqual(sorted(await idsOf(folder, "whole")));
      expect((await verify(folder, ...outputs)).stdout).toContain("expected 100 = ok 100");
    }
  }));

test("shards make the records of a run over the whole dataset, because seeds come from the row", () =>
  withRecipe(async (folder) => {
    await drive(folder, "whole", []);
    const outputs = await driveShards(folder, 2);
    const parts = await Promise.all(outputs.map((output) => readRecords(join(folder, output))));
    expect(comparable(parts.flat())).toEqual(comparable(await readRecords(join(folder, "whole"))));
  }, 50));

test("a shard is extended by added rows and more trials, like any run", () =>
  withRecipe(async (folder) => {
    await driveShards(folder, 2);
    await appendFile(join(folder, "d.jsonl"), '{"n":10}\n{"n":11}\n{"n":12}\n');
    const outputs = await driveShards(folder, 2, ["--trials", "2"]);
    const { stdout } = await verify(folder, ...outputs);
    expect(stdout).toContain("run-0: expected 14 = ok 14");
    expect(stdout).toContain("run-1: expected 12 = ok 12");
    const { code, stderr } = await drive(folder, "run-0", ["dataset.shard=1/2", "--trials", "2"]);
    expect(stderr).toContain('dataset.shard was "0/2" and is "1/2" now');
    expect(code).toBe(2);
  }, 10));

test("verify names shards that are missing, doubled or of another run", () =>
  withRecipe(async (folder) => {
    const [a = "", b = "", c = "", d = ""] = await driveShards(folder, 4);
    const missing = await verify(folder, a, b, d);
    expect(missing.stdout).toContain("missing: shard 2/4\n");
    expect(missing.stdout).toContain(
      "shards: expected 30 = ok 30 + failed 0 + lost 0 in 3 of 4 shards\n",
    );
    expect(missing.stdout).not.toContain("verified");
    expect(missing.code).toBe(3);

    await drive(folder, "twice", ["dataset.shard=1/4"]);
    const twice = await verify(folder, a, b, c, d, "twice");
    expect(twice.stdout).toContain("wrong: run-1 and twice are both shard 1/4");
    expect(twice.stdout).toContain("row 1, trial 0 is in another shard, too");
    expect(twice.code).toBe(1);

    await drive(folder, "other", ["dataset.shard=2/4", "run.seed=7", "run.concurrency=3"]);
    const other = await verify(folder, a, b, "other", d);
    expect(other.stdout).toContain("wrong: run.seed is 7 in other, and unset in run-0\n");
    expect(other.stdout).not.toContain("concurrency");
    expect(other.code).toBe(1);

    await drive(folder, "three", ["dataset.shard=2/3"]);
    expect((await verify(folder, a, "three")).stdout).toContain(
      "wrong: three is one of 3 shards, but run-0 is one of 4",
    );
    await drive(folder, "whole", []);
    expect((await verify(folder, a, "whole")).stdout).toContain(
      "wrong: whole is not a shard: its recipe has no dataset.shard",
    );

    await writeFile(join(folder, "a.ts"), "export default () => ({ score: 2 });\n");
    await drive(folder, "changed", ["dataset.shard=2/4"]);
    expect((await verify(folder, a, b, "changed", d)).stdout).toContain(
      `wrong: changed had another ${join(folder, "a.ts")} than run-0`,
    );
  }, 40));

test("verify finds an id of a field that is in two shards", () =>
  withRecipe(async (folder) => {
    const outputs = await driveShards(folder, 2, ["dataset.id=key"]);
    expect((await verify(folder, ...outputs)).stdout).toContain("expected 10 = ok 10");
    await appendFile(join(folder, "d.jsonl"), '{"n":10,"key":"k10"}\n{"n":11,"key":"k0"}\n');
    const { code, stderr } = await drive(folder, "again", ["dataset.id=key", "dataset.shard=1/2"]);
    expect(stderr).toContain('the id "k0" is used twice');
    expect(code).toBe(2);
  }, 10));

test("verify of shards prints as JSON what it prints as text", () =>
  withRecipe(async (folder) => {
    const [a = "", b = ""] = await driveShards(folder, 3);
    const { stdout } = await matrix(["verify", "--json", a, b], { cwd: folder });
    expect(JSON.parse(stdout)).toMatchObject({
      expected: 7,
      ok: 7,
      complete: false,
      verified: true,
      missing: ["2/3"],
      findings: [],
      shards: [
        { directory: "run-0", ok: 4, verified: true },
        { directory: "run-1", ok: 3, complete: true },
      ],
    });
  }, 10));

test("verify finds a record that does not belong to its shard", () =>
  withRecipe(async (folder) => {
    await driveShards(folder, 2);
    const path = join(folder, "run-0/trajectories.jsonl");
    await writeFile(path, (await readFile(path, "utf8")).replace('"id":"4"', '"id":"5"'));
    const { code, stdout } = await verify(folder, "run-0");
    expect(stdout).toContain("row 5 does not belong to shard 0/2");
    expect(code).toBe(1);
  }, 10));

test("a shard is written INDEX/COUNT, counted from 0", () =>
  withRecipe(async (folder) => {
    const problem = async (shard: string) =>
      (await matrix(["check", "recipe.toml", `dataset.shard=${shard}`], { cwd: folder })).stderr;
    expect(await problem("3/3")).toContain(
      'dataset.shard: found "3/3"; allowed: "0/3" to "2/3", counted from 0',
    );
    for (const shard of ["1", "a/b", "0/0", "-1/3", "1/2/3", "0.5"])
      expect(await problem(shard)).toContain(
        'allowed: a shard "INDEX/COUNT" with INDEX from 0, such as "0/4"',
      );
    const { stdout } = await matrix(
      ["check", "recipe.toml", "dataset.shard=${env:TASK}/${env:TASKS}"],
      {
        cwd: folder,
        env: { TASK: "1", TASKS: "4" },
      },
    );
    expect(stdout).toContain("shards: 2 rows");
  }, 9));
