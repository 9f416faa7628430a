// `matrix verify` by the checksums of the index finds what it finds by parsing every record.

import { expect, test } from "bun:test";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RunIndex } from "../../../src/records/index/run-index.ts";
import { StoredIndex } from "../../../src/records/index/stored-index.ts";
import { takeWrittenLines } from "../../../src/records/index/written-lines.ts";
import { RunDirectory } from "../../../src/records/run-directory.ts";
import { verifyRun } from "../../../src/records/verify.ts";
import { withFolder } from "../../parts/folder.ts";
import { failedRecordOf, identityOf, manifestOf, recordedOf, recordOf } from "../made.ts";

const RECORDS = [recordOf("żółw"), failedRecordOf("b"), recordOf("c"), recordOf("d")];

async function writeRun(folder: string): Promise<string> {
  const { expected, dataset } = manifestOf(RECORDS);
  const run = await RunDirectory.open(folder, {
    identity: identityOf({ expected, dataset }),
    recipeText: "",
    checkpointDigest: "digest",
    fresh: false,
  });
  for (const record of RECORDS) await run.append([[JSON.stringify(record)]], [recordedOf(record)]);
  await run.close("complete");
  return join(folder, "trajectories.jsonl");
}

async function taken(folder: string): Promise<string[]> {
  const path = join(folder, "trajectories.jsonl");
  const index = (await StoredIndex.open(folder, path)) ?? expect.unreachable();
  const ids: string[] = [];
  const end = await takeWrittenLines(index, path, ({ id }, line) => ids.push(`${line} ${id}`));
  index.close();
  expect(end.lines).toBe(ids.length);
  return ids;
}

test("records that are as the sink wrote them are known with what the accounting needs", () =>
  withFolder(async (folder) => {
    const path = await writeRun(folder);
    const index = (await StoredIndex.open(folder, path)) ?? expect.unreachable();
    const records: unknown[] = [];
    const end = await takeWrittenLines(index, path, (record) => records.push(record));
    index.close();
    expect(records).toEqual(
      RECORDS.map(({ id, trial, seed, attempt, status }) => ({ id, trial, seed, attempt, status })),
    );
    expect(end).toEqual({ offset: (await readFile(path)).length, lines: 4 });
  }));

const EDITS: Readonly<Record<string, (text: string) => string>> = {
  nothing: (text) => text,
  "a usage that does not add up": (text) =>
    text.replace('"prompt_tokens":30', '"prompt_tokens":31'),
  "another score": (text) => text.replace('"score":1', '"score":2'),
  "another seed": (text) => text.replace(/"seed":(\d)/, (_, digit) => `"seed":${9 - digit}`),
  "a status": (text) => text.replace('"status":"failed"', '"status":"lost"'),
  "a record less": (text) => text.split("\n").toSpliced(1, 1).join("\n"),
  "a record more": (text) => `${text}${text.split("\n")[1]}\n`,
  "a torn record": (text) => text.slice(0, -20),
  "two records that changed places": (text) => {
    const [a, b, ...others] = text.split("\n");
    return [b, a, ...others].join("\n");
  },
};

for (const [name, edit] of Object.entries(EDITS))
  test(`verify by checksums finds the same as by parsing, after the edit: ${name}`, () =>
    withFolder(async (folder) => {
      const path = await writeRun(folder);
      await writeFile(path, edit(await readFile(path, "utf8")));
      const byParsing = await verifyRun(folder, null, { full: true });
      expect(await verifyRun(folder, null, { full: false })).toEqual(byParsing);
      if (name === "nothing" || name === "another score")
        expect(byParsing).toMatchObject({ complete: true, findings: [] });
    }));

test("a record in the middle that was changed in place ends what is known by checksums", () =>
  withFolder(async (folder) => {
    const many = Array.from({ length: 99 }, (_, n) => recordOf(`r${n}`));
    const run = await RunDirectory.open(folder, {
      identity: identityOf({ expected: 99 }),
      recipeText: "",
      checkpointDigest: "digest",
      fresh: false,
    });
    await run.append(
      many.map((record) => [JSON.stringify(record)]),
      many.map(recordedOf),
    );
    await run.close("stopped");
    expect(await taken(folder)).toHaveLength(99);
    const path = join(folder, "trajectories.jsonl");
    const lines = (await readFile(path, "utf8")).split("\n");
    // Opening the index compares some records, and not this one.
    lines[51] = lines[51]?.replace('"score":1', '"score":7') ?? "";
    await writeFile(path, lines.join("\n"));
    expect((await taken(folder)).at(-1)).toBe("51 r50");
  }));

test("an index that a reader made does not vouch for records", () =>
  withFolder(async (folder) => {
    const path = await writeRun(folder);
    const padded = RECORDS.map((record) => ({ ...record, row: { text: "x".repeat(400_000) } }));
    await writeFile(path, padded.map((record) => `${JSON.stringify(record)}\n`).join(""));
    await rm(join(folder, "index"), { recursive: true });
    await (await RunIndex.open(folder)).close();
    expect(await taken(folder)).toEqual([]);
  }));
