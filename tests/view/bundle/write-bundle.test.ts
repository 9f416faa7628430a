// A static bundle: the page and its data as files.

import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { compileExpression } from "../../../src/recipe/expression/expression.ts";
import type { Bundle, BundledRecord, RecordRow, RunAnswer } from "../../../src/view/api.ts";
import { type BundleOptions, writeBundle } from "../../../src/view/bundle/write-bundle.ts";
import { RunLibrary } from "../../../src/view/library/run-library.ts";
import { withFolder } from "../../parts/folder.ts";
import { DIALOGUE, type Made, said, writeRun } from "../../parts/run-directory.ts";

// Put together here, so that no scanner takes this file for a leak.
const AWS_KEY = `AKIA${"ABCD2345".repeat(2)}`;
const PAGE = new Map(
  Object.entries({
    "index.html": '<!doctype html>\n<html lang="en"><head></head><p>page</p></html>',
    "app.js": "app",
  }).map(([name, text]) => [name, { type: "text/plain", gzip: new Uint8Array(gzipSync(text)) }]),
);

const made = (id: string, more: Partial<Made> = {}): Made => ({
  id,
  history: [["student", said(`I am ${id}.`)]],
  ...more,
});

interface Written {
  readonly folder: string;
  readonly output: string;
  readonly summary: Awaited<ReturnType<typeof writeBundle>>;
  /** The value that a script of the bundle hands over. */
  value<T>(name: string): Promise<T>;
}

const withBundle = (
  runs: Readonly<Record<string, readonly Made[]>>,
  use: (written: Written) => Promise<void>,
  more: Partial<BundleOptions> = {},
) =>
  withFolder(async (folder) => {
    for (const [name, records] of Object.entries(runs))
      await writeRun(join(folder, "runs", name), DIALOGUE, records);
    const library = new RunLibrary([join(folder, "runs")], "/");
    const output = join(folder, "out");
    const summary = await writeBundle({ library, page: PAGE, output, filter: null, ...more });
    await library.close();
    const value = async <T>(name: string): Promise<T> => {
      const script = await readFile(join(output, "data", `${name}.js`), "utf8");
      const given: [string, unknown][] = [];
      new Function("matrixBundle", script)((key: string, data: unknown) => given.push([key, data]));
      expect(given.map(([key]) => key)).toEqual([name]);
      return given[0]?.[1] as T;
    };
    await use({ folder, output, summary, value });
  });

test("a bundle has the marked page, and its data as scripts that hand over values", () =>
  withBundle({ one: [made("a"), made("b", { status: "failed" })] }, async (written) => {
    const { output, summary, value } = written;
    expect(summary).toEqual({ runs: 1, records: 2, leftOut: 0 });
    const page = await readFile(join(output, "index.html"), "utf8");
    expect(page).toContain('<html data-bundle lang="en">');
    expect(page).toMatch(/<head><meta http-equiv="content-security-policy" content="[^"]*'none'/);
    expect(page).not.toContain("frame-ancestors");
    expect(await readFile(join(output, "app.js"), "utf8")).toBe("app");
    const { session, runs, comparisons } = await value<Bundle>("bundle");
    const key = runs[0]?.card.key ?? "";
    expect(session).toMatchObject({ from: "bundle", canAnnotate: false, only: key, who: "" });
    expect(runs[0]).toMatchObject({ rowFiles: 1, recordFiles: [0], leftOut: 0 });
    expect(comparisons).toEqual([]);
    const run = await value<RunAnswer>(`${key}/run`);
    expect(run.card.counts).toEqual({ ok: 1, failed: 1, lost: 0 });
    const rows = await value<readonly RecordRow[]>(`${key}/rows-0`);
    expect(rows.map(({ id, n }) => [id, n])).toEqual([
      ["a", 0],
      ["b", 1],
    ]);
    const records = await value<readonly BundledRecord[]>(`${key}/records-0`);
    expect(records[0]?.bodies[0]?.result.value).toEqual(said("I am a."));
    expect(records[0]?.input.value).toEqual({ question: "Question a?" });
  }));

