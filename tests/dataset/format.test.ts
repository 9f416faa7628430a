import { expect, test } from "bun:test";
import {
  type Compression,
  describeName,
  type Format,
  isDataFile,
} from "../../src/dataset/format.ts";

test.each<[name: string, format: Format | null, compression: Compression]>([
  ["d.jsonl", "jsonl", null],
  ["d.ndjson", "jsonl", null],
  ["d.json", "json", null],
  ["d.csv", "csv", null],
  ["d.parquet", "parquet", null],
  ["/a.csv/D.JSONL", "jsonl", null],
  ["d.jsonl.gz", "jsonl", "gz"],
  ["d.csv.zst", "csv", "zst"],
  ["d.tar.gz", null, "gz"],
  ["d.gz", null, "gz"],
  ["d.txt", null, null],
  ["jsonl", "jsonl", null],
  ["d.jsonl.bz2", "jsonl", "bz2"],
  ["d.tsv.xz", "tsv", "xz"],
  ["d.jsonl.lzma", null, null],
  ["d", null, null],
])("the name %s tells the format %p and the compression %p", (name, format, compression) => {
  expect(describeName(name)).toEqual({ format, compression });
  expect(isDataFile(name)).toBe(format !== null);
});
