// `matrix check` of a recipe that is sound: what it would do. tests/cli/broken.test.ts has the
// others.

import { expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

const RECIPE = `name = "mine"
dataset.path = "d.jsonl"
run.concurrency = 1500
run.trials = 2

[models.m]
kind = "simulated"
[models.served]
kind = "openai"
base_url = ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"]
model = "llama"
[models.named]
kind = "openai"
base_url = { dns = "http://models:8000/v1" }
model = "llama"

[sandboxes.box]
engine = "docker"
image = "python:3.12-slim"
[sandboxes.plain]
engine = "process"

[roles.asker]
agent = "llm"
model = "m"
system = { text = "Be brief." }
prompt = { text = "{{ row.q }}" }
concurrency = 10
[roles.checker]
agent = "a.ts"
[roles.tools]
agent = "exec"
sandbox = "box"
[roles.reward]
agent = "exec"
sandbox = "plain"

[orchestrator]
pattern = "sequence"
roles = ["asker", "checker", "tools", "reward"]
`;

/** The doubts about two models that no role asks. */
const IDLE = [
  [8, "served"],
  [12, "named"],
].map(([line, name]) => ({
  ...{ column: 2, file: expect.stringMatching(/r\.toml$/), line },
  ...{ key: `models.${name}`, message: "no role asks this model" },
}));

const checked = (...args: string[]) =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "r.toml"), RECIPE);
    await writeFile(join(folder, "a.ts"), "export default () => 1;\n");
    await writeFile(join(folder, "d.jsonl"), '{"q":"Why?"}\n{"q":"How?"}\n');
    const { code, stdout, stderr } = await matrix(["check", "r.toml", ...args], { cwd: folder });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return { stdout, folder };
  });

test("check prints tasks, models, roles, sandboxes and the first prompt", async () => {
  const { stdout, folder } = await checked();
  const [does, plan = ""] = stdout.split("\n\nmine: ");
  expect(does?.split("\n")).toEqual([
    "what the recipe would do, by its keys alone",
    "  runs",
    `    module ${join(folder, "a.ts")} in matrix itself (roles.checker.agent)`,
    "    commands that tasks and models name in sandbox box (roles.tools)",
    "    commands that tasks and models name as a process of this machine, which nothing isolates (roles.reward)",
    "    image python:3.12-slim by docker, without a network (sandboxes.box.image)",
    "  reads",
    `    ${join(folder, "d.jsonl")} (dataset.path)`,
    `    ${join(folder, "a.ts")} (roles.checker.agent)`,
    "  asks",
    "    http://127.0.0.1:1/v1 (models.served.base_url)",
    "    http://127.0.0.1:2/v1 (models.served.base_url)",
    "    every address of http://models:8000/v1 (models.named.base_url)",
    "    the registry of python:3.12-slim, unless it is here (sandboxes.box.image)",
    "  sends",
    `    every variable of the environment to ${join(folder, "a.ts")} (roles.checker.agent)`,
    "  writes",
    "    runs/mine (name)",
  ]);
  expect(`mine: ${plan}`.split("\n")).toEqual([
    "mine: 2 rows × 2 trials = 4 tasks, 1,500 in flight",
    "",
    "models",
    "  m: SIMULATED",
    "  served: llama at http://127.0.0.1:1/v1, http://127.0.0.1:2/v1",
    "  named: llama at every address of http://models:8000/v1",
    "",
    "roles",
    "  asker: llm, model m, 10 slots (acts first); at most 10 of 1,500 tasks at once on each host (roles.asker.concurrency)",
    `  checker: ${join(folder, "a.ts")}, 1,500 slots`,
    "  tools: exec, 1,500 slots",
    "  reward: exec, 1,500 slots",
    "",
    "sandboxes",
    "  box: python:3.12-slim, engine docker",
    expect.stringMatching(/^ {2}plain: PLAIN PROCESSES: ./),
    "",
    "first prompt of asker, for the first row",
    "  | system: Be brief.",
    "  | user: Why?",
    "",
    "nothing is wrong with it, but",
    `  ${folder}/r.toml:8:2: models.served: no role asks this model`,
    "  8 | [models.served]",
    "    |  ^",
    `  ${folder}/r.toml:12:2: models.named: no role asks this model`,
    "  12 | [models.named]",
    "     |  ^",
    "",
  ]);
});

