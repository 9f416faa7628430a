import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Card, renderCard } from "../../src/export/card.ts";
import { ExportTally } from "../../src/export/tally.ts";
import { version } from "../../src/version.ts";
import { withFolder } from "../parts/folder.ts";
import { SECRET, withSecret } from "../parts/secret.ts";
import { manifestOf, perspectiveOf } from "./made.ts";

/** The lines of the card of an export with files of 10 and 4 bytes. */
async function linesOf(changes: Partial<Card> = {}, recipe = ""): Promise<string[]> {
  return withFolder(async (folder) => {
    const [train, test] = [join(folder, "train.parquet"), join(folder, "test.parquet")];
    await writeFile(train, "0123456789");
    await writeFile(test, "0123");
    if (recipe !== "") await writeFile(join(folder, "recipe.toml"), recipe);
    const sources = changes.sources ?? [
      { directory: folder, manifest: manifestOf(), perspective: null },
    ];
    const card = await renderCard({
      name: "talks",
      format: "parquet",
      columns: null,
      license: null,
      splits: [
        { name: "train", path: train, examples: 3 },
        { name: "test", path: test, examples: 1 },
      ],
      tally: new ExportTally(),
      ...changes,
      sources: sources.map((source) => ({ ...source, directory: folder })),
    });
    return card.split("\n");
  });
}

/** The values of the head, by key. */
function headOf(lines: readonly string[]): Record<string, unknown> {
  const head = lines.slice(1, lines.indexOf("---", 1));
  return Object.fromEntries(
    head.map((line) => [
      line.slice(0, line.indexOf(":")),
      JSON.parse(line.slice(line.indexOf(":") + 1)),
    ]),
  );
}

test("the head of a card lists the files of its splits, its size class and its tags", async () => {
  const lines = await linesOf();
  expect(lines[0]).toBe("---");
  expect(headOf(lines)).toEqual({
    pretty_name: "talks",
    tags: ["synthetic", "matrix"],
    size_categories: ["n<1K"],
    configs: [
      {
        config_name: "default",
        data_files: [
          { split: "train", path: "train.parquet" },
          { split: "test", path: "test.parquet" },
        ],
      },
    ],
  });
});

test("the head of a card states the licence and the types of all columns", async () => {
  const lines = await linesOf({
    license: "mit",
    columns: {
      id: "string",
      texts: { list: "string" },
      flags: { list: { list: "bool" } },
      turns: { list: { struct: { from: "string" } } },
      place: { struct: { x: "float64" } },
    },
  });
  const head = headOf(lines);
  expect(Object.keys(head)[0]).toBe("license");
  expect(head).toMatchObject({
    license: "mit",
    dataset_info: {
      features: [
        { name: "id", dtype: "string" },
        { name: "texts", list: "string" },
        { name: "flags", list: { list: "bool" } },
        { name: "turns", list: [{ name: "from", dtype: "string" }] },
        { name: "place", struct: [{ name: "x", dtype: "float64" }] },
      ],
      splits: [
        { name: "train", num_bytes: 10, num_examples: 3 },
        { name: "test", num_bytes: 4, num_examples: 1 },
      ],
      download_size: 14,
      dataset_size: 14,
    },
  });
});

test.each([
  [999, "n<1K"],
  [1000, "1K<n<10K"],
  [9999, "1K<n<10K"],
  [10_000, "10K<n<100K"],
  [99_999, "10K<n<100K"],
  [100_000, "100K<n<1M"],
  [1_000_000, "1M<n<10M"],
  [10_000_000, "10M<n<100M"],
  [100_000_000, "100M<n<1B"],
  [2_000_000_000, "100M<n<1B"],
])("a card with %p examples has the size class %s", async (examples, category) => {
  const [split] = [{ name: "train", path: import.meta.path, examples }];
  const lines = await linesOf({ splits: [split, { ...split, examples: 0 }] });
  expect(headOf(lines)["size_categories"]).toEqual([category]);
});

