// A bundle: packed on one machine and unpacked in an empty folder, it is the same recipe there.

import { describe, expect, test } from "bun:test";
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { loadUserModule } from "../../src/agent/user-module.ts";
import {
  type Bundle,
  createBundle,
  digestOf,
  parseBundle,
  unpackBundle,
} from "../../src/recipe/bundle.ts";
import { loadRecipe } from "../../src/recipe/load.ts";
import type { Plan } from "../../src/run/plan.ts";
import { prepare } from "../../src/run/prepare.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { startTask } from "../parts/at-once.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { comparable, readRecords } from "../parts/records.ts";
import { ROOT } from "../parts/repository.ts";

const ENV = { API_KEY: "hunter2", TEAM: "seven" };
const load = (path: string, env: Record<string, string> = {}) =>
  loadRecipe(path, { env, cwd: "/" });
const pack = async (
  path: string,
  { env = {}, withSecrets = false }: { env?: Record<string, string>; withSecrets?: boolean } = {},
) => createBundle(await load(path, env), { env, withSecrets });

/** The bundle after its way through the network. */
const travelled = (bundle: Bundle): Bundle => parseBundle(structuredClone(bundle));

async function writeTree(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

function promptsOf({ agents, rule }: Plan, row: JsonObject): unknown {
  const message = startTask(rule, {
    rowId: "0",
    trial: 0,
    row,
    seed: 1,
    attempt: 1,
    admittedAt: 0,
    trace: null,
  });
  if (message.kind === "end") throw new Error("the first row ends at once");
  return [...agents].map(([name, { render }]) => [name, render?.(message.task) ?? null]);
}

/** Hashes of the files' contents, in the order in which the recipe names them. */
const contentHashes = ({ hashes }: Plan) => Object.values(hashes);

const PLAIN = `name = "plain"
dataset.path = "gone.jsonl"
[roles.a]
agent = "a.ts"
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;

describe("a bundle", () => {
  for (const name of ["coral", "coral-gsm8k"]) {
    test(`a bundle of ${name} is the same recipe in an empty folder, without its dataset`, () =>
      withFolder(async (folder) => {
        await cp(join(ROOT, "recipes"), join(folder, "recipes"), { recursive: true });
        const row = { question: "1 + 1?", options: ["A)1", "B)2"], correct: "B", answer: "#### 2" };
        const before = await prepare(join(folder, "recipes", `${name}.toml`), {
          env: process.env,
          cwd: folder,
        });
        const bundle = travelled(await createBundle(before.loaded, { env: {}, withSecrets: true }));
        await rename(join(folder, "recipes"), join(folder, "elsewhere"));
        const after = await prepare(await unpackBundle(bundle, join(folder, "host")), {
          env: process.env,
          cwd: folder,
        });
        expect(contentHashes(after)).toEqual(contentHashes(before));
        expect(promptsOf(after, row)).toEqual(promptsOf(before, row));
        expect(
          after.loaded.files.every((file) => file.startsWith(join(folder, "host/files/"))),
        ).toBe(true);
        expect(Object.keys(bundle.files).filter((file) => file.endsWith(".jsonl"))).toEqual([]);
        const { dataset, run, models } = before.loaded.recipe;
        expect(after.loaded.recipe).toMatchObject({
          name,
          dataset,
          run,
          models: { speaker: { ...models["speaker"], replies: expect.any(String) } },
        });
      }));
  }

  test("a bundle makes the same records as the recipe itself", () =>
    withFolder(async (folder) => {
      const coral = join(ROOT, "recipes/coral.toml");
      const path = await unpackBundle(travelled(await pack(coral)), join(folder, "host"));
      const drive = (recipe: string, directory: string) =>
        matrix(
          ["drive", recipe, "-o", directory, "--limit", "8", 'models.speaker.latency="1ms"', "-q"],
          { cwd: folder },
        );
      expect((await drive(path, "bundled")).stderr).toBe("");
      await drive(coral, "direct");
      const bundled = await readRecords(join(folder, "bundled"));
      expect(bundled).toHaveLength(8);
      expect(comparable(bundled)).toEqual(comparable(await readRecords(join(folder, "direct"))));
    }));

  test("a bundle keeps the tree of files above, beside and far from the recipe", () =>
    withFolder(async (folder) => {
      await writeTree(folder, {
        "deep/recipes/r.toml": `name = "awkward"
dataset.path = "gone.jsonl"
[models.m]
kind = "simulated"
replies = "../../shared/p.md"
[roles.a]
agent = "llm"
model = "m"
system = "p.md"
prompt = "${folder}/far/p.md"
[roles.b]
agent = "../agents/b.ts"
[orchestrator]
module = "../../rule.ts"
`,
        "deep/recipes/p.md": "near",
        "far/p.md": "far {{ row.q }}",
        "shared/p.md": "reply",
        "rule.ts":
          'import { orchestrator, to, done } from "matrix";\nexport default orchestrator({ start: () => to("a", {}), next: (_, __, { role }) => role === "a" ? to("b", {}) : done() });\n',
        "deep/agents/b.ts": [
          'import { agent, type Task } from "matrix";',
          'import data from "./data.json" with { type: "json" };',
          'import type { Far } from "../../far/kinds.ts";',
          'import { upper } from "../../shared/text";',
          'const more = new URL("./more.txt", import.meta.url);',
          'import { readFileSync } from "node:fs";',
          'export default agent(async (task: Task) => { const { late } = await import("./late.ts"); const far: Far = late;',
          '  return { value: upper(data.word) + far + readFileSync(more, "utf8") }; });',
        ].join("\n"),
        "deep/agents/data.json": '{ "word": "w" }',
        "deep/agents/more.txt": "!",
        "deep/agents/late.ts": 'export const late = "late";\nimport "./b.ts";\n',
        "far/kinds.ts": "export type Far = string;\n",
        "shared/text.ts": 'export { upper } from "./letters.js";\n',
        "shared/letters.ts": "export const upper = (text: string) => text.toUpperCase();\n",
      });
      const before = await prepare(join(folder, "deep/recipes/r.toml"), {
        env: process.env,
        cwd: folder,
      });
      const bundle = travelled(await createBundle(before.loaded, { env: {}, withSecrets: false }));
      for (const name of ["deep", "far", "shared", "rule.ts"])
        await rename(join(folder, name), join(folder, `moved-${name}`));
      const after = await prepare(await unpackBundle(bundle, join(folder, "host")), {
        env: process.env,
        cwd: folder,
      });
      expect(contentHashes(after)).toEqual(contentHashes(before));
      expect(promptsOf(after, { q: "?" })).toEqual([
        [
          "a",
          [
            expect.objectContaining({ content: "near" }),
            expect.objectContaining({ content: "far ?" }),
          ],
        ],
        ["b", null],
      ]);
      const { default: run } = await loadUserModule(after.loaded.recipe.roles["b"]?.agent ?? "");
      expect(await (run as () => Promise<unknown>)()).toEqual({ value: "Wlate!" });
    }));

  test("a bundle holds the target of a symbolic link, and the imports of the target", () =>
    withFolder(async (folder) => {
      await writeTree(folder, {
        "r/r.toml": PLAIN,
        "real/agent.ts": 'import { word } from "./word.ts";\nexport default () => word;\n',
        "real/word.ts": 'export const word = "real";\n',
      });
      await symlink("../real/agent.ts", join(folder, "r/a.ts"));
      const bundle = travelled(await pack(join(folder, "r/r.toml")));
      await rename(join(folder, "real"), join(folder, "moved"));
      const { recipe } = await load(await unpackBundle(bundle, join(folder, "host")));
      const { default: run } = await loadUserModule(recipe.roles["a"]?.agent ?? "");
      expect((run as () => string)()).toBe("real");
    }));

  test("a bundle has no secret in its recipe, and their values only when they are asked for", () =>
    withFolder(async (folder) => {
      await writeTree(folder, {
        "r.toml": `${PLAIN}[models.m]\nkind = "openai"\nbase_url = "http://localhost:1/v1"\nmodel = "x"\napi_key = "\${env:API_KEY}"
headers = { Authorization = "Bearer \${env:API_KEY}", X-Team = "\${env:TEAM:-}", X-None = "\${env:NONE:-}" }\n`,
        "a.ts": "export default () => 1;\n",
      });
      const [open, safe] = [
        await pack(join(folder, "r.toml"), { env: ENV }),
        await pack(join(folder, "r.toml"), { env: ENV, withSecrets: true }),
      ];
      expect(open.secrets).toEqual({});
      expect(safe.secrets).toEqual(ENV);
      expect(open.recipe).not.toContain("hunter2");
      expect(open.recipe).toBe(safe.recipe);
      const path = await unpackBundle(travelled(safe), join(folder, "host"));
      await expect(prepare(path, { env: {}, cwd: folder })).rejects.toThrow("2 problems");
      const { loaded } = await prepare(path, { env: safe.secrets, cwd: folder });
      expect(loaded.recipe.models["m"]).toMatchObject({
        api_key: "hunter2",
        headers: { Authorization: "Bearer hunter2", "X-Team": "seven", "X-None": "" },
      });
    }));

  test("only the owner can read an unpacked bundle", () =>
    withFolder(async (folder) => {
      await writeTree(folder, { "r.toml": PLAIN, "a.ts": "export default () => 1;\n" });
      await chmod(join(folder, "a.ts"), 0o777);
      const host = await mkdtemp(join(folder, "host-"));
      await unpackBundle(await pack(join(folder, "r.toml")), host);
      const modes = await Promise.all(
        ["", "recipe.toml", "files", "files/a.ts"].map(
          async (name) => (await stat(join(host, name))).mode & 0o777,
        ),
      );
      expect(modes).toEqual([0o700, 0o600, 0o700, 0o600]);
    }));

  test("a graph keeps its export in a bundle", () =>
    withFolder(async (folder) => {
      const rule = `[orchestrator]\ngraph = "graph.ts#build"\n`;
      await writeTree(folder, {
        "r.toml": PLAIN.slice(0, PLAIN.indexOf("[orchestrator]")) + rule,
        "a.ts": "export default () => 1;\n",
        "graph.ts": "export const build = 1;\n",
      });
      const bundle = await pack(join(folder, "r.toml"));
      expect(bundle.recipe).toContain('graph = "files/graph.ts#build"');
      expect(Object.keys(bundle.files).sort()).toEqual(["files/a.ts", "files/graph.ts"]);
    }));

  test("a file that several roles name is in the bundle once", () =>
    withFolder(async (folder) => {
      await writeTree(folder, {
        "r.toml": `${PLAIN.replace('roles = ["a"]', 'roles = ["a", "b"]')}[roles.b]\nagent = "a.ts"\n`,
        "a.ts": "export default () => 1;\n",
      });
      const bundle = await pack(join(folder, "r.toml"));
      expect(Object.keys(bundle.files)).toEqual(["files/a.ts"]);
      expect(bundle.recipe.match(/agent = "files\/a\.ts"/g)).toHaveLength(2);
    }));

  test("a module's further imports are in the bundle after one that another role brought", () =>
    withFolder(async (folder) => {
      await writeTree(folder, {
        "r.toml": `${PLAIN.replace('roles = ["a"]', 'roles = ["a", "b"]')}[roles.b]\nagent = "b.ts"\n`,
        "a.ts": 'import "./shared.ts";\n',
        "b.ts": 'import "./shared.ts";\nimport "./more.ts";\n',
        "shared.ts": "",
        "more.ts": "",
      });
      const bundle = await pack(join(folder, "r.toml"));
      expect(Object.keys(bundle.files).sort()).toEqual(
        ["a.ts", "b.ts", "more.ts", "shared.ts"].map((name) => `files/${name}`),
      );
    }));

  test("a recipe whose files have exactly 64 MiB can be sent to hosts", () =>
    withFolder(async (folder) => {
      const agent = 'import huge from "./huge.json";\nexport default () => huge;\n';
      await writeTree(folder, { "r.toml": PLAIN, "a.ts": agent, "huge.json": "" });
      await truncate(join(folder, "huge.json"), 64 * 2 ** 20 - agent.length);
      expect(Object.keys((await pack(join(folder, "r.toml"))).files)).toHaveLength(2);
    }));

  test("two different files with one path by symbolic links are refused", () =>
    withFolder(async (folder) => {
      await writeTree(folder, {
        "r.toml": `${PLAIN.replace('roles = ["a"]', 'roles = ["a", "b"]')}[roles.b]\nagent = "b.ts"\n`,
        "real/a.ts": 'import "./word.ts";\n',
        "real/word.ts": "// beside the target of the link\n",
        "b.ts": 'import "./word.ts";\n',
        "word.ts": "// beside the link\n",
      });
      await symlink("real/a.ts", join(folder, "a.ts"));
      const failure = await pack(join(folder, "r.toml")).catch((thrown: unknown) => thrown);
      const path = join(folder, "word.ts");
      expect(failure).toMatchObject({
        message: "the recipe cannot be sent to hosts",
        problems: [
          {
            key: "roles.b.agent",
            message: `two different files have the path ${path} by symbolic links; import one by another path`,
          },
        ],
      });
    }));

  test("a bundle that would be too large names the import that makes it so", () =>
    withFolder(async (folder) => {
      await writeTree(folder, {
        "r.toml": PLAIN,
        "a.ts": 'import huge from "./huge.json";\nexport default () => huge;\n',
        "huge.json": "",
      });
      await truncate(join(folder, "huge.json"), 65 * 2 ** 20);
      const failure = await pack(join(folder, "r.toml")).catch((thrown: unknown) => thrown);
      expect(failure).toMatchObject({
        code: "recipe_invalid",
        problems: [
          {
            line: 4,
            key: "roles.a.agent",
            message: expect.stringMatching(
              /it imports .*huge\.json, which is too large: .*\(64 MiB\)/,
            ),
          },
        ],
      });
    }));
});

describe("a bundle from the network", () => {
  const withFiles = (files: Record<string, unknown>) => ({ recipe: PLAIN, files, secrets: {} });
  const bytes = new Uint8Array([1]);

  test("a value that is not a bundle, or that has a name outside of its folder, is refused", () => {
    const names = [
      "/etc/passwd",
      "../x",
      "files/../../x",
      "files/./x",
      "files//x",
      "files/",
      "files",
      "",
      "recipe.toml",
      "files/a\0b",
      "files\\..\\x",
      "x/y",
    ];
    for (const name of names)
      expect(() => parseBundle(withFiles({ [name]: bytes })), name).toThrow("it has a file named");
    for (const value of [
      null,
      7,
      "x",
      {},
      [],
      { recipe: 1, files: {}, secrets: {} },
      { recipe: "", files: [], secrets: {} },
    ])
      expect(() => parseBundle(value)).toThrow("it has no recipe, files and secrets");
    expect(() => parseBundle(withFiles({ "files/a": "text" }))).toThrow("is not bytes");
    expect(() => parseBundle({ recipe: "", files: {}, secrets: { a: 1 } })).toThrow("is not text");
    expect(parseBundle(withFiles({ "files/..a/b..": bytes }))).toMatchObject({ recipe: PLAIN });
  });

  test("a bundle may have 64 MiB, 10,000 files and names of 4,096 bytes, and no more", () => {
    const half = new Uint8Array(32 * 2 ** 20);
    const files = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`files/${index}`, bytes]));
    const named = (length: number) => ({ [`files/${"x".repeat(length - 6)}`]: bytes });
    const accepted = [{ "files/a": half, "files/b": half }, files(10_000), named(4096)];
    for (const each of accepted) expect(() => parseBundle(withFiles(each))).not.toThrow();
    expect(() =>
      parseBundle(withFiles({ "files/a": half, "files/b": half, "files/c": bytes })),
    ).toThrow("it has 67108865 bytes; allowed: 67108864");
    expect(() => parseBundle(withFiles(files(10_001)))).toThrow(
      "it has 10001 files; allowed: 10000",
    );
    expect(() => parseBundle(withFiles(named(4097)))).toThrow("it has a file named");
  });

  test("a bundle is not unpacked into a folder that is not empty", () =>
    withFolder(async (folder) => {
      await mkdir(join(folder, "victim"));
      await mkdir(join(folder, "host"));
      await symlink(join(folder, "victim"), join(folder, "host/files"));
      const bundle = withFiles({ "files/x": bytes }) as Bundle;
      await expect(unpackBundle(bundle, join(folder, "host"))).rejects.toThrow(
        "the folder is not empty",
      );
      expect(await readdir(join(folder, "victim"))).toEqual([]);
    }));

  test("a bundle in which a file would also have to be a folder is refused", () =>
    withFolder(async (folder) => {
      const bundle = withFiles({ "files/x": bytes, "files/x/y": bytes }) as Bundle;
      await expect(unpackBundle(bundle, join(folder, "host"))).rejects.toThrow(
        "cannot unpack the driver's recipe",
      );
    }));
});

test("the digest of a bundle tells files and secrets apart, and not the keys that drivers may change", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const bundle = { recipe: "a = 1", files: { "files/p": bytes("x") }, secrets: { KEY: "k" } };
  const digests = [
    bundle,
    { ...bundle, files: { "files/p": bytes("y") } },
    { ...bundle, files: { "files/q": bytes("x") } },
    { ...bundle, files: { "files/p": bytes("x"), "files/q": bytes("x") } },
    { ...bundle, secrets: { KEY: "other" } },
    { ...bundle, secrets: {} },
    { ...bundle, files: { ...bundle.files, KEY: bytes("k") }, secrets: {} },
  ].map(digestOf);
  expect(new Set(digests).size).toBe(7);
  expect(digests[0]).toMatch(/^[0-9a-f]{16}$/);
  const other = { files: { b: bytes("2"), a: bytes("1") }, secrets: { y: "2", x: "1" } };
  const same = { files: { a: bytes("1"), b: bytes("2") }, secrets: { x: "1", y: "2" } };
  expect(digestOf({ ...other, recipe: "budget = 1" })).toBe(digestOf({ ...same, recipe: "" }));
});
