import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type DatasetScan, type ScanOptions, scanDataset } from "../../src/dataset/scan.ts";
import type { DatasetSource } from "../../src/dataset/source.ts";
import type { MatrixError } from "../../src/error.ts";
import { IdDigest } from "../../src/task/id-digest.ts";
import { withFolder } from "../parts/folder.ts";
import { readRows, sourceOf } from "./rows.ts";

const TEN = Array.from({ length: 10 }, (_, n) => `{"n":${n},"k":"k${n}"}\n`).join("");

/** The scan of a file `d.jsonl`, or the error, with paths from the file's folder. */
async function scanOf(
  text: string,
  more: Partial<DatasetSource> = {},
  options: Partial<ScanOptions> = {},
): Promise<DatasetScan> {
  return withFolder(async (folder) => {
    await writeFile(join(folder, "d.jsonl"), text);
    const source = await sourceOf(join(folder, "d.jsonl"), more);
    return scanDataset(source, { trials: 1, ...options });
  });
}

async function refusalOf(
  text: string,
  more: Partial<DatasetSource> = {},
): Promise<{ message: string; hint: string | undefined; problems: string[] }> {
  const error = (await scanOf(text, more).catch((thrown) => thrown)) as MatrixError;
  expect(error.code).toBe("dataset_invalid");
  const name = (text: string | undefined) => text?.replace(/\/\S*\/(?=d\.jsonl)/g, "");
  return {
    message: name(error.message) ?? "",
    hint: error.hint,
    problems: error.problems.map(
      ({ file, line, message }) => `${name(file)}:${line} ${name(message)}`,
    ),
  };
}

function idsDigest(ids: readonly (string | number)[], trials = 1): string {
  const digest = new IdDigest();
  for (const id of ids) for (let trial = 0; trial < trials; trial++) digest.add(String(id), trial);
  return digest.hex;
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

test("a scan counts the rows and digests ids and contents in order", async () => {
  expect(await scanOf('{"k":"a"}\n\n{"k": "b"}\n', { idField: "k" }, { trials: 3 })).toEqual({
    rows: 2,
    digest: sha256('a\n{"k":"a"}\nb\n{"k": "b"}\n'),
    checkpointDigest: null,
    idsDigest: idsDigest(["a", "b"], 3),
  });
});

test.each<[more: Partial<DatasetSource>, numbers: number[]]>([
  [{ limit: 3 }, [0, 1, 2]],
  [{ filter: ({ n }) => Number(n) > 6 }, [7, 8, 9]],
  [{ filter: ({ n }) => Number(n) > 6, limit: 2 }, [7, 8]],
  [{ shard: { index: 1, count: 3 } }, [1, 4, 7]],
  [{ shard: { index: 1, count: 3 }, limit: 5 }, [1, 4]],
  [{ shard: { index: 2, count: 3 }, limit: 2 }, []],
])("a scan of %j has the rows of the run", async (more, numbers) => {
  const scan = await scanOf(TEN, more);
  const texts = numbers.map((n) => `${n}\n{"n":${n},"k":"k${n}"}\n`);
  expect(scan).toMatchObject({
    rows: numbers.length,
    digest: sha256(texts.join("")),
    idsDigest: idsDigest(numbers),
  });
});

test.each<[checkpoint: number, found: boolean]>([
  [0, true],
  [1, true],
  [10, true],
  [11, false],
])("the digest after %p rows of ten is found: %p", async (checkpoint, found) => {
  const { checkpointDigest } = await scanOf(TEN, {}, { checkpoint });
  const begun = TEN.split("\n").slice(0, checkpoint);
  expect(checkpointDigest).toBe(
    found ? sha256(begun.map((line, n) => `${n}\n${line}\n`).join("")) : null,
  );
});

test("a dataset has the digest of a checkpoint in a longer one that begins alike", async () => {
  const short = await scanOf('{"k":"a"}\n{"k":"b"}\n');
  const at = async (text: string) =>
    (await scanOf(text, {}, { checkpoint: short.rows })).checkpointDigest;
  expect(await at('{"k":"a"}\n{"k":"b"}\n{"k":"c"}\n')).toBe(short.digest);
  expect(await at('{"k":"a"}\n{"k":"B"}\n{"k":"c"}\n')).not.toBe(short.digest);
});

test("a scan of a shuffled dataset digests all rows, and knows the ids that a limit leaves", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "d.jsonl"), TEN);
    const all = await sourceOf(join(folder, "d.jsonl"), { shuffle: 4, idField: "k" });
    const whole = await scanDataset(all, { trials: 1, checkpoint: 5 });
    expect(whole).toMatchObject({ rows: 10, checkpointDigest: whole.digest });
    const more = [{ limit: 4 }, { limit: 10 }, { limit: 4, shard: { index: 0, count: 2 } }];
    for (const source of more.map((changes) => ({ ...all, ...changes }))) {
      const ids = (await readRows(source)).map(({ id }) => id);
      expect(await scanDataset(source, { trials: 2 })).toEqual({
        rows: ids.length,
        digest: whole.digest,
        checkpointDigest: whole.digest,
        idsDigest: idsDigest(ids, 2),
      });
    }
  }));