test("check --json prints the same as one object", async () => {
  const { stdout, folder } = await checked("--json", "--trials", "3", "run.concurrency=5");
  expect(JSON.parse(stdout)).toEqual({
    valid: true,
    reach: expect.objectContaining({
      reads: [
        { key: "dataset.path", what: join(folder, "d.jsonl") },
        { key: "roles.checker.agent", what: join(folder, "a.ts") },
      ],
    }),
    plan: {
      name: "mine",
      code: "checked",
      simulated: true,
      rows: 2,
      trials: 3,
      expected: 6,
      concurrency: 5,
      doubts: IDLE,
      models: [
        { name: "m", kind: "simulated", id: "simulated:m", endpoint: null, problem: null },
        {
          name: "served",
          kind: "openai",
          id: "llama",
          endpoint: "http://127.0.0.1:1/v1, http://127.0.0.1:2/v1",
          problem: null,
        },
        {
          name: "named",
          kind: "openai",
          id: "llama",
          endpoint: "every address of http://models:8000/v1",
          problem: null,
        },
      ],
      roles: [
        {
          name: "asker",
          agent: "llm",
          model: "m",
          concurrency: 10,
          bound: null,
          first_prompt: [
            { role: "system", content: "Be brief." },
            { role: "user", content: "Why?" },
          ],
        },
        {
          name: "checker",
          agent: join(folder, "a.ts"),
          model: null,
          concurrency: 1000,
          bound: null,
          first_prompt: null,
        },
        ...["tools", "reward"].map((name) => ({
          name,
          ...{ agent: "exec", model: null, concurrency: 1000, bound: null, first_prompt: null },
        })),
      ],
      first_role: "asker",
      sandboxes: [
        { name: "box", engine: "docker", image: "python:3.12-slim" },
        { name: "plain", engine: "process", image: null },
      ],
    },
  });
});

test("check warns of a field that looks misspelt, and shows no credentials of a URL", async () => {
  const { stdout } = await withFolder(async (folder) => {
    const recipe = RECIPE.replace(
      'model = "m"\n',
      'model = "m"\nsampling = { temprature = 1 }\n',
    ).replace("http://models:8000/v1", "${env:MODELS_URL}");
    await writeFile(join(folder, "r.toml"), recipe);
    await writeFile(join(folder, "a.ts"), "export default () => 1;\n");
    await writeFile(join(folder, "d.jsonl"), '{"q":"Why?"}\n');
    const env = { MODELS_URL: "http://user:password@models:8000/v1?key=k" };
    return matrix(["check", "r.toml"], { cwd: folder, env });
  });
  expect(stdout).toContain("  named: llama at every address of http://models:8000/v1\n");
  expect(stdout).not.toContain("password");
  expect(stdout.slice(stdout.indexOf("nothing is wrong with it, but"))).toContain(
    'roles.asker.sampling.temprature: "temprature" is sent as it is; did you mean "temperature"?',
  );
});

