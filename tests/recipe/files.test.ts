// The files of a recipe: which keys name them, and what a module brings along.

import { describe, expect, test } from "bun:test";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  commonFolder,
  filesOf,
  isFolder,
  isModule,
  readRecipeFile,
} from "../../src/recipe/files.ts";
import type { Recipe } from "../../src/recipe/schema/schema.ts";
import { withFolder } from "../parts/folder.ts";

async function writeTree(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

/** Names of the files that `entry` brings, in order. */
const namesFrom = (files: Readonly<Record<string, string>>, entry = "a.ts") =>
  withFolder(async (folder) => {
    await writeTree(folder, files);
    const read = await readRecipeFile(join(folder, entry));
    return read.map(({ path }) => path.slice(folder.length + 1));
  });

test("a file is a module when its name ends as those of JavaScript and TypeScript do", () => {
  const modules = ["a.ts", "a.js", "a.mts", "a.cts", "a.mjs", "a.cjs", "a.tsx", "a.jsx", "a.b.ts"];
  const others = ["a.py", "a.json", "a.ts.md", "ts", "a.tsz", "a.xts"];
  expect([...modules, ...others].filter(isModule)).toEqual(modules);
});

test("roles, models and the orchestrator name files, each under its key", () => {
  const recipe = {
    roles: {
      a: { agent: "/a.ts", files: ["/x", "/y"] },
      "b.c": {
        agent: "llm",
        system: "/s",
        prompt: "/p",
        tools: "/t",
        schema: "/j",
        request: "/r",
        files: [],
      },
      d: { agent: "llm", prompt: { text: "x" }, schema: { type: "object" }, files: [] },
      e: { agent: "process", files: [] },
    },
    models: {
      m: { kind: "openai", replies: "/never" },
      n: { kind: "simulated", replies: "/n" },
      o: { kind: "scripted", replies: "/o" },
      p: { kind: "simulated", replies: { text: "x" } },
    },
    orchestrator: { module: "/m.ts" },
  } as unknown as Recipe;
  expect(filesOf(recipe)).toEqual([
    ["roles.a.agent", "/a.ts"],
    ["roles.a.files.0", "/x"],
    ["roles.a.files.1", "/y"],
    ['roles."b.c".system', "/s"],
    ['roles."b.c".prompt', "/p"],
    ['roles."b.c".tools', "/t"],
    ['roles."b.c".schema', "/j"],
    ['roles."b.c".request', "/r"],
    ["models.n.replies", "/n"],
    ["models.o.replies", "/o"],
    ["orchestrator.module", "/m.ts"],
  ]);
  const graph = { ...recipe, roles: {}, models: {}, orchestrator: { graph: "/g.ts#build" } };
  expect(filesOf(graph as unknown as Recipe)).toEqual([["orchestrator.graph", "/g.ts"]]);
});

describe("the files of a module", () => {
  test("every import of a relative path is followed, in the order of the text", async () => {
    const text = `
      import { a } from "./b.ts";
      import './c.ts';
      export * from "../up.ts";
      const d = await import(\`./d.ts\`);
      const e = require("./e.cjs");
      const f = import.meta.resolve("./f.txt");
      const g = new URL("./g.bin", import.meta.url);
      import data from "./h.json" with { type: "json" };
      import i from "./i.ts?raw#x";
      import { far } from "far";
      const no = new URL("./no.bin", "https://example.org");
    `;
    const names = ["b.ts", "c.ts", "d.ts", "e.cjs", "f.txt", "g.bin", "h.json", "i.ts", "no.bin"];
    const files = Object.fromEntries(names.map((name) => [`in/${name}`, ""]));
    expect(await namesFrom({ ...files, "up.ts": "", "in/a.ts": text }, "in/a.ts")).toEqual([
      "in/a.ts",
      "in/b.ts",
      "in/c.ts",
      "up.ts",
      ...["d.ts", "e.cjs", "f.txt", "g.bin", "h.json", "i.ts"].map((name) => `in/${name}`),
    ]);
  });

  test("imports of imports are followed, and a circle ends", async () => {
    const files = {
      "a.ts": 'import "./b.ts"',
      "b.ts": 'import "./c.ts"',
      "c.ts": 'import "./a.ts"',
    };
    expect(await namesFrom(files)).toEqual(["a.ts", "b.ts", "c.ts"]);
  });

  test("a file that is not a module brings nothing", async () => {
    expect(await namesFrom({ "a.md": 'import "./b.ts"', "b.ts": "" }, "a.md")).toEqual(["a.md"]);
  });

  test("an import may leave out its ending, name a folder, or name the compiled file", async () => {
    const text = 'import "./x"; import "./y"; import "./z.js"; import "./v/"; import "./w.mjs"';
    const files = {
      "x.json": "",
      "y/index.ts": "",
      "z.ts": "",
      "v/index.js": "",
      "w.mts": "",
    };
    expect(await namesFrom({ "a.ts": text, ...files })).toEqual([
      "a.ts",
      "x.json",
      "y/index.ts",
      "z.ts",
      "v/index.js",
      "w.mts",
    ]);
  });

  test("a name that stands for several files brings all, unless it names one of them", async () => {
    expect(await namesFrom({ "a.ts": 'import "./x"', "x.ts": "", "x.js": "" })).toEqual([
      "a.ts",
      "x.ts",
      "x.js",
    ]);
    expect(await namesFrom({ "a.ts": 'import "./x.js"', "x.ts": "", "x.js": "" })).toEqual([
      "a.ts",
      "x.js",
    ]);
  });

  test("an import that leads nowhere is passed over", async () => {
    expect(await namesFrom({ "a.ts": 'import "./none.ts"; import "./b.ts"', "b.ts": "" })).toEqual([
      "a.ts",
      "b.ts",
    ]);
  });

  test("a linked module is read from its target, and its imports keep the place of the link", () =>
    withFolder(async (folder) => {
      await writeTree(folder, {
        "real/a.ts": 'import "./b.ts"',
        "real/b.ts": "// beside the target",
        "link/other.ts": "",
      });
      await symlink("../real/a.ts", join(folder, "link/a.ts"));
      const read = await readRecipeFile(join(folder, "link/a.ts"));
      expect(read.map(({ path, bytes }) => [path, bytes.toString()])).toEqual([
        [join(folder, "link/a.ts"), 'import "./b.ts"'],
        [join(folder, "link/b.ts"), "// beside the target"],
      ]);
    }));

  test("an import that exists only beside a symbolic link is found there", () =>
    withFolder(async (folder) => {
      await writeTree(folder, {
        "real/a.ts": 'import "./b.ts"',
        "link/b.ts": "// beside the link",
      });
      await symlink("../real/a.ts", join(folder, "link/a.ts"));
      const read = await readRecipeFile(join(folder, "link/a.ts"));
      expect(read.map(({ path }) => path)).toEqual([
        join(folder, "link/a.ts"),
        join(folder, "link/b.ts"),
      ]);
    }));

  test("a file that cannot be read is refused by name", async () => {
    await expect(readRecipeFile("/nowhere/a.ts")).rejects.toMatchObject({
      code: "recipe_invalid",
      message: expect.stringContaining("cannot read /nowhere/a.ts: "),
    });
  });
});

test("a Python file brings what it imports from beside it, and those what they import", async () => {
  const files = {
    "a.py": "import b, os",
    "b.py": "from p import c",
    "p/c.py": "import a",
    "d.py": "",
  };
  expect(await namesFrom(files, "a.py")).toEqual(["a.py", "b.py", "p/c.py"]);
});

test("a folder brings its files in order, and neither caches nor links", () =>
  withFolder(async (folder) => {
    await writeTree(folder, {
      ...{ "f/b": "", "f/a/c": "", "f/.hidden": "", "f/__pycache__/x": "", "f/.git/x": "" },
      secret: "",
    });
    await symlink(join(folder, "secret"), join(folder, "f/link"));
    const read = await readRecipeFile(join(folder, "f"));
    expect(read.map(({ path }) => path.slice(folder.length + 1))).toEqual([
      ...["f/.hidden", "f/a/c", "f/b"],
    ]);
    expect([folder, join(folder, "secret"), join(folder, "none")].map(isFolder)).toEqual([
      ...[true, false, false],
    ]);
  }));

test.each([
  [["/a/b/c", "/a/b/d"], "/a/b"],
  [["/a/b/c", "/a/d"], "/a"],
  [["/a/b"], "/a"],
  [["/a", "/b"], "/"],
  [["/ab/x", "/abc/x"], "/"],
  [[], "/"],
])("the common folder of %j is %s", (paths, folder) => {
  expect(commonFolder(paths)).toBe(folder);
});
