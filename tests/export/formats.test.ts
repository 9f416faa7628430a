import { expect, test } from "bun:test";
import { FORMATS } from "../../src/export/formats.ts";
import { formatOptions } from "./made.ts";

test("the formats of an export, with their endings and forms, are a contract", () => {
  const table = Object.entries(FORMATS).map(([name, { endings, only, reads }]) => [
    name,
    endings.join(" "),
    only ?? "-",
    reads,
  ]);
  expect(table).toEqual([
    ["openai", ".jsonl", "-", "conversations"],
    ["sharegpt", ".jsonl .parquet", "-", "conversations"],
    ["trl-sft", ".jsonl .parquet", "-", "conversations"],
    ["trl-dpo", ".jsonl .parquet", "-", "conversations"],
    ["trl-kto", ".jsonl .parquet", "-", "conversations"],
    ["trl-prompt", ".jsonl .parquet", "-", "conversations"],
    ["verl", ".parquet", "-", "conversations"],
    ["verl-sft", ".parquet", "-", "conversations"],
    ["openrlhf", ".jsonl .parquet", "-", "conversations"],
    ["ms-swift", ".jsonl .parquet", "-", "conversations"],
    ["parquet", ".parquet", "-", "conversations"],
    ["hf", ".parquet", "folder", "conversations"],
    ["tau2", ".json", "file", "records"],
  ]);
});

test("every format says in a line of help what it is for", () => {
  for (const { about } of Object.values(FORMATS)) {
    expect(about.length).toBeGreaterThan(20);
    expect(about.length).toBeLessThan(90);
  }
});

test("--structs changes the formats whose columns may hold JSON", () => {
  const names = Object.entries(FORMATS).filter(([, { structs }]) => structs);
  expect(names.map(([name]) => name)).toEqual([
    "trl-sft",
    "trl-dpo",
    "trl-kto",
    "trl-prompt",
    "openrlhf",
    "ms-swift",
    "parquet",
    "hf",
  ]);
});

test("--structs changes no column of a format that has no use for it", () => {
  for (const [name, format] of Object.entries(FORMATS)) {
    const [json, structs] = [false, true].map((wanted) =>
      format.columns(formatOptions({ structs: wanted })),
    );
    if (!format.structs) expect(structs, name).toEqual(json as never);
  }
});
