// The layers of a recipe: files that extend others, and overrides.

import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MatrixError } from "../../src/error.ts";
import { readOverride, readSources, writeToml } from "../../src/recipe/source.ts";
import { withFolder } from "../parts/folder.ts";

const withFiles = <T>(
  files: Readonly<Record<string, string | Uint8Array>>,
  use: (folder: string) => Promise<T>,
) =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "sub"));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return use(folder);
  });

/** What reading the recipe `r.toml` fails with, without the folder. */
const failureOf = (files: Readonly<Record<string, string | Uint8Array>>, name = "r.toml") =>
  withFiles(files, async (folder) => {
    const thrown = await readSources(join(folder, name)).catch((error: unknown) => error);
    if (!(thrown instanceof MatrixError)) throw new Error("it did not fail");
    const { code, message, hint, problems } = thrown;
    return JSON.parse(
      JSON.stringify({ code, message, hint, problems })
        .replaceAll(`${folder}/`, "")
        .replaceAll(folder, "."),
    );
  });

describe("files", () => {
  test("the recipes that a recipe extends come before it, in the order of the list and depth first", () =>
    withFiles(
      {
        "r.toml": 'extends = ["a.toml", "sub/b.toml"]\nname = "r"\n',
        "a.toml": 'extends = "c.toml"\nname = "a"\n',
        "sub/b.toml": 'extends = "../c.toml"\nname = "b"\n',
        "c.toml": 'name = "c"\n',
      },
      async (folder) => {
        const sources = await readSources(join(folder, "r.toml"));
        expect(sources.map(({ table }) => table)).toEqual(
          ["c", "a", "c", "b", "r"].map((name) => ({ name })),
        );
        expect(sources[3]).toMatchObject({
          folder: join(folder, "sub"),
          origin: { file: join(folder, "sub/b.toml"), text: 'extends = "../c.toml"\nname = "b"\n' },
        });
      },
    ));

  test("a byte order mark at the beginning of a file is dropped", () =>
    withFiles({ "r.toml": '\uFEFFname = "r"\n' }, async (folder) => {
      expect((await readSources(join(folder, "r.toml")))[0]?.table).toEqual({ name: "r" });
    }));

  test("recipes that extend each other are refused, with the whole circle", async () => {
    const files = { "r.toml": '\nextends = "a.toml"\n', "a.toml": 'extends = "r.toml"\n' };
    expect(await failureOf(files)).toMatchObject({
      code: "recipe_invalid",
      message: "a.toml: 1 problem",
      problems: [
        {
          file: "a.toml",
          line: 1,
          column: 11,
          key: "extends",
          message: "extends forms a circle: r.toml → a.toml → r.toml",
        },
      ],
    });
    expect(await failureOf({ "r.toml": 'extends = "r.toml"\n' })).toMatchObject({
      problems: [{ message: "extends forms a circle: r.toml → r.toml" }],
    });
  });

  test("a base that does not exist, or is not a path, is refused at its place", async () => {
    expect(await failureOf({ "r.toml": 'name = "r"\nextends = ["n.toml"]\n' })).toMatchObject({
      problems: [{ file: "r.toml", line: 2, column: 11, message: "no such file: n.toml" }],
    });
    expect(await failureOf({ "r.toml": "extends = 7\n" })).toMatchObject({
      problems: [{ message: "found 7; allowed: a path or a list of paths" }],
    });
    expect(await failureOf({ "r.toml": 'extends = ["a.toml", 7]\n', "a.toml": "" })).toMatchObject({
      problems: [{ message: 'found ["a.toml",7]; allowed: a path or a list of paths' }],
    });
  });

  test("a recipe that cannot be read is refused with the recipes that are near", async () => {
    const near = { "b.toml": "", "a.toml": "", "c.md": "" };
    expect(await failureOf(near)).toMatchObject({
      message: "cannot read the recipe r.toml: there is no such file",
      hint: "recipes in .: a.toml, b.toml",
    });
    expect(await failureOf({ "sub/x.toml": "" }, "sub")).toMatchObject({
      message: "cannot read the recipe sub: it is a folder",
      hint: "recipes in sub: x.toml",
    });
    const many = ["z", "k", "b", "x", "m", "a", "q", "d"].map((name) => `${name}.toml`);
    expect(await failureOf(Object.fromEntries(many.map((name) => [name, ""])))).toMatchObject({
      hint: `recipes in .: ${many.toSorted().join(", ")}`,
    });
    expect(await failureOf({})).not.toHaveProperty("hint");
    expect(await failureOf({ "r.toml": new Uint8Array([0xff, 0xfe]) })).toMatchObject({
      message: "cannot read the recipe r.toml: it is not UTF-8 text",
    });
  });

  test("a text that is not TOML is refused at its line and column, in one line", async () => {
    const failure = await failureOf({ "r.toml": 'name = "r"\nx = \n' });
    expect(failure).toMatchObject({
      message: "r.toml is not valid TOML",
      problems: [{ file: "r.toml", line: 2 }],
    });
    expect(failure.problems[0].message).toMatch(/^not valid TOML: [^\n]+$/);
  });
});

