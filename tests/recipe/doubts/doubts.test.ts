// Doubts about a recipe that has no problem: what a careful reader would ask its author.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadRecipe } from "../../../src/recipe/load.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";

const BASE = `name = "x"
dataset.path = "rows.jsonl"
models.m.kind = "simulated"
orchestrator = { pattern = "sequence", roles = ["a", "b"] }
[roles.a]
agent = "llm"
model = "m"
prompt = { text = "x" }
[roles.b]
agent = "llm"
model = "m"
prompt = { text = "x" }
`;

/** The doubts about the recipe with these overrides, as `key: message`. */
function doubts(overrides: readonly string[], text = BASE): Promise<readonly string[]> {
  return withFolder(async (folder) => {
    const path = join(folder, "r.toml");
    await writeFile(path, text);
    await writeFile(join(folder, "rule.py"), "");
    const loaded = await loadRecipe(path, { env: {}, cwd: folder, overrides });
    return loaded.doubts.map(({ key, message }) => `${key}: ${message}`);
  });
}

test("a recipe without a doubt has none, and no recipe of the project has one", async () => {
  expect(await doubts([])).toEqual([]);
  for (const name of ["coral", "coral-gsm8k", "coral-python", "natural-reasoning", "tau2"]) {
    const { doubts } = await loadRecipe(join(ROOT, "recipes", `${name}.toml`), {
      ...{ env: {}, cwd: ROOT },
    });
    expect([name, doubts]).toEqual([name, []]);
  }
});

const NO_EFFECT = "this key has no effect";
const OPENAI = ['models.m={kind="openai",base_url="http://x/v1",model="x"}'];

test.each([
  [['models.n.kind="simulated"'], ["models.n: no role asks this model"]],
  [["models.m.with={a=1}"], [`models.m.with: ${NO_EFFECT}: only \`replies\` read it`]],
  [['models.m.replies={text="x"}', "models.m.with={a=1}"], []],
  [
    ['models.m.replies={text="x"}', "models.m.output_tokens=5"],
    [`models.m.output_tokens: ${NO_EFFECT}: \`replies\` say how long an answer is`],
  ],
  [["models.m.output_tokens=5"], []],
  [['models.m.retry_after="2s"'], [`models.m.retry_after: ${NO_EFFECT}: errors.rate_limited is 0`]],
  [['models.m.retry_after="2s"', "models.m.errors.rate_limited=0.1"], []],
  [['run.cache="c"'], [`run.cache: ${NO_EFFECT}: only answers of endpoints are kept`]],
  [['run.cache="c"', ...OPENAI], []],
  [
    [...OPENAI, 'models.m.tls={ca="rule.py"}'],
    [`models.m.tls: ${NO_EFFECT}: base_url is not https`],
  ],
  [[...OPENAI, 'models.m.base_url="https://x/v1"', 'models.m.tls={ca="rule.py"}'], []],
  [
    ["store.enabled=false", 'store.above="1KiB"'],
    [`store.above: ${NO_EFFECT}: store.enabled is false`],
  ],
  [['store.above="1KiB"'], []],
  [
    ['roles.a.attachment_folder="."'],
    [`roles.a.attachment_folder: ${NO_EFFECT}: the role has no attachments`],
  ],
  [['dataset.csv.delimiter=";"'], [`dataset.csv: ${NO_EFFECT}: the dataset is no CSV`]],
  [['dataset.csv.delimiter=";"', 'dataset.path="x.csv"'], []],
  [['dataset.csv.delimiter=";"', 'dataset.path="folder"'], []],
  [['dataset.csv.delimiter=";"', 'dataset.format="csv"'], []],
  [["python.processes=3"], ["python: this table has no effect: the recipe names no Python file"]],
  [["python.processes=3", 'orchestrator={module="rule.py"}'], []],
])("with %p the doubts are %p", async (overrides, expected) => {
  expect(await doubts(overrides)).toEqual(expected);
});

const pattern = (text: string) => [`orchestrator={${text}}`];
const FIELDS = "it has role, content, tool_calls, parsed";

test.each([
  [
    pattern('pattern="dialogue",speakers=["a","b"],max_turns=1'),
    ["orchestrator.max_turns: with 1 turns, b never speaks"],
  ],
  [pattern('pattern="dialogue",speakers=["a","b"],max_turns=2'), []],
  [
    pattern('pattern="tool-loop",speaker="a",tools="b"'),
    ["orchestrator.speaker: a has no tools, so the loop ends after its first turn"],
  ],
  [
    pattern('pattern="best-of-n",roles=["a","b"],n=1,score="result.parsed.x"'),
    ["orchestrator.n: with one candidate there is nothing to choose"],
  ],
  [
    pattern('pattern="best-of-n",roles=["a","b"],n=2'),
    [
      "orchestrator: no candidate has a score: an answer of the agent llm has no field score; set " +
        'orchestrator.score, such as "result.parsed.score"',
    ],
  ],
  [
    pattern('pattern="sequence",roles=["a","b"],score="results.a.points / 10.0"'),
    [
      `orchestrator.score: no answer of a has a field points; ${FIELDS}; did you mean results.a.parsed.points?`,
    ],
  ],
  [
    pattern('pattern="sequence",roles=["a","b"],score="result[\'points\']"'),
    [
      `orchestrator.score: no answer of b has a field points; ${FIELDS}; did you mean result.parsed.points?`,
    ],
  ],
  [pattern('pattern="sequence",roles=["a","b"],score="results.a.parsed.points"'), []],
  [pattern('pattern="sequence",roles=["a","b"],score="has(result.points) ? 1.0 : 0.0"'), []],
  [
    pattern('pattern="pipeline",stages=[{role="a",keep="result.good"},{role="b"}]'),
    [
      `orchestrator.stages.0.keep: no answer of a has a field good; ${FIELDS}; did you mean result.parsed.good?`,
    ],
  ],
  [
    pattern('pattern="dialogue",speakers=["a"],between=["b"],until="results.b.agreed"'),
    [
      `orchestrator.until: no answer of b has a field agreed; ${FIELDS}; did you mean results.b.parsed.agreed?`,
    ],
  ],
])("under the rule %p the doubts are %p", async (overrides, expected) => {
  expect(await doubts(overrides)).toEqual(expected);
});

test("a rule over the language of a text is doubted where it reads another field", async () => {
  const text = BASE.replace(
    'agent = "llm"\nmodel = "m"\nprompt = { text = "x" }\n',
    'agent = "language"\n',
  );
  const rule = (field: string) =>
    doubts(pattern(`pattern="sequence",roles=["a","b"],score="results.a.${field}"`), text);
  expect(await rule("share")).toEqual([]);
  expect(await rule("lang")).toEqual([
    "orchestrator.score: no answer of a has a field lang; it has language, share",
  ]);
});

test("a recipe with a problem has doubts about its fields of requests alone", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "r.toml");
    await writeFile(path, `${BASE}sampling = { topp = 1 }\n[models.n]\nkind = "simulated"\n`);
    const loading = loadRecipe(path, { env: {}, cwd: folder, overrides: ["run.trials=0"] });
    await expect(loading).rejects.toMatchObject({
      message: `${path}: 1 problem, and 1 doubt`,
      problems: [{ key: "run.trials" }, { key: "roles.b.sampling.topp" }],
    });
  });
});
