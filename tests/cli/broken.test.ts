// Broken recipes and datasets: each is refused with exit 2, its place and what would be right,
// before a run directory exists.

import { expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

const GOOD = `name = "good"
[dataset]
path = "d.jsonl"
[models.m]
kind = "simulated"
[roles.a]
agent = "llm"
model = "m"
prompt = { text = "Q: {{ row.q }}" }
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;

interface Broken {
  /** What is wrong, as a user would have done it. */
  readonly title: string;
  /** recipe.toml; it may extend good.toml. */
  readonly recipe: string;
  readonly args?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  /** What must stand on stderr, in this order. */
  readonly says: readonly string[];
}

const overlay = (text: string) => `extends = "good.toml"\n${text}`;

const RECIPES: readonly Broken[] = [
  {
    title: "a table header is not closed",
    recipe: 'name = "x"\n[dataset\n',
    says: ["recipe.toml:2:9: not valid TOML"],
  },
  {
    title: "a text is not closed",
    recipe: 'name = "x\n',
    says: ["recipe.toml:1:", "not valid TOML"],
  },
  {
    title: "a key stands twice",
    recipe: 'name = "x"\nname = "y"\n',
    says: ["recipe.toml:2:", "not valid TOML"],
  },
  {
    title: "the file is empty",
    recipe: "",
    says: [
      "4 problems",
      "name: missing",
      "dataset: missing",
      "roles: missing",
      "orchestrator: missing",
    ],
  },
  {
    title: "a key of [run] is misspelt",
    recipe: overlay("[run]\nconcurency = 5\n"),
    says: [
      'recipe.toml:3:1: run.concurency: unknown key "concurency"',
      'did you mean "concurrency"?',
      "3 | concurency = 5",
    ],
  },
  {
    title: "a table is misspelt",
    recipe: overlay("[orchestrater]\n"),
    says: [
      'recipe.toml:2:2: orchestrater: unknown key "orchestrater"',
      'did you mean "orchestrator"?',
    ],
  },
  {
    title: "two keys of one table are unknown",
    recipe: overlay("[run]\nfoo = 1\nbar = 2\n"),
    says: ["2 problems", "recipe.toml:3:1: run.foo", "recipe.toml:4:1: run.bar"],
  },
  {
    title: "a key of a role is unknown",
    recipe: overlay("[roles.a]\nmodle = 'm'\n"),
    says: ["recipe.toml:3:1: roles.a.modle", 'did you mean "model"?'],
  },
  {
    title: "a key of the budget is misspelt",
    recipe: overlay("[run.budget]\nmony = 3\n"),
    says: [
      "recipe.toml: 2 problems\n",
      'run.budget.mony: unknown key "mony"; allowed: money, tokens; did you mean "money"?',
      "models.m: run.budget.money needs the price of every model in use",
    ],
  },
  {
    title: "a key of the budget sounds like a secret",
    recipe: overlay(""),
    args: ["run.budget.token=5"],
    says: [
      "1 problem\n",
      'override run.budget.token=5: run.budget.token: unknown key "token"',
      'did you mean "tokens"?',
    ],
  },
  {
    title: "a key that must be set is misspelt",
    recipe: overlay("[models.m]\nprice = { promt = 1, completion = 2 }\n"),
    says: ["1 problem\n", 'models.m.price.promt: unknown key "promt"', 'did you mean "prompt"?'],
  },
  {
    title: "a key of a table that may also be a text is misspelt",
    recipe: overlay('[roles.a]\nprompt = { txt = "Q" }\n'),
    says: [
      "1 problem\n",
      'roles.a.prompt.txt: unknown key "txt"; allowed: text; did you mean "text"?',
    ],
  },
  {
    title: "a key of a distribution is misspelt",
    recipe: overlay('[models.m]\nlatency = { kind = "uniform", mn = "1s", max = "2s" }\n'),
    says: [
      "1 problem\n",
      'models.m.latency.mn: unknown key "mn"; allowed: kind, min, max; did you mean "min"?',
    ],
  },
  {
    title: "a key of a table in a list is misspelt",
    recipe: overlay(
      '[orchestrator]\npattern = "pipeline"\nstages = [{ rol = "a", keep = "true" }]\n',
    ),
    says: [
      "1 problem\n",
      'orchestrator.stages.0.rol: unknown key "rol"; allowed: role, keep; did you mean "role"?',
    ],
  },
  {
    title: "the way to the replicas is misspelt",
    recipe: overlay(
      '[models.m]\nkind = "openai"\nmodel = "m"\nbase_url = { dsn = "http://a:1/v1" }\n',
    ),
    says: [
      "1 problem\n",
      'models.m.base_url.dsn: unknown key "dsn"; allowed: file, dns; did you mean "dns"?',
    ],
  },
  {
    title: "there are no replicas, or they are given in two ways",
    recipe: overlay(
      '[models.m]\nkind = "openai"\nmodel = ""\nbase_url = []\n[models.n]\nkind = "openai"\nmodel = "m"\nbase_url = { file = "a", dns = "http://a" }\n',
    ),
    says: [
      "3 problems\n",
      "found []; allowed: a URL",
      'model: found ""; allowed: a text',
      'found a table; allowed: { file = "replicas.txt" } or { dns',
    ],
  },
  {
    title: "a key belongs to another kind of model",
    recipe: overlay('[models.m]\nbase_url = "http://x/v1"\n'),
    says: ["recipe.toml:3:1: models.m.base_url: unknown key", "allowed: kind, replies"],
  },
  {
    title: "a number is a text",
    recipe: overlay('[run]\ntrials = "three"\n'),
    says: ['recipe.toml:3:10: run.trials: found "three"; allowed: a number'],
  },
  {
    title: "a number is too small",
    recipe: overlay("[run]\ntrials = 0\n"),
    says: ["recipe.toml:3:10: run.trials: found 0; allowed: at least 1"],
  },
  {
    title: "a whole number is broken",
    recipe: overlay("[run]\nconcurrency = 1.5\n"),
    says: ["run.concurrency: found 1.5; allowed: a whole number"],
  },
  {
    title: "a fraction is above one",
    recipe: overlay("[run]\nfail_above = 5\n"),
    says: ["run.fail_above: found 5; allowed: at most 1"],
  },
  {
    title: "a duration has no unit",
    recipe: overlay("[run]\ntimeout = 90\n"),
    says: ['run.timeout: found 90; allowed: a duration such as "90s"'],
  },
  {
    title: "a duration has an odd unit",
    recipe: overlay('[run]\ntimeout = "5 parsecs"\n'),
    says: ['recipe.toml:3:11: run.timeout: found "5 parsecs"; allowed: a duration'],
  },
  {
    title: "a choice is misspelt",
    recipe: overlay('[run]\ndelivery = "retrry"\n'),
    says: ['run.delivery: found "retrry"; allowed: retry, at-most-once; did you mean "retry"?'],
  },
  {
    title: "a kind of model is misspelt",
    recipe: overlay('[models.m]\nkind = "simulatd"\n'),
    says: ['recipe.toml:3:8: models.m.kind: found "simulatd"', 'did you mean "simulated"?'],
  },
  {
    title: "a pattern is unknown",
    recipe: overlay('[orchestrator]\npattern = "dialog"\n'),
    says: ["orchestrator.pattern", 'did you mean "dialogue"?'],
  },
  {
    title: "a distribution lacks its parameter",
    recipe: overlay('[models.m]\nlatency = { kind = "lognormal", median = "1s" }\n'),
    says: ["recipe.toml:3:1: models.m.latency.sigma: missing"],
  },
  {
    title: "a role's model does not exist",
    recipe: overlay('[roles.a]\nmodel = "mm"\n'),
    says: ['recipe.toml:3:9: roles.a.model: no model is named "mm"; models: m'],
  },
  {
    title: "an llm role has no model",
    recipe: GOOD.replace('model = "m"\n', ""),
    says: ["recipe.toml:6:2: roles.a: an llm role needs a model"],
  },
  {
    title: "an llm role has no prompt",
    recipe: GOOD.replace(/prompt.*\n/, ""),
    says: ["recipe.toml:6:2: roles.a: an llm role needs a prompt"],
  },
  {
    title: "the orchestrator names no role of the recipe",
    recipe: overlay('[orchestrator]\nroles = ["a", "bb"]\n'),
    says: ['recipe.toml:3:15: orchestrator.roles.1: no role is named "bb"; roles: a'],
  },
  {
    title: "a role is never reached",
    recipe: overlay('[roles.b]\nagent = "llm"\nmodel = "m"\nprompt = { text = "x" }\n'),
    says: ["recipe.toml:2:2: roles.b: no task reaches this role"],
  },
  {
    title: "a code role has a prompt",
    recipe: overlay('[roles.a]\nagent = "a.ts"\nprompt = { text = "x" }\n'),
    files: { "a.ts": "export default () => 1;" },
    says: ["recipe.toml:4:10: roles.a.prompt: only an llm role reads this key"],
  },
  {
    title: "a prompt file does not exist",
    recipe: overlay('[roles.a]\nprompt = "p.md"\n'),
    says: ["recipe.toml:3:10: roles.a.prompt: no such file: ", "p.md"],
  },
  {
    title: "a prompt does not parse",
    recipe: overlay('[roles.a]\nprompt = { text = "{% if %}" }\n'),
    says: ["recipe.toml:3:10: roles.a.prompt: template roles.a.prompt"],
  },
  {
    title: "a prompt names a field that rows do not have",
    recipe: overlay('[roles.a]\nprompt = { text = "{{ row.qestion }}" }\n'),
    says: ["recipe.toml:3:10: roles.a.prompt", "`row.qestion` is undefined"],
  },
  {
    title: "an expression does not parse",
    recipe: overlay('[orchestrator]\nscore = "1 +"\n'),
    says: ["recipe.toml:3:9: orchestrator.score: the expression does not parse"],
  },
  {
    title: "an environment variable is missing",
    recipe: overlay('[run]\nseed = "${env:MATRIX_TEST_NOT_SET}"\n'),
    says: ["1 problem", "recipe.toml:3:8: run.seed: the variable MATRIX_TEST_NOT_SET is not set"],
  },
  {
    title: "a secret stands in the recipe",
    recipe: overlay(
      '[models.m]\nkind = "openai"\nbase_url = "http://x/v1"\nmodel = "x"\napi_key = "sk-1"\n',
    ),
    says: ['models.m.api_key: a secret must come from the environment: "${env:NAME}"'],
  },
  {
    title: "the recipe that it extends does not exist",
    recipe: 'extends = "none.toml"\n',
    says: ["recipe.toml:1:11: extends: no such file: ", "none.toml"],
  },
  {
    title: "recipes extend each other",
    recipe: 'extends = "other.toml"\n',
    files: { "other.toml": 'extends = "recipe.toml"\n' },
    says: ["other.toml:1:11: extends: extends forms a circle"],
  },
  {
    title: "an extended recipe is wrong",
    recipe: 'extends = "base.toml"\n',
    files: { "base.toml": `${GOOD}[run]\nseeed = 1\n` },
    says: ["base.toml:14:1: run.seeed", 'did you mean "seed"?'],
  },
  {
    title: "an override is misspelt",
    recipe: GOOD,
    args: ["run.trails=3"],
    says: ['override run.trails=3: run.trails: unknown key "trails"', 'did you mean "trials"?'],
  },
  {
    title: "an override is none",
    recipe: GOOD,
    args: ["trials"],
    says: ['"trials" is not an override', "write key.path=value"],
  },
  {
    title: "a module does not exist",
    recipe: overlay('[orchestrator]\nmodule = "o.ts"\n'),
    says: ["recipe.toml:3:10: orchestrator.module: no such file"],
  },
  {
    title: "a module does not parse",
    recipe: overlay('[roles.a]\nagent = "a.ts"\n'),
    files: { "a.ts": "const x = 1;\nexport default ( => x;\n" },
    says: ["a.ts:2:", "2 | export default ( => x;"],
  },
  {
    title: "a module imports what is not there",
    recipe: overlay('[roles.a]\nagent = "a.ts"\n'),
    files: { "a.ts": 'import { x } from "./nowhere.ts";\nexport default () => x;\n' },
    says: ["a.ts", "nowhere.ts"],
  },
  {
    title: "a module throws while it loads",
    recipe: overlay('[roles.a]\nagent = "a.ts"\n'),
    files: { "a.ts": 'throw new Error("no licence");\n' },
    says: ["a.ts:1:", "no licence"],
  },
  {
    title: "a module exports no agent",
    recipe: overlay('[roles.a]\nagent = "a.ts"\n'),
    files: { "a.ts": "export const agent = 1;\n" },
    says: ["recipe.toml:2:2: roles.a", "a.ts does not export an agent", "export default agent("],
  },
  {
    title: "a module exports no orchestrator",
    recipe: overlay('[orchestrator]\nmodule = "o.ts"\n'),
    files: { "o.ts": "export default { start: 1 };\n" },
    says: ["orchestrator", "o.ts does not export an orchestrator"],
  },
  {
    title: "an orchestrator starts at a role that is not there",
    recipe: overlay('[orchestrator]\nmodule = "o.ts"\n'),
    files: {
      "o.ts":
        'import { orchestrator, to, done } from "matrix";\nexport default orchestrator({ start: () => to("z"), next: () => done() });\n',
    },
    says: ["orchestrator", 'start() routes to "z", which is not a role of the recipe; roles: a'],
  },
];

const data = (
  path: string,
  text: string,
  says: readonly string[],
  title: string,
  more = "",
): Broken => ({
  title,
  recipe: overlay(`[dataset]\npath = "${path}"\n${more}`),
  files: { [path]: text },
  says,
});

const DATASETS: readonly Broken[] = [
  {
    title: "the file does not exist",
    recipe: overlay('[dataset]\npath = "e.jsonl"\n'),
    says: ["there is no dataset at ", "e.jsonl", "the nearest name in", "d.jsonl"],
  },
  {
    title: "a glob matches nothing",
    recipe: overlay('[dataset]\npath = "x-*.jsonl"\n'),
    says: ["no file matches ", "x-*.jsonl"],
  },
  data("d.parq", "x", ["cannot tell the format of", "d.parq"], "the name tells no format"),
  data("e.jsonl", "", ["there are no rows in ", "e.jsonl"], "the file is empty"),
  data(
    "e.jsonl",
    '{"q": 1}\n\n{"q": 2\n{"q": 3}\n[4]\n',
    [
      "2 problems",
      "e.jsonl:3: the line is not JSON",
      "e.jsonl:5: a row must be an object, found [4]",
    ],
    "lines are broken",
  ),
  data(
    "e.jsonl",
    '{"q":1,"k":"a"}\n{"q":2}\n{"q":3,"k":"b"}\n{"q":4,"k":"a"}\n',
    [
      'e.jsonl:2: the row has no id in "k"',
      'e.jsonl:4: the id "a" is used twice, first at',
      "e.jsonl:1",
    ],
    "an id is missing and another is used twice",
    'id = "k"\n',
  ),
  data(
    "e.jsonl",
    '{"q":1}\n',
    ["e.jsonl:1: dataset.filter: the expression `row.lang == 'en'` fails: No such key: lang"],
    "the filter names a field that rows do not have",
    "filter = \"row.lang == 'en'\"\n",
  ),
  data(
    "e.jsonl",
    '{"q":1}\n',
    ["that pass dataset.filter"],
    "the filter lets nothing through",
    'filter = "row.q > 5"\n',
  ),
  data(
    "e.csv",
    "a,b\n1,2\n1,2,3\n",
    ["e.csv:3: the row has 3 fields and the header 2"],
    "a CSV row is ragged",
  ),
  data(
    "e.csv",
    "a,a\n1,2\n",
    ['e.csv:1: the header names the column "a" twice'],
    "a CSV header names a column twice",
  ),
  data(
    "e.json",
    '{"q": 1}',
    ["e.json:1: the file is not a JSON array"],
    "a JSON file is not an array",
  ),
  data(
    "e.json",
    '[{"q": 1}, {"q"',
    ["e.json:1: the JSON array is cut short"],
    "a JSON array is cut short",
  ),
  data(
    "e.jsonl.gz",
    "no gzip",
    ["e.jsonl.gz: the .gz file is damaged or cut short"],
    "a compressed file is damaged",
  ),
];

async function refuse({ recipe, args = [], files = {}, says }: Broken): Promise<void> {
  await withFolder(async (folder) => {
    const all = { "good.toml": GOOD, "d.jsonl": '{"q":1}\n', ...files, "recipe.toml": recipe };
    for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text);
    const before = await readdir(folder);
    const { code, stdout, stderr } = await matrix(["drive", "recipe.toml", ...args], {
      cwd: folder,
    });
    let rest = stderr;
    for (const text of says) {
      expect(rest).toContain(text);
      rest = rest.slice(rest.indexOf(text) + text.length);
    }
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stderr).not.toContain("sk-1");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(await readdir(folder)).toEqual(before);
  });
}

test("a recipe whose file of replicas is not there yet is sound, and check says that requests wait for it", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "good.toml"), GOOD);
    await writeFile(join(folder, "d.jsonl"), '{"q": 1}\n');
    const model = [
      "models.m.kind=openai",
      "models.m.model=m",
      'models.m.base_url={ file = "replicas.txt" }',
    ];
    const check = async () => matrix(["check", "good.toml", ...model], { cwd: folder });
    const missing = await check();
    expect(missing.code).toBe(0);
    expect(missing.stdout).toContain(
      `nothing is wrong with it, but\n  models.m: ${join(folder, "replicas.txt")} does not exist; requests wait for it`,
    );
    await writeFile(join(folder, "replicas.txt"), "http://127.0.0.1:1/v1\n");
    expect((await check()).stdout).toEndWith("nothing is wrong with it\n");
  }));

for (const broken of RECIPES)
  test(`a recipe is refused when ${broken.title}`, () => refuse(broken));

for (const broken of DATASETS)
  test(`a dataset is refused when ${broken.title}`, () => refuse(broken));

test("check says in one round what is wrong with keys, names, files, code, rows and prompts", () =>
  withFolder(async (folder) => {
    const files = {
      "d.jsonl": '{"q":1}\n',
      "grade.ts": "export default 5;\n",
      "tools.json": "{",
      "recipe.toml": `name = "many"
dataset = { path = "d.jsonl", limt = 1 }
run = { trials = "two", cache = "d.jsonl" }
[models.m]
kind = "simulatd"
replies = { text = "{% if %}" }
[roles.a]
agent = "llm"
modle = "m"
prompt = { text = "{{ row.quest }}" }
[roles.b]
agent = "grade.ts"
[roles.c]
agent = "llm"
model = "n"
prompt = "none.md"
system = { text = "{% for %}" }
tools = "tools.json"
[orchestrator]
pattern = "sequence"
roles = ["a", "b", "c", "d"]
score = "1 +"
`,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const found = async (...args: string[]) => {
      const { stdout } = await matrix(["check", "recipe.toml", "--json", ...args], { cwd: folder });
      const { problems } = JSON.parse(stdout) as { problems: { key?: string; message: string }[] };
      return problems.map(({ key, message }) => `${key}: ${message}`);
    };
    const begins = (...texts: string[]) => texts.map((text) => expect.stringContaining(text));
    expect(await found()).toEqual(
      begins(
        'dataset.limt: unknown key "limt"',
        'roles.a.modle: unknown key "modle"',
        'run.trials: found "two"; allowed: a number',
        'models.m.kind: found "simulatd"',
        'roles.c.model: no model is named "n"; models: m',
        'orchestrator.roles.3: no role is named "d"; roles: a, b, c',
        "orchestrator.score: the expression does not parse",
        "roles.c.prompt: no such file",
        "models.m: template models.m.replies",
        "roles.c.system: template roles.c.system",
        "roles.c.tools: ",
        "roles.b: ",
        "run.cache: ",
      ),
    );
    // With a sound rule, the first row comes as far as the first prompt.
    const rule = ['orchestrator.roles=["a", "b", "c"]', 'orchestrator.score="1"'];
    expect(await found(...rule)).toEqual(
      expect.arrayContaining(begins("`row.quest` is undefined", 'run.trials: found "two"')),
    );
    expect(await found("dataset.path=gone.jsonl")).toEqual(
      expect.arrayContaining(begins("there is no dataset at", 'run.trials: found "two"')),
    );
  }));

test("check keeps the code of a single failure, and says once that a filter does not parse", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "recipe.toml"), GOOD);
    const found = async (...args: string[]) => {
      const { stdout } = await matrix(["check", "recipe.toml", "--json", ...args], { cwd: folder });
      const { code, problems } = JSON.parse(stdout) as {
        code: string;
        problems: { key?: string }[];
      };
      return [code, problems.map(({ key }) => key)];
    };
    expect(await found()).toEqual(["dataset_invalid", []]);
    await writeFile(join(folder, "d.jsonl"), '{"q":1}\n');
    expect(await found('dataset.filter="1 +"')).toEqual(["recipe_invalid", ["dataset.filter"]]);
    expect(await found("dataset.path=none.jsonl", "run.trials=0")).toEqual([
      "recipe_invalid",
      ["run.trials", "dataset.path"],
    ]);
  }));

test("a path under a misspelt key is looked for beside the recipe", () =>
  withFolder(async (folder) => {
    const text = GOOD.replace('path = "d.jsonl"', 'pth = "d.jsonl"');
    await writeFile(join(folder, "recipe.toml"), text);
    await writeFile(join(folder, "d.jsonl"), '{"q":1}\n');
    const { stderr } = await matrix(["check", join(folder, "recipe.toml")]);
    expect(stderr).toContain("recipe.toml: 1 problem\n");
    expect(stderr).toContain('dataset.pth: unknown key "pth"');
  }));

test("check prints every problem as JSON for programs", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "d.jsonl"), '{"q":1}\n');
    await writeFile(
      join(folder, "recipe.toml"),
      GOOD.replace('kind = "simulated"', 'kind = "simulatd"'),
    );
    const { code, stdout } = await matrix(["check", "recipe.toml", "--json"], { cwd: folder });
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      valid: false,
      code: "recipe_invalid",
      problems: [
        {
          file: join(folder, "recipe.toml"),
          line: 5,
          column: 8,
          key: "models.m.kind",
          suggestion: "simulated",
        },
      ],
    });
  }));
