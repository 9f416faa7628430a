// CSV and JSON that Python wrote: rows are those of pandas, and numbers keep every digit.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CSV_DEFAULTS, type CsvSettings } from "../../../src/dataset/csv.ts";
import { findFiles } from "../../../src/dataset/files.ts";
import type { JsonObject } from "../../../src/task/json.ts";
import { readRows, sourceOf } from "../../dataset/rows.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";

const PYTHON = join(ROOT, ".tools/python/bin/python");

interface Case {
  readonly name: string;
  readonly csv: Partial<CsvSettings>;
  readonly rows: readonly JsonObject[];
}

function python(...args: readonly string[]): string {
  return Bun.spawnSync([PYTHON, join(import.meta.dir, "text.py"), ...args]).stderr.toString();
}

test("CSV in every dialect, encoding and compression has the rows of pandas, and JSON its digits", () =>
  withFolder(async (folder) => {
    if (!existsSync(PYTHON)) {
      console.log("skipped: no Python environment: run scripts/python-env");
      return;
    }
    expect(python("write", folder)).toBe("");
    const cases = JSON.parse(await readFile(join(folder, "cases.json"), "utf8")) as Case[];
    expect(cases).toHaveLength(31);
    for (const { name, csv, rows } of cases) {
      const path = join(folder, name);
      const files = await findFiles([path], undefined, { ...CSV_DEFAULTS, ...csv });
      const read = await readRows({ ...(await sourceOf(path)), files });
      expect([name, read.map(({ row }) => row)]).toEqual([name, [...rows]]);
    }
    const numbers = join(folder, "numbers.jsonl");
    const read = await readRows(await sourceOf(numbers));
    const again = read.map(({ row }) => `${JSON.stringify(row)}\n`).join("");
    await writeFile(join(folder, "again.jsonl"), again);
    expect(python("numbers", numbers, join(folder, "again.jsonl"))).toBe("");
  }));
