// manifest.json: written whole, read strictly.

import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readManifest, writeManifest } from "../../src/records/manifest.ts";
import { withFolder } from "../parts/folder.ts";
import { manifestOf, recordOf } from "./made.ts";

const MANIFEST = manifestOf([recordOf("a")], {
  replay: "runs/other",
  hashes: { "p.md": "1f" },
  spent: {
    requests: 1,
    prompt_tokens: 2,
    completion_tokens: 3,
    cost: 0.5,
    hosts: { h: { requests: 1, prompt_tokens: 2, completion_tokens: 3, cost: 0.5 } },
  },
});

test("a manifest is read as it was written, and no other file is left", () =>
  withFolder(async (folder) => {
    await writeManifest(folder, MANIFEST);
    expect(await readManifest(folder)).toEqual(MANIFEST);
    expect(await readdir(folder)).toEqual(["manifest.json"]);
    const text = await readFile(join(folder, "manifest.json"), "utf8");
    expect(text).toBe(`${JSON.stringify(MANIFEST, null, 2)}\n`);
  }));

test("a folder without a manifest has none, and so has a path that is not a folder", () =>
  withFolder(async (folder) => {
    expect(await readManifest(folder)).toBeNull();
    await writeFile(join(folder, "file"), "");
    expect(await readManifest(join(folder, "file"))).toBeNull();
  }));

test("a manifest of an earlier version, which says nothing of spending, spent nothing", () =>
  withFolder(async (folder) => {
    const { spent: _, replay: __, ...rest } = MANIFEST;
    await writeFile(join(folder, "manifest.json"), JSON.stringify(rest));
    expect(await readManifest(folder)).toEqual({
      ...rest,
      spent: { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0, hosts: {} },
    });
  }));

const damaged: readonly (readonly [text: string, what: string])[] = [
  ["{", " is not JSON"],
  ["", " is empty, as a power cut may leave it"],
  ["\0".repeat(40), " is empty, as a power cut may leave it"],
  ["null", " has the format undefined, not matrix-manifest-1"],
  [
    JSON.stringify({ ...MANIFEST, format: "matrix-manifest-2" }),
    ' has the format "matrix-manifest-2", not matrix-manifest-1',
  ],
  [JSON.stringify({ ...MANIFEST, ok: -1 }), ": ok: "],
  [JSON.stringify({ ...MANIFEST, ok: 1.5 }), ": ok: "],
  [JSON.stringify({ ...MANIFEST, state: "done" }), ": state: "],
  [JSON.stringify({ ...MANIFEST, dataset: { rows: 1 } }), ": dataset."],
  [JSON.stringify({ ...MANIFEST, recipe: null }), ": recipe: "],
  [JSON.stringify({ ...MANIFEST, more: 1 }), ": more: "],
];
for (const [text, what] of damaged) {
  test(`a manifest that begins ${JSON.stringify(text.slice(0, 30))} is refused:${what}`, () =>
    withFolder(async (folder) => {
      const path = join(folder, "manifest.json");
      await writeFile(path, text);
      const error = await readManifest(folder).catch((thrown) => thrown);
      expect(error).toMatchObject({
        code: "run_refused",
        hint: "start anew with --fresh (the old directory is kept aside), or choose another with -o",
      });
      expect(error.message).toStartWith(`${path}${what}`);
    }));
}

test("a manifest that cannot be read or written is an error that says so", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "manifest.json"));
    await expect(readManifest(folder)).rejects.toMatchObject({
      code: "run_refused",
      message: expect.stringContaining(`cannot read ${join(folder, "manifest.json")}: `),
    });
    await expect(writeManifest(folder, MANIFEST)).rejects.toMatchObject({
      code: "storage_failed",
      message: expect.stringContaining(`cannot write ${join(folder, "manifest.json")}: `),
    });
  }));
