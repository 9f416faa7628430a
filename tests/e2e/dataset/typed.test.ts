// Parquet and Arrow files that pyarrow wrote: every row is the one that pyarrow reads.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseJson } from "../../../src/task/exact.ts";
import type { JsonObject } from "../../../src/task/json.ts";
import { readRows, sourceOf } from "../../dataset/rows.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";

/** Files with some of the columns. */
const FEW: Readonly<Record<string, number>> = { "int96.parquet": 3, one: 6, split: 6 };
const PYTHON = join(ROOT, ".tools/python/bin/python");

test("Parquet and Arrow of every type, encoding and compression have the rows of pyarrow", () =>
  withFolder(async (folder) => {
    if (!existsSync(PYTHON)) {
      console.log("skipped: no Python environment: run scripts/python-env");
      return;
    }
    const script = join(import.meta.dir, "typed.py");
    expect(Bun.spawnSync([PYTHON, script, folder]).stderr.toString()).toBe("");
    const lines = (await readFile(join(folder, "rows.jsonl"), "utf8")).trim().split("\n");
    const expected = lines.map((line) => parseJson(line) as JsonObject);
    const names = (await readdir(folder)).filter((name) => name !== "rows.jsonl");
    expect(names).toHaveLength(16);
    for (const name of names) {
      const source = await sourceOf(join(folder, name));
      if (name === "twice.parquet") {
        await expect(readRows(source)).rejects.toMatchObject({
          problems: [{ message: expect.stringContaining('the column "a" more than once') }],
        });
        continue;
      }
      const rows = await readRows(source);
      const fields = Object.keys(rows[0]?.row ?? {});
      expect([name, fields.length]).toEqual([
        name,
        FEW[name] ?? (name.endsWith(".parquet") ? 44 : 46),
      ]);
      expect(rows.map(({ row }) => row)).toEqual(
        expected.map((row) =>
          Object.fromEntries(fields.map((field) => [field, row[field] ?? null])),
        ),
      );
    }
  }));
