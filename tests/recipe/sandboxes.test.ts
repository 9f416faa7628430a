// [sandboxes.NAME] and the roles that run in them: what is written, what it becomes, and what is wrong with it.

import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MatrixError } from "../../src/error.ts";
import { recipeDifferences } from "../../src/recipe/difference.ts";
import { type LoadedRecipe, loadRecipe } from "../../src/recipe/load.ts";
import { withFolder } from "../parts/folder.ts";

const RECIPE = `name = "boxed"
dataset.path = "d.jsonl"
[sandboxes.box]
image = "python:3.12-slim"
[roles.a]
agent = "a.py"
sandbox = "box"
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;

async function load(
  recipe: string,
  overrides: readonly string[] = [],
): Promise<LoadedRecipe & { folder: string }> {
  return withFolder(async (folder) => {
    await mkdir(join(folder, "image"));
    for (const [name, text] of Object.entries({
      "recipe.toml": recipe,
      "a.py": "",
      "a.rb": "",
      "data.txt": "",
      "x.sif": "",
    }))
      await writeFile(join(folder, name), text);
    return {
      ...(await loadRecipe(join(folder, "recipe.toml"), { overrides, env: {}, cwd: folder })),
      folder,
    };
  });
}

async function problemsOf(recipe: string, overrides: readonly string[] = []): Promise<string[]> {
  try {
    await load(recipe, overrides);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof MatrixError)) throw thrown;
    return thrown.problems.map(
      ({ key, message }) => `${key}: ${message.replace(/\/tmp\/matrix-test-[^/]*/g, "")}`,
    );
  }
}

describe("a sandbox in a recipe", () => {
  test("is locked up unless the recipe says otherwise", async () => {
    const { recipe } = await load(RECIPE);
    expect(recipe.sandboxes["box"]).toEqual({
      image: "python:3.12-slim",
      engine: "auto",
      serves: "many",
      stateful: true,
      count: 1,
      warm: 0,
      memory: 2 * 2 ** 30,
      cpus: 1,
      pids: 256,
      timeout: 600_000,
      network: "none",
      read_only: true,
      mounts: [],
      env: {},
      workdir: "/work",
    });
  });

  test("takes a reference as it is and a path from where it is written", async () => {
    const images = ["python:3.12-slim", "registry.example.org:5000/team/image@sha256:00", "ubuntu"];
    for (const image of images)
      expect(
        (await load(RECIPE, [`sandboxes.box.image="${image}"`])).recipe.sandboxes["box"]?.image,
      ).toBe(image);
    for (const image of ["./image", "x.sif"]) {
      const { recipe, folder } = await load(RECIPE.replace("python:3.12-slim", image));
      expect(recipe.sandboxes["box"]?.image).toBe(join(folder, image));
    }
  });

  test("names mounts from where they are written", async () => {
    const mounts = 'mounts = [{ source = "data.txt", target = "/data.txt" }]';
    const { recipe, folder } = await load(RECIPE.replace("[roles.a]", `${mounts}\n[roles.a]`));
    expect(recipe.sandboxes["box"]?.mounts).toEqual([
      { source: join(folder, "data.txt"), target: "/data.txt", writable: false },
    ]);
  });

  test("may be given more or other means when a run goes on, but no other image", async () => {
    const { resolved } = await load(RECIPE);
    const kinds = async (overrides: readonly string[]) =>
      recipeDifferences(resolved, (await load(RECIPE, overrides)).resolved)
        .filter(({ key }) => key.startsWith("sandboxes"))
        .map(({ kind }) => kind);
    expect(
      new Set(
        await kinds([
          "sandboxes.box.count=4",
          'sandboxes.box.memory="4GiB"',
          "sandboxes.box.engine=apptainer",
        ]),
      ),
    ).toEqual(new Set(["free"]));
    expect(await kinds(["sandboxes.box.image=ubuntu"])).toEqual(["conflict"]);
  });

  test("may be made plain processes by name, whatever image they have and wherever that is", async () => {
    for (const image of ["ubuntu", "./none"]) {
      const { recipe } = await load(RECIPE, [
        "sandboxes.box.engine=process",
        `sandboxes.box.image="${image}"`,
      ]);
      expect(recipe.sandboxes["box"]?.engine).toBe("process");
    }
  });

  test.each([
    [
      "an image that is nowhere",
      ['sandboxes.box.image="./none"'],
      "sandboxes.box.image: no such file or folder: /none",
    ],
    ["no image", ["sandboxes.other.count=1"], "sandboxes.other: it needs an image"],
    ["nobody in it", ["sandboxes.other.image=ubuntu"], "sandboxes.other: no role runs in it"],
    [
      "a SIF for Docker",
      ['sandboxes.box.image="x.sif"', "sandboxes.box.engine=docker"],
      "sandboxes.box.image: Docker takes no SIF; leave engine at auto, or apptainer",
    ],
    [
      "more warm than there may be",
      ["sandboxes.box.warm=2"],
      "sandboxes.box.warm: more than count, 1",
    ],
    [
      "memory without a unit",
      ["sandboxes.box.memory=512"],
      'sandboxes.box.memory: found 512; allowed: a size such as "512B", "64MiB" or "2GB"',
    ],
    [
      "an engine that is none",
      ["sandboxes.box.engine=podman"],
      'sandboxes.box.engine: found "podman"; allowed: auto, docker, apptainer, process',
    ],
    [
      "a relative working directory",
      ["sandboxes.box.workdir=work"],
      'sandboxes.box.workdir: found "work"; allowed: an absolute path in the sandbox',
    ],
    [
      "a sandbox that is not there",
      ["roles.a.sandbox=bx"],
      'roles.a.sandbox: no sandbox is named "bx"; sandboxes: box',
    ],
    [
      "a program that nobody can start",
      ['roles.a.agent="a.rb"'],
      'roles.a.agent: how it is started is not known from its name; say it: command = ["…"]',
    ],
    [
      "exec in no sandbox",
      ["roles.b.agent=exec"],
      "roles.b: an exec role needs a sandbox, one of [sandboxes]",
    ],
    [
      "a command for what is no program",
      ['roles.b={ agent = "language", command = ["x"] }'],
      "roles.b.command: only a program reads it; this role's agent is none",
    ],
    [
      "a model in a sandbox",
      ['roles.b={ agent = "llm", sandbox = "box" }'],
      "roles.b.sandbox: an llm role has no sandbox: its model answers outside of it",
    ],
  ])("with %s is a problem that is shown", async (_what, overrides, problem) => {
    expect(await problemsOf(RECIPE, overrides)).toContain(problem);
  });

  test("of a program in any language is started as the recipe says", async () => {
    expect(
      await problemsOf(RECIPE, [
        'roles.a.agent="a.rb"',
        'roles.a.command=["ruby", "/agents/a/a.rb"]',
      ]),
    ).toEqual([]);
  });
});
