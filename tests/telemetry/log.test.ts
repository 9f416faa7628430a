// Logs: of this process, on their way from hosts, and where they arrive. Nothing that a line holds can break the file or the
// terminal, and nothing that a host sends can slow or fill the driver.

import { describe, expect, test } from "bun:test";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openLog } from "../../src/telemetry/log.ts";
import { createLogSink, isHostName } from "../../src/telemetry/log-sink.ts";
import { createStreamedLog } from "../../src/telemetry/streamed-log.ts";
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

describe("the program's log", () => {
  test("has one line an event, with its fields; warnings and errors are shown too", () =>
    withFolder(async (folder) => {
      const shown: string[] = [];
      const log = openLog(join(folder, "a.log"), (text) => shown.push(text));
      log.write("info", "begins", { run: "coral", expected: 40, path: "a b" });
      log.write("warning", "two\nlines");
      await log.close();
      const lines = await linesOf(join(folder, "a.log"));
      expect(lines.map((text) => text.replace(STAMP, ""))).toEqual([
        'info begins run=coral expected=40 path="a b"',
        "warning two\\nlines",
      ]);
      expect(shown).toEqual(["warning two\\nlines"]);
    }));

  test("counts a message that repeats", () =>
    withFolder(async (folder) => {
      const log = openLog(join(folder, "a.log"), () => undefined);
      for (let i = 0; i < 1234; i++) log.write("info", "again");
      await log.close();
      const lines = await linesOf(join(folder, "a.log"));
      expect(lines).toHaveLength(22);
      expect(lines.slice(20).map((text) => text.replace(STAMP, ""))).toEqual([
        "info again (100 times)",
        "info again (1000 times)",
      ]);
    }));

  test("cannot be broken by what stands in it", () =>
    withFolder(async (folder) => {
      const log = openLog(join(folder, "a.log"), () => undefined);
      const nasty = `${ESC}[2J${ESC}]0;title\u0007red\u202edrawkcab\u2028\r\n\u0000end\ud800`;
      log.write("info", nasty, { field: nasty, long: "x".repeat(1_000_000) });
      await log.close();
      const lines = await linesOf(join(folder, "a.log"));
      expect(lines).toHaveLength(1);
      expect(lines[0]?.replace(STAMP, "")).toStartWith("info reddrawkcab\\nend\ufffd field=");
      expect(lines[0]).not.toMatch(/[\p{Cc}\u2028\u202e]/u);
      expect(lines[0]?.length).toBeLessThan(4200);
    }));
});

