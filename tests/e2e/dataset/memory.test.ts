// A dataset of 300 MB is read in little memory.

import { expect, test } from "bun:test";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { createGzip } from "node:zlib";
import { writeTexts } from "../../dataset/parquet-file.ts";
import { sourceOf } from "../../dataset/rows.ts";
import { withFolder } from "../../parts/folder.ts";
import { scanInMemory } from "./memory.ts";

test("300 MB of compressed lines are read in less than 150 MiB", () =>
  withFolder(async (folder) => {
    const path = join(folder, "large.jsonl.gz");
    const gzip = createGzip({ level: 1 });
    const written = new Promise((resolve) =>
      gzip.pipe(createWriteStream(path)).on("finish", resolve),
    );
    const line = JSON.stringify({ text: "x".repeat(20_000) });
    for (let i = 0; i < 15_000; i++)
      if (!gzip.write(`${line}\n`)) await new Promise((resolve) => gzip.once("drain", resolve));
    gzip.end();
    await written;
    const source = await sourceOf(path);
    const { rows, mostMiB } = await scanInMemory(source, 64);
    expect(rows).toBe(15_000);
    expect(mostMiB).toBeLessThan(150);
  }));

test("a Parquet row group of 300 MB is read in less than half of its size", () =>
  withFolder(async (folder) => {
    const path = join(folder, "large.parquet");
    writeTexts(path, 1, (row) => `${row} ${"x".repeat(3_000_000)}`);
    const { rows, mostMiB } = await scanInMemory(await sourceOf(path), 8);
    expect(rows).toBe(100);
    expect(mostMiB).toBeLessThan(150);
  }));

test("300 MB of Parquet are read in the memory of the largest row group", () =>
  withFolder(async (folder) => {
    const path = join(folder, "large.parquet");
    writeTexts(path, 150, (row) => `${row} ${"x".repeat(20_000)}`);
    const source = await sourceOf(path);
    const { rows, mostMiB } = await scanInMemory(source, 8);
    expect(rows).toBe(15_000);
    expect(mostMiB).toBeLessThan(150);
  }));
