// Where the logs of hosts arrive: a file for each host, a few lines on the terminal, and nothing
// believed that a host sends.

import { expect, test } from "bun:test";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createLogSink, isHostName } from "../../src/telemetry/log-sink.ts";
import { withFolder } from "../parts/folder.ts";
import { until } from "../parts/until.ts";

const ESC = "\u001b";
const STAMP = /^\d{4}-\d\d-\d\dT[\d:.]+Z /;
const linesOf = async (path: string) => (await readFile(path, "utf8")).split("\n").slice(0, -1);
const line = (message: string, rest: object = {}) => ({
  at: 1_800_000_000_000,
  level: "error",
  message,
  fields: {},
  ...rest,
});

/** A sink on its own folder, and what it shows. */
async function withSink(
  use: (sink: ReturnType<typeof createLogSink>, folder: string, shown: string[]) => Promise<void>,
  windowMs = 60_000,
): Promise<void> {
  await withFolder(async (folder) => {
    const shown: string[] = [];
    const sink = createLogSink({ folder, show: (text) => shown.push(text), windowMs });
    await use(sink, folder, shown);
    await sink.close();
  });
}

test("lines go to a file for each host, and warnings and errors are shown", () =>
  withSink(async (sink, folder, shown) => {
    sink.accept("worker-1", [
      line("failed", { fields: { attempt: 1, task: "12/0", host: "liar", role: "teacher" } }),
      line("slow", { level: "warning", fields: { task: "1/0", n: 2 } }),
      line("begins", { level: "info" }),
    ]);
    sink.accept("node7.cluster", [line("other")]);
    await sink.close();
    expect((await readdir(folder)).sort()).toEqual(["node7.cluster.log", "worker-1.log"]);
    expect(await linesOf(join(folder, "worker-1.log"))).toEqual([
      "2027-01-15T08:00:00.000Z error failed host=worker-1 role=teacher task=12/0 attempt=1",
      "2027-01-15T08:00:00.000Z warning slow host=worker-1 task=1/0 n=2",
      "2027-01-15T08:00:00.000Z info begins host=worker-1",
    ]);
    expect(shown).toEqual([
      "worker-1: error failed role=teacher task=12/0 attempt=1",
      "worker-1: warning slow task=1/0 n=2",
      "node7.cluster: error other",
    ]);
  }));

test("lines of many hosts are appended in order to what an earlier driver wrote", () =>
  withSink(async (sink, folder) => {
    await writeFile(join(folder, "h0.log"), "before\n");
    for (let i = 0; i < 20; i++) {
      for (let host = 0; host < 50; host++) sink.accept(`h${host}`, [line(`line ${i}`)]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await sink.close();
    expect((await linesOf(join(folder, "h0.log"))).map((text) => text.replace(STAMP, ""))).toEqual([
      "before",
      ...Array.from({ length: 20 }, (_, i) => `error line ${i} host=h0`),
    ]);
    expect(await linesOf(join(folder, "h49.log"))).toHaveLength(20);
  }));

test("a host's name is a file's name: no path, no hidden file, no flag", () => {
  const wrong = [
    "../evil",
    "a/b",
    "",
    ".",
    "..",
    ".hidden",
    "-flag",
    "a\0b",
    "a b",
    "é",
    "x".repeat(129),
    "a\n",
  ];
  expect(wrong.filter(isHostName)).toEqual([]);
  expect(["a", "_a", "worker-1", "a.b", "x".repeat(128)].filter(isHostName)).toHaveLength(5);
});

test("lines under a wrong name, and lines that steer a terminal, do no harm", () =>
  withSink(async (sink, folder, shown) => {
    sink.accept("../evil", [line("x")]);
    sink.accept("good", [
      line(`${ESC}[31ma\nb`, { fields: { [`k${ESC}[0m`]: "v", text: `${ESC}[31m\n\u009b0m` } }),
    ]);
    await sink.close();
    expect(await readdir(folder)).toEqual(["good.log"]);
    expect(await linesOf(join(folder, "good.log"))).toEqual([
      '2027-01-15T08:00:00.000Z error a\\nb host=good text="\\n"',
    ]);
    expect(shown).toEqual(['good: error a\\nb text="\\n"']);
  }));

test("what is not a line is left out, and the lines beside it are not", () =>
  withSink(async (sink, folder) => {
    const bad: readonly unknown[] = [
      null,
      1,
      "x",
      [],
      {},
      line("x", { at: Number.NaN }),
      line("x", { at: -1 }),
      line("x", { at: 253_402_300_800_000 }),
      line("x", { at: "1" }),
      line("x", { level: "loud" }),
      line("x", { message: 5 }),
      line("x", { fields: null }),
      line("x", { fields: [1] }),
    ];
    for (const lines of [null, "x", { length: 3 }, bad]) sink.accept("h", lines);
    sink.accept("h", [
      ...bad,
      line("first", { at: 0 }),
      line("last", { at: 253_402_300_799_999 }),
      ...bad,
    ]);
    await sink.close();
    expect(await linesOf(join(folder, "h.log"))).toEqual([
      "1970-01-01T00:00:00.000Z error first host=h",
      "9999-12-31T23:59:59.999Z error last host=h",
    ]);
  }));

test("fields are text and numbers under plain names, the first twenty of them", () =>
  withSink(async (sink, folder) => {
    const fields = {
      deep: { a: 1 },
      flag: true,
      "a-b": 1,
      ["x".repeat(65)]: 1,
      ["y".repeat(64)]: 1,
      ...Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, i])),
    };
    sink.accept("h", [line("m", { fields })]);
    await sink.close();
    const [text] = await linesOf(join(folder, "h.log"));
    const names = (text ?? "")
      .split(" ")
      .slice(4)
      .map((field) => field.split("=")[0]);
    expect(names).toEqual(["y".repeat(64), ...Array.from({ length: 19 }, (_, i) => `f${i}`)]);
  }));