describe("a host's log", () => {
  const create = (options: { linesMax?: number; charsMax?: number } = {}) =>
    createStreamedLog({ show: () => undefined, ...options });

  test("gives its lines in order, each once, and again those that could not be sent", () => {
    const log = createStreamedLog({ show: () => undefined, now: () => 7 });
    for (const message of ["a", "b", "c"]) log.write("info", message, { row: 1 });
    expect(log.take(1)).toEqual([{ at: 7, level: "info", message: "a", fields: { row: 1 } }]);
    const unsent = log.take(5);
    expect(log.take(5)).toEqual([]);
    log.write("error", "d");
    log.giveBack(unsent);
    expect(log.take(5).map(({ message }) => message)).toEqual(["b", "c", "d"]);
  });

  test("drops the oldest lines when the driver does not take them, and says how many", () => {
    const log = create({ linesMax: 10 });
    for (let i = 0; i < 25; i++) log.write("info", `line ${i}`);
    const taken = log.take(100);
    expect(taken[0]).toMatchObject({ level: "warning", fields: { dropped: 15 } });
    expect(taken.slice(1).map(({ message }) => message)).toEqual(
      Array.from({ length: 10 }, (_, i) => `line ${i + 15}`),
    );
    log.write("info", "after");
    expect(log.take(100).map(({ message }) => message)).toEqual(["after"]);
  });

  test("counts what was dropped in one line, also when that line could not be sent", () => {
    const log = create({ linesMax: 2 });
    for (const message of ["a", "b", "c"]) log.write("info", message);
    const unsent = log.take(3);
    expect(unsent[0]?.fields).toEqual({ dropped: 1 });
    log.write("info", "d");
    log.giveBack(unsent);
    const taken = log.take(9);
    expect(taken[0]?.fields).toEqual({ dropped: 2 });
    expect(taken.slice(1).map(({ message }) => message)).toEqual(["c", "d"]);
  });

  test("stays small under a hundred thousand lines that nobody takes", () => {
    const log = create();
    for (let i = 0; i < 100_000; i++)
      log.write("error", `${i} ${"x".repeat(i % 1000 === 0 ? 100_000 : 10)}`);
    const taken = log.take(100_000);
    expect(taken.length).toBeLessThanOrEqual(10_001);
    expect(JSON.stringify(taken).length).toBeLessThan(4 * 1024 * 1024);
    expect(taken[0]?.fields["dropped"]).toBe(100_000 - (taken.length - 1));
  });

  test("counts messages that repeat, and shows warnings and errors where the host runs", () => {
    const shown: string[] = [];
    const log = createStreamedLog({ show: (text) => shown.push(text) });
    for (let i = 0; i < 100; i++) log.write("warning", "again");
    log.write("info", "quiet");
    expect(log.take(100).map(({ message }) => message)).toEqual([
      ...Array(20).fill("again"),
      "again (100 times)",
      "quiet",
    ]);
    expect(shown).toHaveLength(21);
  });
});