test("check starts each program once, and names one that cannot start", () =>
  withFolder(async (folder) => {
    const program = 'roles.checker = { agent = "process", command = ["./none"] }';
    const recipe = RECIPE.replace('[roles.checker]\nagent = "a.ts"', "").replace(
      "run.trials = 2",
      `run.trials = 2\n${program}`,
    );
    await writeFile(join(folder, "r.toml"), recipe);
    await writeFile(join(folder, "d.jsonl"), '{"q":"Why?"}\n');
    const { code, stderr } = await matrix(["check", "r.toml"], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toContain("./none");
  }));

/** Writes what its environment has of the secrets below, and prints a line. */
const CURIOUS = `import { appendFileSync, readFileSync } from "node:fs";
const own = JSON.stringify(process.env) + readFileSync("/proc/self/environ", "utf8");
appendFileSync(new URL("./seen.txt", import.meta.url), own);
console.log("printed by the module");
`;
const SECRETS = {
  MY_API_KEY: "sk-value-of-the-key",
  OTHER: "value-of-another-secret",
  DATA: "d.jsonl",
  BASE: "http://user:value-of-password@127.0.0.1:9/v1",
};
const CODE_RECIPE = `name = "code"
dataset.path = "\${env:DATA}"
[models.m]
kind = "openai"
model = "x"
base_url = "\${env:BASE}"
api_key = "\${env:MY_API_KEY}"
[models.s]
kind = "simulated"
replies = "replies.ts"
[roles.a]
agent = "llm"
model = "m"
request = "request.ts"
[roles.b]
agent = "b.ts"
[roles.c]
agent = "c.py"
[orchestrator]
module = "rule.ts"
`;

/** A recipe whose every module and program looks at its environment. */
async function writeCurious(folder: string): Promise<void> {
  const exports: Readonly<Record<string, string>> = {
    "replies.ts": "export default () => 'x';",
    "request.ts": "export default ({ row }) => ({ messages: [{ role: 'user', content: row.q }] });",
    "b.ts": "export default () => 1;",
    "rule.ts":
      "import { done, to } from 'matrix'; export default { start: () => to('a', null), next: done };",
  };
  for (const [name, text] of Object.entries(exports))
    await writeFile(join(folder, name), `${CURIOUS}${text}\n`);
  await writeFile(
    join(folder, "c.py"),
    "import os, sys\nopen(os.path.join(os.path.dirname(__file__), 'seen.txt'), 'a')" +
      ".write(repr(dict(os.environ)))\nfor line in sys.stdin: pass\n",
  );
  await writeFile(join(folder, "d.jsonl"), '{"q":"Why?"}\n');
  await writeFile(join(folder, "r.toml"), CODE_RECIPE);
}

test("check loads modules and starts programs without the secrets of the environment", () =>
  withFolder(async (folder) => {
    await writeCurious(folder);
    const { code, stdout } = await matrix(["check", "r.toml", "--json"], {
      cwd: folder,
      env: SECRETS,
    });
    expect(code).toBe(0);
    const { plan, reach } = JSON.parse(stdout);
    // The rule and the request module ran.
    expect(plan).toMatchObject({ first_role: "a", code: "checked" });
    expect(plan.roles[0].first_prompt).toEqual([{ role: "user", content: "Why?" }]);
    const seen = await readFile(join(folder, "seen.txt"), "utf8");
    for (const name of Object.keys(SECRETS)) expect(seen).toContain(name);
    for (const value of ["sk-value-of-the-key", "value-of-another-secret", "value-of-password"])
      expect(seen + stdout).not.toContain(value);
    // A plain key gives its value, and the URL stays one.
    expect(seen).toContain('"DATA":"d.jsonl"');
    expect(seen).toContain('"BASE":"http://127.0.0.1:9/v1"');
    expect(reach.sends).toEqual([
      {
        what: "DATA",
        key: "dataset.path",
        to: "recipe.toml and manifest.json of the run",
      },
      { what: "BASE", key: "models.m.base_url", to: "http://127.0.0.1:9/v1" },
      {
        what: "MY_API_KEY",
        key: "models.m.api_key",
        to: "http://127.0.0.1:9/v1, as Authorization",
      },
      ...["roles.a.request", "roles.b.agent", "roles.c.agent", "models.s.replies"].map((key) => ({
        what: "every variable of the environment",
        key,
        to: expect.stringContaining(folder),
      })),
      {
        what: "every variable of the environment",
        key: "orchestrator.module",
        to: join(folder, "rule.ts"),
      },
    ]);
  }));

test("--no-code looks at a recipe and its forecast without loading or starting anything of it", () =>
  withFolder(async (folder) => {
    await writeCurious(folder);
    const options = { cwd: folder, env: SECRETS };
    const { code, stdout } = await matrix(["check", "r.toml", "--no-code"], options);
    expect(code).toBe(0);
    expect(stdout).toContain(`module ${join(folder, "rule.ts")} in matrix itself`);
    expect(stdout).toContain(
      "no module was loaded and no program was started (--no-code)\nnothing is wrong with it, but\n",
    );
    const pattern = ["--no-code", 'orchestrator={pattern="sequence",roles=["a","b","c"]}'];
    const forecast = await matrix(["drive", "r.toml", "--dry-run", ...pattern], options);
    expect(forecast.stdout).toContain("LEFT OUT: a ");
    expect(forecast.stderr).toBe("no module of the recipe was loaded (--no-code)\n");
    const rule = await matrix(["drive", "r.toml", "--dry-run", "--no-code"], options);
    expect(rule).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("the rule of this recipe is code"),
    });
    const run = await matrix(["drive", "r.toml", "--no-code"], options);
    expect(run).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("a run needs its code"),
    });
    expect(await readdir(folder)).not.toContain("seen.txt");
  }));

test("check shows where code does not load, and says when code ended its process", () =>
  withFolder(async (folder) => {
    await writeCurious(folder);
    const options = { cwd: folder, env: SECRETS };
    await writeFile(join(folder, "b.ts"), "export default () => {\n  return = 1;\n};\n");
    const args = ["check", "r.toml", "run.trials=0"];
    const broken = await matrix(args, options);
    expect(broken.stderr).toContain("r.toml: 2 problems");
    expect(broken.stderr).toContain(`${join(folder, "b.ts")}:2:10: `);
    expect(broken.stderr).toContain("2 |   return = 1;\n  |          ^");
    const without = await matrix([...args, "--no-code"], options);
    expect(without.stderr).toContain("r.toml: 1 problem");
    await writeFile(join(folder, "b.ts"), "process.kill(process.pid, 'SIGKILL');\n");
    const killed = await matrix(["check", "r.toml"], options);
    expect(killed).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        "the recipe's code ended the process that loaded it (SIGKILL)",
      ),
    });
  }));
