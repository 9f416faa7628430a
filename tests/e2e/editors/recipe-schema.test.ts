// The JSON Schema of recipes in the language server that editors run.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { editorFiles } from "../../../src/cli/editor/editor-files.ts";
import { writeFiles } from "../../../src/cli/editor/written.ts";
import { ROOT } from "../../parts/repository.ts";
import { readPages } from "../docs/page.ts";
import { Taplo } from "./taplo.ts";

let folder = "";
let taplo: Taplo;
let files = 0;
const DIRECTIVE = "#:schema ./recipe.schema.json\n";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "matrix-editors-"));
  await writeFiles(folder, editorFiles([]));
  taplo = await Taplo.start(folder);
});
afterAll(() => rm(folder, { recursive: true }));

/** The messages that an editor would show, each once. */
async function problemsIn(text: string): Promise<readonly string[]> {
  const found = await taplo.open(join(folder, `${files++}.toml`), DIRECTIVE + text);
  return [...new Set(found.map(({ message }) => message))];
}

test("an editor marks nothing in the recipes of the project and in the templates", async () => {
  const names = await readdir(join(ROOT, "recipes"), { recursive: true });
  const recipes = names.filter((name) => name.endsWith(".toml"));
  expect(recipes.length).toBeGreaterThan(14);
  for (const name of recipes) {
    const text = await readFile(join(ROOT, "recipes", name), "utf8");
    expect([name, await problemsIn(text.replace(/^#:schema .*\n/, ""))]).toEqual([name, []]);
  }
});

test("an editor marks nothing in the recipes of the documentation that matrix accepts", async () => {
  const blocks = readPages()
    .flatMap(({ blocks }) => blocks)
    .filter(({ language, marks }) => language === "toml" && !marks.has("exit"))
    .filter(({ marks }) => marks.get("file") !== "pyproject.toml");
  expect(blocks.length).toBeGreaterThan(50);
  for (const { page, line, marks, text } of blocks) {
    // A block that is laid over a recipe is a part of one.
    const isPart = marks.has("over") || !/^name = /m.test(text);
    const whole = isPart && !/^extends = /m.test(text) ? `extends = "x"\n${text}` : text;
    const place = `${page}:${line}`;
    const problems = await problemsIn(whole.replace(/^#:schema .*\n/m, ""));
    expect([place, problems]).toEqual([place, []]);
  }
});

const BASE = `name = "x"
[dataset]
path = "x.jsonl"
[models.m]
kind = "simulated"
[roles.a]
agent = "llm"
model = "m"
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;

test("an editor marks nothing in a recipe without a mistake", async () => {
  expect(await problemsIn(BASE)).toEqual([]);
});

test.each([
  ["a key of the top", "name = ", "nmae = ", "'nmae' was unexpected"],
  ["a key of the dataset", "path = ", "paht = ", "'paht' was unexpected"],
  ["a key of a role", "model = ", "modle = ", "'modle' was unexpected"],
  ["a key of a pattern", "roles = [", "rolse = [", "'rolse' was unexpected"],
  [
    "a key of another kind of model",
    'kind = "simulated"',
    'kind = "simulated"\nbase_url = "http://x"',
    "'base_url' was unexpected",
  ],
  [
    "a key of another pattern",
    "roles = [",
    "max_turns = 3\nroles = [",
    "'max_turns' was unexpected",
  ],
  [
    "an unknown kind",
    '"simulated"',
    '"simulate"',
    '"simulate" is not one of ["openai","simulated","scripted"]',
  ],
  ["an unknown pattern", '"sequence"', '"sequense"', '"sequense" is not one of'],
  ["a wrong type", '"x.jsonl"', "3", "3 is not valid under any of the schemas"],
  [
    "a number out of range",
    "[models.m]",
    "[run]\ntrials = 0\n[models.m]",
    "0 is less than the minimum of 1",
  ],
])("an editor marks %s that is wrong, and names it", async (_what, right, wrong, message) => {
  const problems = await problemsIn(BASE.replace(right, wrong));
  expect(problems.join("\n")).toContain(message);
});

test("a recipe that extends another one may be incomplete, and no other may", async () => {
  expect(await problemsIn('extends = "coral"\nname = "mine"\n')).toEqual([]);
  expect(await problemsIn('extends = "coral"\n[roles.a]\nmodle = "x"\n')).not.toEqual([]);
  const missing = await problemsIn('name = "mine"\n');
  expect(missing.join("\n")).toContain('"dataset" is a required property');
});

test("a variable of the environment may stand for a number, and another text may not", async () => {
  const withSeed = (seed: string) => problemsIn(`${BASE}[run]\nseed = ${seed}\n`);
  expect(await withSeed('"${env:SEED:-1}"')).toEqual([]);
  expect(await withSeed("1")).toEqual([]);
  expect(await withSeed('"one"')).not.toEqual([]);
});

test("an editor explains a key in the words of the documentation, with its default", async () => {
  const path = join(folder, "hover.toml");
  await taplo.open(path, `${DIRECTIVE}${BASE}[run]\nconcurrency = 5\n`);
  const line = `${DIRECTIVE}${BASE}[run]\n`.split("\n").length - 1;
  const reference = await readFile(join(ROOT, "docs/recipe-keys.md"), "utf8");
  const sentence = "Tasks in flight at once, over all hosts.";
  expect(reference).toContain(sentence);
  expect(await taplo.hover(path, line, 2)).toBe(`${sentence}\n\nDefault: \`100\``);
});

test("an editor completes keys and values, also where the kind of a table decides", async () => {
  const path = join(folder, "complete.toml");
  const text = `${DIRECTIVE}${BASE}[models.n]\nkind = "openai"\nba\n`;
  await taplo.open(path, text);
  const line = text.split("\n").indexOf("ba");
  const found = await taplo.complete(path, line, 2);
  const labels = found.map(({ label }) => label);
  expect(labels).toContain("base_url");
  expect(found.find(({ label }) => label === "api_key")?.documentation?.value).toContain(
    "The key that is sent as `Authorization: Bearer`.",
  );
});
