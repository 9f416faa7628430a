// The files of roles in sandboxes: those that the recipe names and that programs import, and no
// neighbour of theirs.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { filesIn, marksAgent, readRoleFiles } from "../../src/agent/role-files.ts";
import type { Recipe } from "../../src/recipe/schema/schema.ts";
import { withFolder } from "../parts/folder.ts";

const TREE = {
  ".env": "TOKEN=1",
  id_rsa: "KEY",
  "agents/solve.py": "import helper\nfrom pack.deep import rule\n",
  "agents/helper.py": "import json\n",
  "agents/pack/__init__.py": "",
  "agents/pack/deep.py": "",
  "agents/other.py": "",
  "agents/two.mjs": 'import "../lib/x.mjs";\n',
  "lib/x.mjs": "",
  "lib/.env": "TOKEN=2",
  "data/words.json": "[]",
  "data/in/more.json": "[]",
};
const withTree = (use: (folder: string) => Promise<void>) =>
  withFolder(async (folder) => {
    for (const [name, text] of Object.entries(TREE)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    await use(folder);
  });
const MODULES = ["helper.py", "pack/__init__.py", "pack/deep.py", "solve.py"];
const DATA = ["agents/helper.py", "data/in/more.json", "data/words.json"];

test.each([
  ["agents/solve.py", [], "solve.py", MODULES],
  ["agents/two.mjs", [], "agents/two.mjs", ["agents/two.mjs", "lib/x.mjs"]],
  ["agents/helper.py", ["data"], "agents/helper.py", DATA],
  ["agents/helper.py", ["agents/other.py"], "helper.py", ["helper.py", "other.py"]],
  ["exec", ["data/words.json"], null, ["words.json"]],
  ["exec", ["data"], null, ["in/more.json", "words.json"]],
  ["process", [], null, []],
])("the agent %s with the files %j is %p among %j", (agent, files, program, names) =>
  withTree(async (folder) => {
    const read = await readRoleFiles({
      agent: agent.includes(".") ? join(folder, agent) : agent,
      files: files.map((name) => join(folder, name)),
    });
    expect(read.program).toBe(program);
    expect([...read.contents.keys()].sort()).toEqual(names);
  }),
);

test("a sandbox is given the files of its roles, each under the role's name", () =>
  withTree(async (folder) => {
    const role = (agent: string, sandbox: string) => ({ agent, sandbox, files: [] });
    const helper = join(folder, "agents/helper.py");
    const recipe = {
      roles: {
        solver: role(helper, "box"),
        shell: role("exec", "box"),
        plain: role(helper, "bare"),
        far: role(join(folder, "agents/other.py"), "far"),
      },
      sandboxes: {
        box: { engine: "auto" },
        far: { engine: "docker" },
        bare: { engine: "process" },
      },
    } as unknown as Recipe;
    const contents = new Map([["helper.py", Buffer.from("import json\n")]]);
    expect(await filesIn(recipe, "box")).toEqual([{ target: "/agents/solver", contents }]);
    expect((await filesIn(recipe, "far")).map(({ target }) => target)).toEqual(["/agents/far"]);
    expect(await filesIn(recipe, "bare")).toEqual([]);
  }));

test("a Python program leaves its start to the library when a decorator marks its agent", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.py");
    const marks = async (text: string) => {
      await writeFile(path, text);
      return marksAgent(path);
    };
    expect(await marks("import x\n@agent\ndef f(task): pass\n")).toBe(true);
    expect(await marks("@agent(threads=2)\ndef f(task): pass\n")).toBe(true);
    expect(await marks("@matrix_agent.agent\ndef f(task): pass\n")).toBe(true);
    expect(await marks("# @agent\nserve(f)\n")).toBe(false);
    expect(await marks("@agents\ndef f(task): pass\n")).toBe(false);
    expect(await marks("class A:\n    @agent\n    def f(task): pass\n")).toBe(false);
    expect(await marksAgent(join(folder, "no.py"))).toBe(false);
  }));
