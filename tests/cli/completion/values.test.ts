// Completion of names that this machine has: recipes, keys, runs, rows and roles.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { keyCandidates } from "../../../src/cli/completion/recipe-keys.ts";
import { quotedForBash, wordsOf } from "../../../src/cli/completion/words.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";

const values = (word: string, recipe: Parameters<typeof keyCandidates>[1] = {}) =>
  keyCandidates(word, recipe).map(({ value }) => value);

test("keys complete a level at a time: a table ends in a dot, a value in =", () => {
  expect(values("")).toEqual([
    ...["name=", "dataset.", "run.", "store.", "models.", "sandboxes.", "python.", "roles."],
    "orchestrator.",
  ]);
  expect(values("run.")).toEqual(expect.arrayContaining(["run.trials=", "run.budget."]));
  expect(values("run.budget.")).toEqual(["run.budget.money=", "run.budget.tokens="]);
  expect(values("dataset.csv.")).toContain("dataset.csv.delimiter=");
  expect(values("run.trials.")).toEqual([]);
  expect(values("nothing.")).toEqual([]);
});

test("a key has the sentence of the documentation beside it", () => {
  const [candidate] = keyCandidates("run.", {}).filter(({ value }) => value === "run.trials=");
  expect(candidate?.text).toBe("Independent attempts at each row.");
});

test("names of tables come from the recipe, and their keys from the form that it chose", () => {
  const recipe = {
    models: { m: { kind: "scripted" }, n: {} },
    roles: { a: {} },
    orchestrator: { pattern: "sequence" },
  };
  expect(values("models.", recipe)).toEqual(["models.m.", "models.n."]);
  expect(values("models.m.", recipe)).not.toContain("models.m.base_url=");
  expect(values("models.m.", recipe)).toContain("models.m.replies=");
  expect(values("models.n.", recipe)).toContain("models.n.base_url=");
  expect(values("orchestrator.", recipe)).toEqual([
    ...["orchestrator.pattern=", "orchestrator.roles=", "orchestrator.score="],
  ]);
  expect(values("orchestrator.", { orchestrator: { module: "x" } })).toEqual([
    ...["orchestrator.module=", "orchestrator.with="],
  ]);
  expect(values("roles.a.", recipe)).toContain("roles.a.model=");
});

test("values complete where the schema or the recipe knows them", () => {
  const recipe = { models: { m: {}, n: {} }, sandboxes: { box: {} } };
  expect(values("run.delivery=")).toEqual(["run.delivery=retry", "run.delivery=at-most-once"]);
  expect(values("dataset.shuffle=")).toEqual(["dataset.shuffle=true", "dataset.shuffle=false"]);
  expect(values("roles.a.model=", recipe)).toEqual(["roles.a.model=m", "roles.a.model=n"]);
  expect(values("roles.a.sandbox=", recipe)).toEqual(["roles.a.sandbox=box"]);
  expect(values("run.trials=")).toEqual([]);
  expect(values("nothing=")).toEqual([]);
});

async function complete(cwd: string, ...words: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await matrix(["complete", "fish", "--", ...words], { cwd });
  return stdout === ""
    ? []
    : stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split("\t")[0] ?? "");
}

test("recipes complete to those of the folder and of the binary, and a path to neither", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "coral-mine.toml"), "");
    await mkdir(join(folder, "coral-folder"));
    await writeFile(join(folder, "coral-folder/recipe.toml"), "");
    await mkdir(join(folder, "coral-other"));
    const found = await complete(folder, "check", "coral-");
    expect(found).toEqual(
      expect.arrayContaining(["coral-mine.toml", "coral-folder", "coral-gsm8k"]),
    );
    expect(found).not.toContain("coral-other");
    expect(await complete(folder, "check", "./coral")).toEqual([]);
    expect(await complete(folder, "init", "--from", "tau")).toContain("tau2");
    expect(await complete(folder, "init", "deb")).toEqual(["debate"]);
    expect(await complete(folder, "init", "debate", "")).toEqual([]);
    expect(await complete(folder, "sandbox", "build", "")).toEqual(["tau2"]);
  }));

test("runs, their rows and their roles complete, and lists go on after a comma", () =>
  withFolder(async (folder) => {
    await matrix(["drive", "coral", "--limit", "2", "-q"], { cwd: folder });
    await mkdir(join(folder, "runs/none"));
    expect(await complete(folder, "verify", "")).toEqual(["runs/coral"]);
    expect(await complete(folder, "verify", "runs/coral", "runs/c")).toEqual(["runs/coral"]);
    expect(await complete(folder, "show", "runs/coral", "")).toEqual(["0", "1"]);
    expect(await complete(folder, "show", "runs/coral", "1")).toEqual(["1"]);
    expect(await complete(folder, "show", "runs/nothing", "")).toEqual([]);
    const roles = ["student", "teacher", "extractor", "matcher"];
    expect(await complete(folder, "agent", "--join", "runs/coral", "--role", "")).toEqual(roles);
    expect(await complete(folder, "drive", "coral", "--ask", "student,t")).toEqual([
      "student,teacher",
    ]);
    expect(await complete(folder, "drive", "coral", "--ask", "student,")).toEqual([
      ...["student,teacher", "student,extractor", "student,matcher"],
    ]);
    expect(await complete(folder, "export", "runs/coral", "--as", "")).toEqual(roles);
    expect(await complete(folder, "drive", "coral", "--retry", "fail")).toEqual(["failed"]);
    expect(await complete(folder, "drive", "nowhere.toml", "models.")).toEqual([]);
    expect(await complete(folder, "drive", "coral", "models.")).toEqual(["models.speaker."]);
  }));

test("a line is split as bash would split it, and the last word may be empty", () => {
  expect(wordsOf("matrix show a")).toEqual(["matrix", "show", "a"]);
  expect(wordsOf("matrix show ")).toEqual(["matrix", "show", ""]);
  expect(wordsOf("matrix 'a b' \"c d\" e\\ f")).toEqual(["matrix", "a b", "c d", "e f"]);
  expect(wordsOf("matrix '' x")).toEqual(["matrix", "", "x"]);
  expect(wordsOf("matrix 'a b")).toEqual(["matrix", "a b"]);
});

test("a candidate that bash would split is quoted", () => {
  expect(quotedForBash("a b'c$d")).toBe("a\\ b\\'c\\$d");
  expect(quotedForBash("runs/x-1_2.toml=@%+:,")).toBe("runs/x-1_2.toml=@%+:,");
});