test("a card warns first of all that a model was simulated", async () => {
  const tally = new ExportTally();
  tally.simulated = true;
  const lines = await linesOf({ tally });
  expect(headOf(lines)["tags"]).toEqual(["synthetic", "matrix", "simulated"]);
  const body = lines.slice(lines.indexOf("---", 1) + 1);
  expect(body.slice(0, 5)).toEqual([
    "",
    "# talks",
    "",
    "> **Simulated.** Answers in this dataset come from a simulated model. " +
      "Use it to try things out and not to train a model.",
    "",
  ]);
});

test("a card of real models has no warning", async () => {
  expect((await linesOf()).filter((line) => /simulated/i.test(line))).toEqual([]);
});

test("a card's body has format, splits, runs, records left out, models and licences", async () => {
  const tally = new ExportTally();
  tally.records = 9;
  tally.leftOut.not_ok = 2;
  tally.leftOut.near_duplicate = 1;
  tally.models.set("m|1", { answers: 4, completionTokens: 70 });
  const sources = [
    { directory: "", manifest: manifestOf({ name: "a|b" }), perspective: perspectiveOf() },
  ];
  const lines = await linesOf({ tally, sources, license: "mit" });
  expect(lines.slice(lines.indexOf("---", 1) + 1)).toEqual([
    "",
    "# talks",
    "",
    `Made with matrix ${version}, exported as \`parquet\`.`,
    "",
    "| split | examples |",
    "| --- | ---: |",
    "| train | 3 |",
    "| test | 1 |",
    "",
    "## Where it comes from",
    "",
    "| run | records | seed | trials a row | rows | made |",
    "| --- | ---: | ---: | ---: | ---: | --- |",
    "| a\\|b | 6 | 9 | 2 | 4 | 2026-11-24 |",
    "",
    "Of 9 records, left out: 2 not ok, 1 near duplicate.",
    "",
    "| model | answers | tokens |",
    "| --- | ---: | ---: |",
    "| m\\|1 | 4 | 70 |",
    "",
    "In a|b, `student` is the assistant, trained on; `teacher` is the user.",
    "",
    "## Licences",
    "",
    "- this dataset: mit",
    "- the rows that it was made from: not stated yet",
    "- m|1, on what its answers may be used for: not stated yet",
    "",
  ]);
});

test("a card names the parts of two runs of one recipe once", async () => {
  const source = { directory: "", manifest: manifestOf(), perspective: perspectiveOf() };
  const lines = await linesOf({ sources: [source, source] });
  expect(lines.filter((line) => line.startsWith("In talk, "))).toHaveLength(1);
});

test("a card says that no record was left out, and that no licence is stated", async () => {
  const lines = await linesOf();
  expect(lines).toContain("Of 0 records, left out: none.");
  expect(lines).toContain("- this dataset: not stated yet");
  expect(lines.some((line) => line.startsWith("In "))).toBe(false);
  expect(Object.keys(headOf(lines))).not.toContain("license");
});

test("a card ends with the recipe, whose absolute paths are cut to their last name", async () => {
  const recipe = 'prompt = "/home/me/secret/p.md"\nroot = "/r"\nrelative = "a/b.md"\n\n';
  const lines = await linesOf({}, recipe);
  const start = lines.indexOf("<details>");
  expect(lines.slice(start)).toEqual([
    "<details>",
    "<summary>Recipe of talk</summary>",
    "",
    "```toml",
    'prompt = "…/p.md"',
    'root = "…/r"',
    'relative = "a/b.md"',
    "```",
    "",
    "</details>",
    "",
  ]);
});

test("a known secret is masked in the recipe of a card", () =>
  withSecret(async () => {
    const lines = await linesOf({}, `name = "x"\nkey = "${SECRET}"\n`);
    expect(lines).toContain('key = "[KNOWN]"');
    expect(lines.join("\n")).not.toContain(SECRET);
  }));