test("what looks like a credential does not leave with a bundle, nor do folders", () =>
  withBundle(
    { one: [made("a", { row: { key: AWS_KEY, file: "/home/ann/secret/x.png", [AWS_KEY]: 1 } })] },
    async ({ folder, output, value }) => {
      const { runs } = await value<Bundle>("bundle");
      const key = runs[0]?.card.key ?? "";
      const [record] = await value<readonly BundledRecord[]>(`${key}/records-0`);
      expect(record?.input.value).toEqual({
        ...{ key: "[aws-access-token]", file: "x.png", "[aws-access-token]": 1 },
      });
      for (const name of await readdir(join(output, "data", key))) {
        const text = await readFile(join(output, "data", key, name), "utf8");
        expect([name, text.includes(folder), text.includes("/home/ann")]).toEqual([
          name,
          false,
          false,
        ]);
      }
      expect(runs[0]?.card.path).toBe("one");
    },
  ));

test("a selection leaves records out, and counts them", () =>
  withBundle(
    { one: [made("a", { score: 1 }), made("b", { score: 0 }), made("c")] },
    async ({ summary, value }) => {
      expect(summary).toEqual({ runs: 1, records: 1, leftOut: 2 });
      const { runs } = await value<Bundle>("bundle");
      const rows = await value<readonly RecordRow[]>(`${runs[0]?.card.key}/rows-0`);
      expect(rows.map(({ id }) => id)).toEqual(["a"]);
      expect(runs[0]).toMatchObject({ leftOut: 2, recordFiles: [0] });
    },
    { filter: compileExpression("score > 0.5") },
  ));

test("records are spread over files of about a mebibyte, whose first records are told", () =>
  withBundle(
    {
      one: ["a", "b", "c", "d"].map((id) =>
        made(id, { history: Array.from({ length: 10 }, () => ["student", "x".repeat(60_000)]) }),
      ),
    },
    async ({ value }) => {
      const { runs } = await value<Bundle>("bundle");
      expect(runs[0]?.recordFiles).toEqual([0, 1, 2, 3]);
      const [record] = await value<readonly BundledRecord[]>(`${runs[0]?.card.key}/records-2`);
      expect(record?.row.id).toBe("c");
      expect(record?.bodies.length).toBe(10);
    },
  ));

test("every pair of runs is compared in both orders", () =>
  withBundle(
    { one: [made("a", { score: 0 })], two: [made("a", { score: 1 })] },
    async (written) => {
      const { comparisons, session } = await written.value<Bundle>("bundle");
      expect(session.only).toBeNull();
      expect(comparisons.map(({ pairs }) => pairs[0]?.score?.delta).sort()).toEqual([-1, 1]);
    },
  ));

test("the prompts of each role's first hop are in a bundle", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "runs/one"), DIALOGUE, [made("a")]);
    const path = join(folder, "runs/one/trajectories.jsonl");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"role":"student"', '"role":"student","model":"m"'));
    const library = new RunLibrary([join(folder, "runs")], "/");
    const output = join(folder, "out");
    await writeBundle({ library, page: PAGE, output, filter: null });
    await library.close();
    const [key = ""] = (await readdir(join(output, "data"))).filter((name) => name.includes("~"));
    expect(await readFile(join(output, "data", key, "records-0.js"), "utf8")).toContain(
      "You study.",
    );
  }));

test("a record cannot set prototypes in the page", () =>
  withBundle(
    { one: [made("a", { row: JSON.parse('{"__proto__":{"bad":1}}') })] },
    async (written) => {
      const { runs } = await written.value<Bundle>("bundle");
      const [record] = await written.value<readonly BundledRecord[]>(
        `${runs[0]?.card.key}/records-0`,
      );
      expect(JSON.stringify(record?.input.value)).toBe('{"__proto__":{"bad":1}}');
      expect(record?.input.value).not.toHaveProperty("bad");
    },
  ));

test("a folder that holds something is not written to, and nothing half-written stays", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "runs/one"), DIALOGUE, [made("a")]);
    const output = join(folder, "out");
    await mkdir(output);
    await writeFile(join(output, "mine.txt"), "mine");
    const library = new RunLibrary([join(folder, "runs")], "/");
    const options = { library, page: PAGE, output, filter: null };
    await expect(writeBundle(options)).rejects.toMatchObject({ code: "usage" });
    expect(await readdir(output)).toEqual(["mine.txt"]);
    const blocked = { ...options, output: join(output, "mine.txt/out") };
    await expect(writeBundle(blocked)).rejects.toMatchObject({ code: "storage_failed" });
    expect((await readdir(folder)).sort()).toEqual(["out", "runs"]);
    await library.close();
  }));

test("a folder without runs has no bundle", () =>
  withFolder(async (folder) => {
    const library = new RunLibrary([folder], "/");
    const options = { library, page: PAGE, output: join(folder, "out"), filter: null };
    await expect(writeBundle(options)).rejects.toMatchObject({ code: "usage" });
  }));
