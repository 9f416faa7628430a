import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { readParquet } from "../../src/dataset/parquet.ts";
import { scanDataset } from "../../src/dataset/scan.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { writeTexts } from "./parquet-file.ts";
import { readRows, sourceOf } from "./rows.ts";

type Written = Parameters<typeof parquetWriteBuffer>[0];

/** The rows of a file that was written with these options. */
async function rowsOf(written: Written): Promise<readonly JsonObject[]> {
  return withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    await writeFile(path, new Uint8Array(parquetWriteBuffer(written)));
    const rows: JsonObject[] = [];
    for await (const batch of readParquet(path, null)) rows.push(...batch);
    return rows;
  });
}

test.each<[type: string, data: readonly unknown[], values: readonly Json[]]>([
  [
    "INT64",
    [2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n) + 1n, -(2n ** 53n), 0n],
    [9007199254740991, "9007199254740992", -9007199254740991, "-9007199254740992", 0],
  ],
  ["DOUBLE", [1.5, Number.NaN, Number.POSITIVE_INFINITY, -0.5], [1.5, null, null, -0.5]],
  ["BOOLEAN", [true, false, null], [true, false, null]],
  [
    "TIMESTAMP",
    [new Date(0), new Date(1)],
    ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.001Z"],
  ],
  [
    "BYTE_ARRAY",
    [new Uint8Array([0xff, 0xfe]), Buffer.from("ä"), new Uint8Array()],
    ["//4=", "ä", ""],
  ],
  ["STRING", ["ä", "", null], ["ä", "", null]],
  ["JSON", [{ a: { b: null } }, [1], "t"], [{ a: { b: null } }, [1], "t"]],
])("values of the type %s become JSON", async (type, data, values) => {
  const column = { name: "v", data: [...data], type, nullable: true };
  const rows = await rowsOf({ columnData: [column as Written["columnData"][number]] });
  expect(rows).toEqual(values.map((v) => ({ v })));
});

test("lists of Parquet become lists whose values are JSON", async () => {
  const schema: Written["schema"] = [
    { name: "root", num_children: 1 },
    { name: "v", repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    { name: "element", repetition_type: "OPTIONAL", type: "INT64" },
  ];
  const data = [[1n, null, 2n ** 60n], []];
  expect(await rowsOf({ schema, columnData: [{ name: "v", data }] })).toEqual([
    { v: [1, null, "1152921504606846976"] },
    { v: [] },
  ]);
});

test("a time of Parquet beyond the calendar becomes null", async () => {
  const schema: Written["schema"] = [
    { name: "root", num_children: 1 },
    { name: "v", type: "INT64", repetition_type: "REQUIRED", converted_type: "TIMESTAMP_MILLIS" },
  ];
  const data = [2n ** 62n, 0n];
  expect(await rowsOf({ schema, columnData: [{ name: "v", data }] })).toEqual([
    { v: null },
    { v: "1970-01-01T00:00:00.000Z" },
  ]);
});

test("Parquet is read in batches, one for each row group", () =>
  withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    writeTexts(path, 3, (row) => `text ${row}`);
    const batches: (readonly JsonObject[])[] = [];
    for await (const batch of readParquet(path, null)) batches.push(batch);
    expect(batches.map(({ length }) => length)).toEqual([100, 100, 100]);
    expect(batches.flat()).toEqual(
      Array.from({ length: 300 }, (_, k) => ({ k, text: `text ${k}` })),
    );
  }));

test("chosen columns of Parquet are read in the order of the file", () =>
  withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    writeTexts(path, 1, (row) => `text ${row}`);
    const first = async (columns: readonly string[]) => {
      for await (const [row] of readParquet(path, columns)) return JSON.stringify(row);
      return null;
    };
    expect(await first(["text"])).toBe('{"text":"text 0"}');
    expect(await first(["text", "k"])).toBe('{"k":0,"text":"text 0"}');
    await expect(first(["k", "question"])).rejects.toThrow(
      'the file has no column "question"; columns: k, text',
    );
  }));

test("Parquet is a dataset: it is shuffled, sharded, and has ids and line numbers", () =>
  withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    writeTexts(path, 2, (row) => `text ${row}`);
    const shuffled = await readRows(await sourceOf(path, { shuffle: 1, idField: "k" }));
    const ids = shuffled.map(({ id }) => Number(id));
    expect(ids).not.toEqual(ids.toSorted((a, b) => a - b));
    expect(new Set(ids).size).toBe(200);
    const shard = await readRows(
      await sourceOf(path, { shard: { index: 1, count: 2 }, columns: ["text"] }),
    );
    expect(shard[0]?.row).toEqual({ text: "text 1" });
    const ragged = await sourceOf(path, { filter: ({ k }) => k !== 3, idField: "none" });
    await expect(scanDataset(ragged, { trials: 1 })).rejects.toMatchObject({
      problems: expect.arrayContaining([expect.objectContaining({ line: 5 })]),
    });
  }));

test("Parquet that is damaged, empty or in another format is refused and not read in part", () =>
  withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    writeTexts(path, 2, (row) => `text ${row}`);
    const whole = Buffer.from(await Bun.file(path).arrayBuffer());
    for (const bytes of [
      whole.subarray(0, -20),
      whole.subarray(20),
      Buffer.from("PAR1"),
      Buffer.alloc(0),
    ]) {
      await writeFile(path, bytes);
      const scan = sourceOf(path).then((source) => scanDataset(source, { trials: 1 }));
      await expect(scan).rejects.toMatchObject({ code: "dataset_invalid" });
    }
  }));

test("a run reads the split of a folder that its recipe names", () =>
  withFolder(async (folder) => {
    for (const name of ["data/train.parquet", "data/test.parquet"]) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      writeTexts(join(folder, name), 1, (row) => `${name} ${row}`);
    }
    await writeFile(
      join(folder, "a.ts"),
      "export default ({ row }) => ({ text: row.text, score: 1 });\n",
    );
    await writeFile(
      join(folder, "r.toml"),
      `name = "p"
dataset = { path = "data/train", columns = ["text"] }
roles.a.agent = "a.ts"
orchestrator = { pattern = "sequence", roles = ["a"] }
`,
    );
    const { stdout, stderr } = await matrix(["drive", "r.toml", "-q"], { cwd: folder });
    expect(stderr).toBe("");
    expect(stdout).toContain("expected 100 = ok 100");
    const { stdout: shown } = await matrix(["show", "runs/p", "7"], { cwd: folder });
    expect(shown).toContain("text: data/train.parquet 7");
    expect(shown).not.toContain("k:");
  }));
