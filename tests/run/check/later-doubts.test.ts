// Doubts that rows and the run directory tell, as `matrix check` shows them.

import { expect, test } from "bun:test";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";

const recipe = (text: string) => `name = "same"
dataset.path = "rows.jsonl"
models.m.kind = "simulated"
roles.a = { agent = "llm", model = "m", prompt = { text = "${text}" } }
orchestrator = { pattern = "sequence", roles = ["a"] }
`;

async function check(folder: string, ...words: readonly string[]): Promise<readonly string[]> {
  const { code, stdout } = await matrix(["check", ...words, "--json"], { cwd: folder });
  expect(code).toBe(0);
  return JSON.parse(stdout).plan.doubts.map(
    ({ key, message }: { key: string; message: string }) => `${key}: ${message}`,
  );
}

test("a limit above the rows of the dataset, or of its filter, is doubted", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "r.toml"), recipe("x"));
    await writeFile(join(folder, "rows.jsonl"), '{"n":1}\n{"n":2}\n');
    expect(await check(folder, "r.toml", "dataset.limit=3")).toEqual([
      "dataset.limit: found 3, but the dataset has 2 rows",
    ]);
    expect(await check(folder, "r.toml", "dataset.limit=2", "dataset.filter=row.n == 1")).toEqual([
      "dataset.limit: found 2, but the filter leaves 1 rows",
    ]);
    expect(await check(folder, "r.toml", "dataset.limit=2")).toEqual([]);
    expect(await check(folder, "r.toml", "dataset.limit=3", "dataset.shard=0/2")).toEqual([]);
    expect(await check(folder, "r.toml")).toEqual([]);
  }));

test("a recipe whose name another run has is doubted, and refused before anything is asked", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "one.toml"), recipe("one"));
    await writeFile(join(folder, "two.toml"), recipe("two"));
    await writeFile(join(folder, "rows.jsonl"), '{"n":1}\n');
    expect(await check(folder, "two.toml")).toEqual([]);
    expect((await matrix(["drive", "one.toml", "-q"], { cwd: folder })).code).toBe(0);
    const directory = join(folder, "runs/same");
    expect(await check(folder, "two.toml")).toEqual([
      `name: ${directory} holds another run, which differs in roles.a.prompt.text: matrix drive ` +
        "would refuse this one; give it another name or -o, or move the old one aside with --fresh",
    ]);
    const { code, stderr } = await matrix(["drive", "two.toml", "-q"], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain(`${directory} holds another run\n`);
    expect(stderr).toContain("or give this recipe a name of its own");
    expect(await check(folder, "one.toml", "run.concurrency=3", "run.trials=2")).toEqual([]);
    expect(await check(folder, "two.toml", "-o", "other")).toEqual([]);
    expect((await check(folder, "two.toml", "-o", "runs/same"))[0]).toStartWith("run.output: ");
    await rm(directory, { recursive: true });
    expect(await check(folder, "two.toml")).toEqual([]);
  }));
