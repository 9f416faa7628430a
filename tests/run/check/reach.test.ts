// What a recipe would do, read from its keys.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { examineRecipe } from "../../../src/recipe/load.ts";
import { hasModules, reachOf } from "../../../src/run/check/reach.ts";
import { withFolder } from "../../parts/folder.ts";
import { writeSmallRun } from "../small-run.ts";

async function reach(
  folder: string,
  overrides: readonly string[],
  env: Readonly<Record<string, string>> = {},
) {
  const path = await writeSmallRun(folder);
  const examined = await examineRecipe(path, { overrides, env, cwd: folder });
  return { ...(await reachOf(examined, env)), recipe: examined.loaded.recipe };
}

const LLM_ONLY = 'orchestrator.roles=["student"]';

test("a module is read with every file that it imports", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "lib"));
    await writeFile(join(folder, "lib/one.ts"), "throw new Error('this was run');\n");
    await writeFile(join(folder, "g.ts"), 'import "./lib/one.ts";\nexport default () => 1;\n');
    const { reads, runs } = await reach(folder, ["roles.grader.agent=g.ts"]);
    expect(reads.map(({ what }) => what)).toEqual([
      join(folder, "rows.jsonl"),
      join(folder, "g.ts"),
      join(folder, "lib/one.ts"),
    ]);
    expect(hasModules({ runs } as never)).toBe(true);
  }));

test("the modules of requests, replies, rules and graphs are run", () =>
  withFolder(async (folder) => {
    const overrides = [
      'roles={ a = { agent = "llm", model = "m", request = "r.ts" } }',
      "models.m.replies=p.ts",
    ];
    const module = await reach(folder, [...overrides, 'orchestrator={ module = "o.ts" }']);
    expect(module.runs.map(({ kind, key }) => `${kind} ${key}`)).toEqual([
      "module roles.grader.agent",
      "module roles.a.request",
      "module models.m.replies",
      "module orchestrator.module",
    ]);
    const graph = await reach(folder, ['orchestrator={ graph = "g.ts#x" }']);
    expect(graph.runs.at(-1)).toMatchObject({ kind: "module", key: "orchestrator.graph" });
    const text = await reach(folder, ["models.m.replies=p.md"]);
    expect(text.runs.map(({ key }) => key)).toEqual(["roles.grader.agent"]);
  }));

test("Python files run by the interpreter of their role or of the recipe, and uv is asked where it may install", () =>
  withFolder(async (folder) => {
    const needs = "# /// script\n# dependencies = ['x']\n# ///\n";
    await writeFile(join(folder, "o.py"), needs);
    await writeFile(join(folder, "r.py"), needs);
    await writeFile(join(folder, "g.py"), "");
    const overrides = [
      'python.command=["env/bin/python", "-X", "utf8"]',
      'roles={ a = { agent = "llm", model = "m", request = "r.py", python = ["py"] } }',
      "roles.grader.agent=g.py",
      "models.m.replies=p.py",
      'orchestrator={ module = "o.py" }',
    ];
    const by = `by ${join(folder, "env/bin/python")} -X utf8, which nothing isolates`;
    const { runs, asks } = await reach(folder, overrides);
    expect(runs.map(({ key, what, where }) => [key, what, where])).toEqual([
      [
        "roles.grader.agent",
        `${join(folder, "env/bin/python")} -X utf8 -u ${join(folder, "g.py")}`,
        "as a process of this machine, which nothing isolates",
      ],
      ["roles.a.request", join(folder, "r.py"), "by py, which nothing isolates"],
      ["models.m.replies", join(folder, "p.py"), by],
      ["orchestrator.module", join(folder, "o.py"), by],
    ]);
    expect(asks).toEqual([]);
    const installing = await reach(folder, [...overrides, "python.install=true"]);
    expect(installing.asks).toEqual(
      (["roles.a.request", "orchestrator.module"] as const).map((key) => ({
        key,
        what: `the package index of uv, for what ${join(folder, key === "roles.a.request" ? "r.py" : "o.py")} states`,
      })),
    );
  }));

test("a program is run as it is started, where its sandbox is", () =>
  withFolder(async (folder) => {
    const overrides = [
      "roles.grader.agent=g.py",
      'roles.student={ agent = "process", command = ["uv", "run", "x.py"], sandbox = "box" }',
      'sandboxes.box={ image = "ubuntu:24.04", engine = "docker", network = "host" }',
    ];
    const { runs, sends } = await reach(folder, overrides);
    expect(runs).toEqual([
      {
        kind: "program",
        key: "roles.student.agent",
        what: "uv run x.py",
        where: "in sandbox box",
      },
      {
        kind: "program",
        key: "roles.grader.agent",
        what: `python3 -u ${join(folder, "g.py")}`,
        where: "as a process of this machine, which nothing isolates",
      },
      {
        kind: "image",
        key: "sandboxes.box.image",
        what: "ubuntu:24.04",
        where: "by docker, with the network of this machine",
      },
    ]);
    // A program in a container does not see the environment of matrix.
    expect(sends.map(({ key }) => key)).toEqual(["roles.grader.agent"]);
  }));