test("three lines of a host and twenty of all are shown, and the others counted", () =>
  withSink(async (sink, folder, shown) => {
    sink.accept(
      "loud",
      Array.from({ length: 1000 }, (_, i) => line(`error ${i}`)),
    );
    sink.accept("calm", [line("one"), line("quiet", { level: "info" })]);
    expect(shown).toEqual([
      "loud: error error 0",
      "loud: error error 1",
      "loud: error error 2",
      "calm: error one",
    ]);
    await until(() => shown.length === 5, "the rest is counted");
    expect(shown[4]).toBe("loud: 997 more warnings and errors are in logs/loud.log");
    for (let host = 0; host < 100; host++) sink.accept(`h${host}`, [line("down")]);
    expect(shown).toHaveLength(25);
    await sink.close();
    expect(shown.slice(25)).toEqual(["80 hosts: 80 more warnings and errors are in logs/"]);
    expect(await linesOf(join(folder, "loud.log"))).toHaveLength(1000);
  }, 30));

test("a window in which every line was shown ends without a word", () =>
  withSink(async (sink, _, shown) => {
    sink.accept("h", [line("a"), line("b"), line("c")]);
    await sink.close();
    expect(shown).toHaveLength(3);
  }));

test("lines beyond what may wait for one host are dropped and counted in its file", () =>
  withSink(async (sink, folder) => {
    // The first line is being written while the others wait: 2 MiB of them are kept.
    const long = Array.from({ length: 1000 }, () => line("x".repeat(4000), { level: "info" }));
    sink.accept("h", long);
    sink.accept("other", [line("kept")]);
    await sink.close();
    sink.accept("h", [line("after")]);
    await sink.close();
    const lines = await linesOf(join(folder, "h.log"));
    const dropped = lines.map(
      (text) =>
        /warning lines were dropped: the disk is slow host=h dropped=(\d+)$/.exec(text)?.[1],
    );
    const count = Number(dropped.find((found) => found !== undefined));
    const chars = "2027-01-15T08:00:00.000Z info  host=h\n".length + 4000;
    expect(count).toBe(1000 - 1 - Math.floor((2 * 1024 * 1024) / chars));
    expect(lines).toHaveLength(1000 - count + 2);
    expect(await linesOf(join(folder, "other.log"))).toHaveLength(1);
  }));

test("a single line that was dropped is counted, too", () =>
  withSink(async (sink, folder) => {
    const chars = "2027-01-15T08:00:00.000Z info  host=h\n".length + 4000;
    const kept = 1 + Math.floor((2 * 1024 * 1024) / chars);
    const lines = Array.from({ length: kept + 1 }, () => line("x".repeat(4000), { level: "info" }));
    sink.accept("h", lines);
    await sink.close();
    const written = await linesOf(join(folder, "h.log"));
    expect(written).toHaveLength(kept + 1);
    expect(written.join("\n")).toContain("the disk is slow host=h dropped=1");
  }));

test("lines beyond what may wait for all hosts together are dropped", () =>
  withSink(async (sink, folder) => {
    const long = Array.from({ length: 500 }, () => line("x".repeat(4000), { level: "info" }));
    for (let host = 0; host < 10; host++) sink.accept(`h${host}`, long);
    await sink.close();
    const counts = await Promise.all(
      Array.from(
        { length: 10 },
        async (_, host) =>
          (await linesOf(join(folder, `h${host}.log`))).filter((text) => text.includes("xxx"))
            .length,
      ),
    );
    expect(counts.slice(0, 8)).toEqual(Array(8).fill(500));
    const chars = "2027-01-15T08:00:00.000Z info  host=h0\n".length + 4000;
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(
      Math.floor((16 * 1024 * 1024) / chars),
    );
  }));

test("a file that has grown beyond 64 MiB is kept as the one before, and a new one begun", () =>
  withSink(async (sink, folder) => {
    await writeFile(join(folder, "h.log"), "");
    await truncate(join(folder, "h.log"), 64 * 1024 * 1024 - 60);
    sink.accept("h", [line("fits")]);
    await sink.close();
    expect(await readdir(folder)).toEqual(["h.log"]);
    sink.accept("h", [line("last of the old")]);
    await sink.close();
    sink.accept("h", [line("first of the new")]);
    await sink.close();
    expect((await readdir(folder)).sort()).toEqual(["h.log", "h.log.1"]);
    expect(await linesOf(join(folder, "h.log"))).toEqual([
      "2027-01-15T08:00:00.000Z error first of the new host=h",
    ]);
  }));

test("logs that cannot be written do not fail", async () => {
  const sink = createLogSink({ folder: "/nowhere/at/all", show: () => undefined });
  sink.accept("h", [line("x")]);
  await sink.close();
});

test("lines of hosts are dropped when the driver has lost its directory", () =>
  withFolder(async (folder) => {
    let lost = false;
    const confirm = async () => {
      if (lost) throw new Error("lost");
    };
    const sink = createLogSink({ folder, show: () => undefined, confirm });
    sink.accept("a", [line("kept")]);
    await sink.close();
    lost = true;
    sink.accept("a", [line("dropped")]);
    sink.accept("b", [line("dropped")]);
    await sink.close();
    expect(await readdir(folder)).toEqual(["a.log"]);
    expect(await linesOf(join(folder, "a.log"))).toHaveLength(1);
  }));