describe("the logs that hosts send", () => {
  test("go to a file for each host, and name host, role and task", () =>
    withFolder(async (folder) => {
      const shown: string[] = [];
      const sink = createLogSink({ folder, show: (text) => shown.push(text) });
      sink.accept("worker-1", [
        line("failed", { fields: { attempt: 1, task: "12/0", host: "liar", role: "teacher" } }),
        line("begins", { level: "info" }),
      ]);
      sink.accept("node7.cluster", [line("other")]);
      await sink.close();
      expect((await readdir(folder)).sort()).toEqual(["node7.cluster.log", "worker-1.log"]);
      expect(await linesOf(join(folder, "worker-1.log"))).toEqual([
        "2027-01-15T08:00:00.000Z error failed host=worker-1 role=teacher task=12/0 attempt=1",
        "2027-01-15T08:00:00.000Z info begins host=worker-1",
      ]);
      expect(shown).toEqual([
        "worker-1: error failed role=teacher task=12/0 attempt=1",
        "node7.cluster: error other",
      ]);
    }));

  test("are appended to what an earlier driver wrote, in order, however many hosts send at once", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "h0.log"), "before\n");
      const sink = createLogSink({ folder, show: () => undefined });
      for (let i = 0; i < 50; i++) {
        for (let host = 0; host < 200; host++) sink.accept(`h${host}`, [line(`line ${i}`)]);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await sink.close();
      const lines = await linesOf(join(folder, "h0.log"));
      expect(lines[0]).toBe("before");
      expect(lines.slice(1).map((text) => text.replace(STAMP, ""))).toEqual(
        Array.from({ length: 50 }, (_, i) => `error line ${i} host=h0`),
      );
    }));

  test("cannot choose a file, make lines, or steer the terminal", () =>
    withFolder(async (folder) => {
      const names = [
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
        "x".repeat(200),
        "a\n",
      ];
      expect(names.filter(isHostName)).toEqual([]);
      const shown: string[] = [];
      const sink = createLogSink({ folder: join(folder), show: (text) => shown.push(text) });
      for (const name of names) sink.accept(name, [line("x")]);
      sink.accept("good", [
        line(`${ESC}[31ma\nb`, { fields: { [`k${ESC}[0m`]: "v", text: `${ESC}[31m\n\u009b0m` } }),
      ]);
      await sink.close();
      expect(await readdir(folder)).toEqual(["good.log"]);
      expect(await readFile(join(folder, "good.log"), "utf8")).toBe(
        '2027-01-15T08:00:00.000Z error a\\nb host=good text="\\n"\n',
      );
      expect(shown).toEqual(['good: error a\\nb text="\\n"']);
    }));

  test("are refused one by one where they are no lines", () =>
    withFolder(async (folder) => {
      const sink = createLogSink({ folder, show: () => undefined });
      const bad: unknown[] = [
        null,
        1,
        "x",
        [],
        {},
        line("x", { at: Number.NaN }),
        line("x", { at: 1e300 }),
        line("x", { level: "loud" }),
      ];
      bad.push(line("x", { message: 5 }), line("x", { fields: null }), line("x", { fields: [1] }));
      for (const lines of [
        null,
        "x",
        { length: 3 },
        bad,
        [...bad, line("good", { fields: { deep: { a: 1 }, n: 1 } }), ...bad],
      ])
        sink.accept("h", lines);
      await sink.close();
      expect(await linesOf(join(folder, "h.log"))).toEqual([
        "2027-01-15T08:00:00.000Z error good host=h n=1",
      ]);
    }));

  test("are shown a few of each host, and counted", () =>
    withFolder(async (folder) => {
      const shown: string[] = [];
      const sink = createLogSink({ folder, show: (text) => shown.push(text), windowMs: 50 });
      sink.accept(
        "loud",
        Array.from({ length: 10_000 }, (_, i) => line(`error ${i}`)),
      );
      sink.accept("calm", [line("one")]);
      expect(shown).toEqual([
        "loud: error error 0",
        "loud: error error 1",
        "loud: error error 2",
        "calm: error one",
      ]);
      await until(() => shown.length === 5, "the rest is counted");
      expect(shown[4]).toBe("loud: 9997 more warnings and errors are in logs/loud.log");
      for (let host = 0; host < 100; host++) sink.accept(`h${host}`, [line("down")]);
      expect(shown).toHaveLength(25);
      await sink.close();
      expect(shown.slice(25)).toEqual(["80 hosts: 80 more warnings and errors are in logs/"]);
      expect(await linesOf(join(folder, "loud.log"))).toHaveLength(10_000);
    }));

  test("are dropped and counted when the disk is slower than the hosts", () =>
    withFolder(async (folder) => {
      const sink = createLogSink({ folder, show: () => undefined });
      const long = Array.from({ length: 5000 }, () => line("x".repeat(4000), { level: "info" }));
      sink.accept("h", long);
      await sink.close();
      sink.accept("h", [line("after")]);
      await sink.close();
      const lines = await linesOf(join(folder, "h.log"));
      const dropped = lines.map(
        (text) =>
          /warning lines were dropped: the disk is slow host=h dropped=(\d+)$/.exec(text)?.[1],
      );
      const count = Number(dropped.find((found) => found !== undefined));
      expect(count).toBeGreaterThan(4000);
      expect(lines).toHaveLength(5000 - count + 2);
    }));

  test("never fill the disk: of each host, the file and the one before it are kept", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "h.log"), "");
      await truncate(join(folder, "h.log"), 64 * 1024 * 1024);
      const sink = createLogSink({ folder, show: () => undefined });
      sink.accept("h", [line("last of the old")]);
      await sink.close();
      sink.accept("h", [line("first of the new")]);
      await sink.close();
      expect((await readdir(folder)).sort()).toEqual(["h.log", "h.log.1"]);
      expect(await linesOf(join(folder, "h.log"))).toEqual([
        "2027-01-15T08:00:00.000Z error first of the new host=h",
      ]);
    }));

  test("that cannot be written do not end the run", async () => {
    const sink = createLogSink({ folder: "/nowhere/at/all", show: () => undefined });
    sink.accept("h", [line("x")]);
    await sink.close();
  });
});