test("mounts are those of the recipe and those that roles bring, exactly", () =>
  withFolder(async (folder) => {
    const overrides = [
      "roles.grader.agent=g.py",
      "roles.grader.sandbox=box",
      'roles.grader.files=["words"]',
      'sandboxes.box={ image = "ubuntu", mounts = [{ source = "a", target = "/a", writable = true }] }',
      'sandboxes.plain={ engine = "process" }',
      'roles.student={ agent = "s.py", sandbox = "plain" }',
    ];
    const { mounts, writes } = await reach(folder, overrides);
    expect(mounts).toEqual([
      {
        key: "sandboxes.box.mounts.0",
        what: join(folder, "a"),
        target: "/a",
        sandbox: "box",
        writable: true,
      },
      ...[
        ["roles.grader.agent", join(folder, "g.py")] as const,
        ["roles.grader.files.0", join(folder, "words")] as const,
      ].map(([key, what]) => ({
        ...{ key, what, target: "/agents/grader", sandbox: "box", writable: false },
      })),
    ]);
    expect(writes).toEqual([
      { key: "name", what: "runs/small" },
      { key: "sandboxes.box.mounts.0", what: `${join(folder, "a")}, from sandbox box` },
    ]);
  }));

test("endpoints, the hub, registries and builds are asked", () =>
  withFolder(async (folder) => {
    const overrides = [
      LLM_ONLY,
      "dataset.path=hf://owner/name",
      'models.one={ kind = "openai", model = "x", base_url = ["https://u:p@a/v1?key=k", "https://b/v1"] }',
      'models.file={ kind = "openai", model = "x", base_url = { file = "r.txt" } }',
      'sandboxes.built={ image = "./env" }',
      'sandboxes.sif={ image = "x.sif" }',
      'sandboxes.ref={ image = "ghcr.io/a/b:1" }',
    ];
    const { asks, sends, reads } = await reach(folder, overrides, { HF_ENDPOINT: "" });
    expect(asks.map(({ what }) => what)).toEqual([
      "https://a/v1",
      "https://b/v1",
      `the replicas in ${join(folder, "r.txt")}`,
      "https://huggingface.co",
      `whatever building ${join(folder, "env")} asks, unless it is built`,
      "the registry of ghcr.io/a/b:1, unless it is here",
    ]);
    expect(sends).toContainEqual({
      what: "HF_TOKEN, if it is set",
      key: "dataset.path",
      to: "https://huggingface.co",
    });
    expect(reads.map(({ what }) => what)).toContain(join(folder, "r.txt"));
    const own = await reach(folder, overrides.slice(0, 2), { HF_ENDPOINT: "http://hub:1" });
    expect(own.asks).toEqual([{ key: "dataset.path", what: "http://hub:1" }]);
  }));

test("each variable is sent where its key says, and plain ones are written down", () =>
  withFolder(async (folder) => {
    const overrides = [
      LLM_ONLY,
      "run.output=${env:OUT}",
      "roles.student.model=${env:WHOSE}",
      "roles.grader={ agent = 'process', command = ['${env:PY}', 'x.py'] }",
      'models.m={ kind = "openai", model = "${env:M}", base_url = "${env:URL}" }',
      'models.m.api_key="${env:KEY}"',
      'models.m.headers={ X-Token = "${env:TOKEN}" }',
      'sandboxes.s={ image = "ubuntu", env = { A = "${env:IN_BOX}" } }',
    ];
    const env = {
      OUT: "o",
      WHOSE: "m",
      PY: "p",
      M: "m",
      URL: "https://h/v1",
      KEY: "k",
      TOKEN: "t",
      IN_BOX: "b",
    };
    const { sends, writes } = await reach(folder, overrides, env);
    const written = "recipe.toml and manifest.json of the run";
    const lines = sends.map(({ what, to }) => `${what}: ${to}`).sort();
    expect(lines).toEqual([
      "IN_BOX: sandbox s, as A",
      "KEY: https://h/v1, as Authorization",
      `M: https://h/v1; ${written}`,
      `OUT: ${written}`,
      `PY: the command of grader; ${written}`,
      "TOKEN: https://h/v1, as X-Token",
      `URL: ${written}`,
      `WHOSE: ${written}`,
      "every variable of the environment: p x.py",
    ]);
    expect(writes).toEqual([{ key: "run.output", what: join(folder, "o") }]);
  }));

test("parts of a recipe that are wrong are left out", () =>
  withFolder(async (folder) => {
    const { asks, runs, writes } = await reach(folder, [
      "name=5",
      "orchestrator=6",
      'models.x={ kind = "openai", base_url = 5 }',
      "roles.grader.agent=7",
    ]);
    expect({ asks, runs, writes }).toEqual({ asks: [], runs: [], writes: [] });
  }));
