import { expect, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { Spool } from "../../src/dataset/spool.ts";

test("a spool writes one row a line and answers where each is", async () => {
  const spool = await Spool.create();
  try {
    const texts = ['{"a":1}', "ä😀", "", "last"];
    const places = texts.map((text) => spool.write(text));
    await spool.drained();
    await spool.finish();
    expect(places).toEqual([
      [0, 7],
      [8, 6],
      [15, 0],
      [16, 4],
    ]);
    const bytes = await readFile(spool.path);
    expect(bytes.toString()).toBe(`${texts.join("\n")}\n`);
    expect(places.map(([at, length]) => bytes.subarray(at, at + length).toString())).toEqual(texts);
  } finally {
    await spool.remove();
  }
});

test("a spool that is full waits until its stream drains, and loses nothing", async () => {
  const spool = await Spool.create();
  try {
    const row = "x".repeat(100_000);
    for (let i = 0; i < 20; i++) {
      spool.write(row);
      spool.write("end");
      await spool.drained();
    }
    await spool.finish();
    expect((await readFile(spool.path)).length).toBe(20 * (100_001 + 4));
  } finally {
    await spool.remove();
  }
});

test("a removed spool leaves neither file nor folder, nor a listener on the process", async () => {
  const before = process.listenerCount("exit");
  const spool = await Spool.create();
  expect(process.listenerCount("exit")).toBe(before + 1);
  await spool.finish();
  await spool.remove();
  expect(existsSync(dirname(spool.path))).toBe(false);
  expect(process.listenerCount("exit")).toBe(before);
});

test("a spool resolves drained() at once unless its stream is full", async () => {
  const spool = await Spool.create();
  try {
    let drained = 0;
    const ask = async () => {
      await spool.drained();
      drained++;
    };
    spool.write("short");
    await ask();
    spool.write("x".repeat(1_000_000));
    spool.write("short");
    const waiting = ask();
    // The stream drains after a write to disk, which takes more than a few microtasks.
    for (let i = 0; i < 10; i++) await Promise.resolve();
    expect(drained).toBe(1);
    await waiting;
    expect(drained).toBe(2);
    await ask();
    expect(drained).toBe(3);
    await spool.finish();
  } finally {
    await spool.remove();
  }
});

test.each(["drained", "finish"] as const)(
  "a file that cannot be written fails %s with what to do, and does not end the process",
  async (step) => {
    const spool = await Spool.create();
    // The stream opens its file later than this.
    rmSync(dirname(spool.path), { recursive: true });
    const failure = expect.objectContaining({
      code: "dataset_invalid",
      message: expect.stringMatching(/^the rows to shuffle cannot be written to .*: ENOENT/),
      hint: "set TMPDIR to a folder on a disk with room for all rows",
    });
    spool.write("x".repeat(100_000));
    await expect(spool[step]()).rejects.toEqual(failure);
    for (const again of ["drained", "finish"] as const)
      await expect(spool[again]()).rejects.toEqual(failure);
    await spool.remove();
  },
);
