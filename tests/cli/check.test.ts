// `matrix check` of a recipe that is sound: what it would do. tests/cli/broken.test.ts has the
// others.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
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
  expect(stdout.split("\n")).toEqual([
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
    "nothing is wrong with it",
    "",
  ]);
});

test("check --json prints the same as one object", async () => {
  const { stdout, folder } = await checked("--json", "--trials", "3", "run.concurrency=5");
  expect(JSON.parse(stdout)).toEqual({
    valid: true,
    plan: {
      name: "mine",
      simulated: true,
      rows: 2,
      trials: 3,
      expected: 6,
      concurrency: 5,
      doubts: [],
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
