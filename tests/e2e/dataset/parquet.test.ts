// Parquet files that pyarrow wrote.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readRows, sourceOf } from "../../dataset/rows.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";

test("Parquet of every compression and column type is read as pyarrow wrote it", () =>
  withFolder(async (folder) => {
    if (!existsSync(PYTHON)) {
      console.log("skipped: no Python environment: run scripts/python-env");
      return;
    }
    expect(
      Bun.spawnSync([PYTHON, join(import.meta.dir, "parquet.py"), folder]).stderr.toString(),
    ).toBe("");
    for (const codec of ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]) {
      const rows = await readRows(await sourceOf(join(folder, `${codec}.parquet`)));
      expect(rows).toHaveLength(2500);
      expect(rows[2001]?.row).toEqual({
        k: "row 2001",
        n: 2001,
        big: String(2n ** 60n + 2001n),
        x: 250.125,
        nan: null,
        day: "2026-01-02T00:00:00.000Z",
        at: "2026-01-02T03:04:05.000Z",
        price: 1.25,
        options: ["2001", null, "ж"],
        turns: [{ role: "user", content: "hi" }],
        image: { bytes: Buffer.from("\x89PNG\xff", "latin1").toString("base64"), path: "a.png" },
        label: "b",
      });
    }
  }));

const PYTHON = join(ROOT, ".tools/python/bin/python");
