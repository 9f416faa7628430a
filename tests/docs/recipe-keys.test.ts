// The reference of recipe keys: it is what the schemas say, and its examples are valid.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import * as v from "valibot";
import { keysOf } from "../../scripts/generators/keys.ts";
import {
  exampleOf,
  PAGE,
  renderRecipeKeys,
  SECTIONS,
} from "../../scripts/generators/recipe-keys.ts";
import { FREE_KEYS, GROWING_KEYS, PATH_KEYS } from "../../src/recipe/keys.ts";
import { recipeSchema } from "../../src/recipe/schema/schema.ts";
import type { Json } from "../../src/task/json.ts";

/**
 * Section titles as `models.*`, so that keys of the program can be compared with keys of the page.
 */
const tableOf = (header: string | null) =>
  (header ?? "").replace(/^(models|sandboxes|roles)\..*$/, "$1.*");

describe("docs/recipe-keys.md", () => {
  test("the page is what scripts/generate writes", () => {
    expect(readFileSync(PAGE, "utf8")).toBe(renderRecipeKeys());
  });

  test("every table of a recipe has a section", () => {
    const tables = Object.keys(recipeSchema.entries).filter((key) => key !== "name");
    const shown = new Set(SECTIONS.map(({ header }) => header?.split(".")[0]));
    expect(tables.filter((table) => !shown.has(table))).toEqual([]);
  });

  test("every text of a key is one or more whole sentences", () => {
    const texts = SECTIONS.flatMap(({ schema }) => keysOf(schema).map(({ text }) => text));
    expect(texts.filter((text) => !/^[A-Z`].*\.$/s.test(text))).toEqual([]);
  });

  test("every example of a key is a value that its schema takes", () => {
    const wrong = SECTIONS.flatMap(({ anchor, schema }) =>
      keysOf(schema).flatMap(({ path, examples, schema }) =>
        examples
          .filter((example) => !v.safeParse(schema, example).success)
          .map((example) => `${anchor}: ${path} = ${JSON.stringify(example)}`),
      ),
    );
    expect(wrong).toEqual([]);
  });

  test.each(SECTIONS.map((section) => [section.anchor, section] as const))(
    "the example of %s is TOML that its schema takes",
    (_anchor, { header, schema }) => {
      let table: Json | undefined = parse(exampleOf(header, schema, keysOf(schema))) as Json;
      for (const name of header?.split(".") ?? [])
        table = (table as Record<string, Json> | undefined)?.[name];
      expect(v.safeParse(schema as v.GenericSchema, table).issues ?? []).toEqual([]);
    },
  );

  test("every key that the program treats as a path or as changeable is on the page", () => {
    const known = new Set(
      SECTIONS.flatMap(({ header, schema }) =>
        keysOf(schema).map(({ path }) =>
          [tableOf(header), path.replace("[]", ".*")].filter((part) => part !== "").join("."),
        ),
      ),
    );
    // A list of paths and the parts of an expectation are on the page as the key above them.
    const wanted = [...PATH_KEYS, ...FREE_KEYS, ...GROWING_KEYS].map((key) =>
      key
        .replace(/^(dataset\.path|models\.\*\.expect|roles\.\*\.files)\.\*$/, "$1")
        .replace(/^(python\.command|roles\.\*\.python)\.0$/, "$1"),
    );
    expect(wanted.filter((key) => !known.has(key))).toEqual([]);
  });
});