test("a limited shuffled dataset must be sound behind its limit", async () => {
  const text = `${TEN}{\n`;
  expect((await scanOf(text, { limit: 10 })).rows).toBe(10);
  expect((await refusalOf(text, { limit: 10, shuffle: 1 })).problems).toHaveLength(1);
});

test("a scan reports its progress after each batch", async () => {
  const progress: number[] = [];
  await scanOf(TEN, {}, { onProgress: (rows) => progress.push(rows) });
  expect(progress).toEqual([10]);
});

test("a dataset without rows is refused, and a shard without rows is not", async () => {
  expect(await refusalOf("")).toEqual({
    message: "there are no rows in d.jsonl",
    hint: undefined,
    problems: [],
  });
  expect((await refusalOf(TEN, { filter: () => false })).message).toBe(
    "there are no rows in d.jsonl that pass dataset.filter",
  );
  expect((await scanOf('{"a":1}\n', { shard: { index: 1, count: 2 } })).rows).toBe(0);
});

test("a broken row is refused with its place", async () => {
  expect(await refusalOf('{"q": 1}\n[4]\n')).toEqual({
    message: "d.jsonl: 1 problem",
    hint: undefined,
    problems: ["d.jsonl:2 a row must be an object, found [4]"],
  });
});

test.each<[broken: number, shown: number, hint: string | undefined]>([
  [20, 20, undefined],
  [21, 20, "and 1 more"],
  [45, 20, "and 25 more"],
])("of %p problems %p are shown, with the hint %p", async (broken, shown, hint) => {
  const refusal = await refusalOf("[1]\n".repeat(broken));
  expect(refusal.message).toBe(`d.jsonl: ${broken} problems`);
  expect(refusal.problems).toHaveLength(shown);
  expect(refusal.hint).toBe(hint);
});

test("an id that is used twice is refused with both places", async () => {
  const refusal = await refusalOf('{"k":"a"}\n{"k":"b"}\n{"k":"a"}\n{"k":"b"}\n{"k":"a"}\n', {
    idField: "k",
  });
  expect(refusal).toEqual({
    message: "d.jsonl: 3 problems",
    hint: "and 1 more",
    problems: [
      'd.jsonl:5 the id "a" is used twice, first at d.jsonl:1',
      'd.jsonl:4 the id "b" is used twice, first at d.jsonl:2',
    ],
  });
});

test("an id that is used twice in two shards is refused in each", async () => {
  const text = '{"k":"a"}\n{"k":"a"}\n';
  for (const index of [0, 1])
    expect(
      (await refusalOf(text, { idField: "k", shard: { index, count: 2 } })).problems,
    ).toHaveLength(1);
});

test("row numbers as ids are not looked at for repetition", async () => {
  expect((await scanOf('{"k":"a"}\n{"k":"a"}\n')).rows).toBe(2);
});

test("a dataset of several files is named by its first file and their number", () =>
  withFolder(async (folder) => {
    for (const name of ["a.jsonl", "b.jsonl", "c.jsonl"]) await writeFile(join(folder, name), "");
    const source = await sourceOf(join(folder, "*.jsonl"));
    await expect(scanDataset(source, { trials: 1 })).rejects.toMatchObject({
      message: `there are no rows in ${join(folder, "a.jsonl")} and 2 more`,
    });
  }));

test("of many ids that are used twice the first 20 are shown", async () => {
  const ids = [...Array(25).keys()].map((n) => `{"k":"k${n}"}\n`).join("");
  const refusal = await refusalOf(ids + ids, { idField: "k" });
  expect(refusal.message).toBe("d.jsonl: 25 problems");
  expect(refusal.hint).toBe("and 5 more");
  expect(refusal.problems).toHaveLength(20);
  expect(refusal.problems[0]).toBe('d.jsonl:26 the id "k0" is used twice, first at d.jsonl:1');
  expect(refusal.problems[19]).toBe('d.jsonl:45 the id "k19" is used twice, first at d.jsonl:20');
});

test("a limit of 0 is named as the reason why there are no rows", async () => {
  await expect(scanOf(TEN, { limit: 0 })).rejects.toMatchObject({
    code: "dataset_invalid",
    message: "dataset.limit is 0, so the run would have no rows",
    hint: "set it to 1 or more, or leave it out for all rows",
  });
});
