import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetMetadata, parquetSchema } from "hyparquet";
import { readParquet } from "../../../src/dataset/parquet/read-parquet.ts";
import type { Columns, TableRow } from "../../../src/export/contract.ts";
import { openParquet } from "../../../src/export/files/parquet-file.ts";
import { argumentsOf } from "../../../src/export/tool-arguments.ts";
import { ExactNumber, parseJson } from "../../../src/task/exact.ts";
import type { JsonObject } from "../../../src/task/json.ts";
import { withFolder } from "../../parts/folder.ts";

interface File {
  readonly groups: readonly number[];
  readonly rows: readonly JsonObject[];
  readonly metadata: ReturnType<typeof parquetMetadata>;
}

async function fileOf(columns: Columns, rows: Iterable<TableRow>): Promise<File> {
  return withFolder(async (folder) => {
    const path = join(folder, "out.parquet");
    const file = await openParquet(path, columns);
    for (const row of rows) await file.write(row);
    await file.close();
    const bytes = await readFile(path);
    const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    const batches: (readonly JsonObject[])[] = [];
    for await (const batch of readParquet(path, null)) batches.push(batch as readonly JsonObject[]);
    const metadata = parquetMetadata(whole as ArrayBuffer);
    return {
      groups: metadata.row_groups.map(({ num_rows: count }) => Number(count)),
      rows: batches.flat(),
      metadata,
    };
  });
}

const COLUMNS: Columns = {
  text: "string",
  whole: "int64",
  real: "float64",
  flag: "bool",
  any: "json",
  texts: { list: "string" },
  flags: { list: "bool" },
  turns: { list: { struct: { from: "string", train: "bool" } } },
  place: { struct: { x: "float64" } },
};
const ROW: TableRow = {
  text: "ä",
  whole: 7,
  real: 0.5,
  flag: false,
  any: { deep: [1, null] },
  texts: ["a", ""],
  flags: [true, false],
  turns: [{ from: "gpt", train: true }],
  place: { x: 1.5 },
};

test("a row of every column type is read as it was written", async () => {
  expect((await fileOf(COLUMNS, [ROW])).rows).toEqual([ROW]);
});

test("JSON in a file has its numbers as they were read, whatever their size", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "out.parquet");
    const file = await openParquet(path, { row: "json", parts: { list: "json" } });
    const text = '{"id":12345678901234567890,"real":1.50,"deep":[{"n":-9007199254740993}]}';
    const row = parseJson(text) as JsonObject;
    await file.write({
      row: { ...row, real: new ExactNumber("1.50") },
      parts: [{ function: { arguments: argumentsOf('{"n": 1.0}') } }, 2n ** 80n],
    });
    await file.close();
    const bytes = await readFile(path, "latin1");
    expect(bytes).toContain(text);
    expect(bytes).toContain('{"function":{"arguments":{"n":1.0}}}');
    expect(bytes).toContain("1208925819614629174706176");
  });
});

test("missing values are null, and numbers of whole columns lose their fraction", async () => {
  const nothing = Object.fromEntries(Object.keys(COLUMNS).map((name) => [name, null]));
  expect((await fileOf(COLUMNS, [{}, { whole: 7.9 }, { whole: "text" }])).rows).toEqual([
    nothing,
    { ...nothing, whole: 7 },
    nothing,
  ]);
});

test("rows are written in groups of a thousand", async () => {
  const rows = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));
  const groupsOf = async (count: number) => (await fileOf({ n: "int64" }, rows(count))).groups;
  expect(await groupsOf(999)).toEqual([999]);
  expect(await groupsOf(1000)).toEqual([1000]);
  expect(await groupsOf(2001)).toEqual([1000, 1000, 1]);
});

test("a group of large rows is written at 16 Mi characters of JSON", async () => {
  const row = { text: "x".repeat(4 * 2 ** 20) };
  const { groups } = await fileOf({ text: "string" }, Array(5).fill(row));
  expect(groups).toEqual([4, 1]);
});

test("a file without rows has its columns", async () => {
  const { rows, metadata } = await fileOf({ a: "string", b: { list: "int64" } }, []);
  expect(rows).toEqual([]);
  expect(parquetSchema(metadata).children.map(({ element }) => element.name)).toEqual(["a", "b"]);
});

test("a file declares its columns as the datasets library declares them", async () => {
  const { metadata } = await fileOf(COLUMNS, []);
  expect(metadata.created_by).toBe("matrix");
  const [entry] = metadata.key_value_metadata ?? [];
  expect(entry?.key).toBe("huggingface");
  expect(JSON.parse(entry?.value ?? "")).toEqual({
    info: {
      features: {
        text: { dtype: "string", _type: "Value" },
        whole: { dtype: "int64", _type: "Value" },
        real: { dtype: "float64", _type: "Value" },
        flag: { dtype: "bool", _type: "Value" },
        any: { _type: "Json" },
        texts: { feature: { dtype: "string", _type: "Value" }, _type: "List" },
        flags: { feature: { dtype: "bool", _type: "Value" }, _type: "List" },
        turns: {
          feature: {
            from: { dtype: "string", _type: "Value" },
            train: { dtype: "bool", _type: "Value" },
          },
          _type: "List",
        },
        place: { x: { dtype: "float64", _type: "Value" } },
      },
    },
  });
});

test("lists have the three levels of Parquet's specification", async () => {
  const { metadata } = await fileOf({ texts: { list: "string" } }, []);
  expect(
    metadata.schema.map(({ name, repetition_type, num_children, converted_type, type }) => [
      ...[name, repetition_type, num_children, converted_type, type],
    ]),
  ).toEqual([
    ["schema", "REQUIRED", 1, undefined, undefined],
    ["texts", "OPTIONAL", 1, "LIST", undefined],
    ["list", "REPEATED", 1, undefined, undefined],
    ["element", "OPTIONAL", undefined, "UTF8", "BYTE_ARRAY"],
  ]);
});

test("a file in a folder that does not exist is a storage error", async () => {
  const nowhere = "/nowhere/at/all/out.parquet";
  await expect(openParquet(nowhere, COLUMNS)).rejects.toMatchObject({ code: "storage_failed" });
});

test("images and audio are bytes with a name, or an address, and declared as datasets does", async () => {
  const png = Buffer.from("iVBORw0KGgo=", "base64");
  const { rows, metadata } = await fileOf({ images: { list: "image" }, sound: "audio" }, [
    {
      images: [`data:image/png;base64,${png.toString("base64")}`, "https://example.org/a.png"],
      sound: "data:audio/wav;base64,UklGRg==",
    },
    { images: [], sound: null },
  ]);
  const digest = new Bun.CryptoHasher("sha256").update(png).digest("hex").slice(0, 16);
  expect(rows).toMatchObject([
    {
      images: [{ path: `${digest}.png` }, { bytes: null, path: "https://example.org/a.png" }],
      sound: { path: expect.stringMatching(/^[0-9a-f]{16}\.wav$/) },
    },
    { images: [], sound: null },
  ]);
  const [entry] = metadata.key_value_metadata ?? [];
  expect(JSON.parse(entry?.value ?? "")).toEqual({
    info: {
      features: {
        images: { feature: { _type: "Image" }, _type: "List" },
        sound: { decode: false, _type: "Audio" },
      },
    },
  });
});