describe("overrides", () => {
  const tableOf = (override: string) => readOverride(override, "/cwd").table;

  test("the value of an override is TOML, or else text", () => {
    expect(tableOf("run.seed=7")).toEqual({ run: { seed: 7 } });
    expect(tableOf(" run.seed = 7 ")).toEqual({ run: { seed: 7 } });
    expect(tableOf("a=[1, 2]")).toEqual({ a: [1, 2] });
    expect(tableOf('a={ b = "c" }')).toEqual({ a: { b: "c" } });
    expect(tableOf("name=my run")).toEqual({ name: "my run" });
    expect(tableOf("name=")).toEqual({ name: "" });
    expect(tableOf('name=say "hi"')).toEqual({ name: 'say "hi"' });
    expect(tableOf("dataset.filter=row.a == 'b'")).toEqual({ dataset: { filter: "row.a == 'b'" } });
    expect(tableOf('models."gpt-4.1".model=x')).toEqual({ models: { "gpt-4.1": { model: "x" } } });
  });

  test("an override keeps its text and starts relative paths at the current folder", () => {
    expect(readOverride("run.seed=7", "/cwd")).toMatchObject({
      folder: "/cwd",
      origin: { override: "run.seed=7" },
    });
  });

  test("an override without a key, or with a wrong one, is refused with an example", () => {
    const hint = "write key.path=value, for example run.concurrency=500";
    const failureOfOverride = (override: string) => {
      try {
        readOverride(override, "/");
      } catch (thrown) {
        return thrown;
      }
      return null;
    };
    expect(failureOfOverride("trials")).toMatchObject({
      code: "usage",
      message: '"trials" is not an override',
      hint,
    });
    expect(failureOfOverride("=1")).toMatchObject({ message: '"=1" is not an override' });
    expect(failureOfOverride("a b=1")).toMatchObject({
      code: "usage",
      message: '"a b" is not a key path',
      hint,
    });
  });
});

test("a table that is written as TOML reads as the same table", async () => {
  const table = { name: "a", run: { seed: 1, list: [1, "x"] }, models: { "gpt-4.1": { a: true } } };
  await withFiles({ "r.toml": writeToml(table) }, async (folder) => {
    expect((await readSources(join(folder, "r.toml")))[0]?.table).toEqual(table);
  });
});

test("a recipe and an override may have 256 levels, also of a key path, and no more", async () => {
  const path = (levels: number) => Array.from({ length: levels }, () => "a").join(".");
  await withFiles({ "r.toml": `${path(256)} = 1\n` }, async (folder) =>
    expect(await readSources(join(folder, "r.toml"))).toHaveLength(1),
  );
  expect(readOverride(`${path(256)}=1`, "/").table).toHaveProperty("a");
  for (const levels of [257, 20_000]) {
    for (const text of [`${path(levels)} = 1\n`, `b = 1\n[${path(levels - 1)}]\nx = 1\n`])
      expect(await failureOf({ "r.toml": text })).toMatchObject({
        code: "recipe_invalid",
        message: "r.toml: 1 problem",
        problems: [{ file: "r.toml", key: "a", message: "it is nested more than 256 levels deep" }],
      });
    expect(() => readOverride(`${path(levels)}=1`, "/")).toThrow(
      `the override of "${path(30)}.…" is nested more than 256 levels deep`,
    );
  }
});
