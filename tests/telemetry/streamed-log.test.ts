// The log of a host: its lines are taken in order, given back, bounded, and what is dropped is
// counted.

import { expect, test } from "bun:test";
import { createStreamedLog, type StreamedLogOptions } from "../../src/telemetry/streamed-log.ts";
import { SECRET, withSecret } from "../parts/secret.ts";

function createLog(options: Partial<StreamedLogOptions> = {}) {
  const shown: string[] = [];
  const log = createStreamedLog({ show: (text) => shown.push(text), now: () => 7, ...options });
  const write = (...messages: readonly string[]) => {
    for (const message of messages) log.write("info", message);
  };
  const take = (max = 100) => log.take(max).map(({ message }) => message);
  return { log, shown, write, take };
}

test("a line has its time, its level, its message and its fields", () => {
  const { log } = createLog();
  log.write("warning", "a", { row: 1, text: "t" });
  log.write("info", "b");
  expect(log.take(5)).toEqual([
    { at: 7, level: "warning", message: "a", fields: { row: 1, text: "t" } },
    { at: 7, level: "info", message: "b", fields: {} },
  ]);
});

test("lines are taken in order, each once, and no more than asked for", () => {
  const { write, take } = createLog();
  write("a", "b", "c");
  expect([take(0), take(1), take(5), take(5)]).toEqual([[], ["a"], ["b", "c"], []]);
});

test("lines that could not be sent come again before the later ones", () => {
  const { log, write, take } = createLog();
  write("a", "b", "c");
  const unsent = log.take(2);
  write("d");
  log.giveBack(unsent);
  expect(take()).toEqual(["a", "b", "c", "d"]);
});

test("the oldest lines beyond the limit are dropped, and a notice counts them", () => {
  const { log, write, take } = createLog({ linesMax: 3 });
  write("a", "b", "c");
  expect(log.take(0)).toEqual([]);
  write("d", "e");
  expect(log.take(2)).toEqual([
    {
      at: 7,
      level: "warning",
      message: "2 lines of this log were dropped: they came faster than they could be sent",
      fields: { dropped: 2 },
    },
    { at: 7, level: "info", message: "c", fields: {} },
  ]);
  expect(take()).toEqual(["d", "e"]);
  write("f");
  expect(take()).toEqual(["f"]);
});

test("the notice has the time of the first line that is left", () => {
  let now = 0;
  const { log, write } = createLog({ linesMax: 1, now: () => ++now });
  write("a", "b");
  expect(log.take(1)[0]?.at).toBe(2);
  const empty = createLog({ charsMax: 10, now: () => 9 });
  empty.write("longer than all");
  expect(empty.log.take(2).map(({ at, fields }) => [at, fields])).toEqual([[9, { dropped: 1 }]]);
});

test("a line costs 64 characters, its message, and its fields with their names", () => {
  // Two lines of 64 + 10 fit into 148.
  const { write, take } = createLog({ charsMax: 148 });
  write("0123456789", "0123456789");
  expect(take()).toEqual(["0123456789", "0123456789"]);
  write("0123456789", "0123456789", "");
  expect(take()[0]).toStartWith("1 lines of this log were dropped");
  const { log } = createLog({ charsMax: 64 + 1 + 3 + 4 });
  log.write("info", "m", { key: "1234" });
  expect(log.take(9)).toHaveLength(1);
  log.write("info", "m", { key: 12_345 });
  expect(log.take(9)[0]?.fields).toEqual({ dropped: 1 });
});

test("lines that are taken leave room, and lines that are given back take it again", () => {
  const { log, write, take } = createLog({ charsMax: 3 * 65 });
  write("a", "b", "c");
  const taken = log.take(2);
  write("d", "e");
  log.giveBack(taken);
  expect(take()).toEqual([
    "2 lines of this log were dropped: they came faster than they could be sent",
    "c",
    "d",
    "e",
  ]);
});

test("a notice that could not be sent is counted into the next one", () => {
  const { log, write } = createLog({ linesMax: 2 });
  write("a", "b", "c");
  const unsent = log.take(3);
  expect(unsent[0]?.fields).toEqual({ dropped: 1 });
  write("d");
  log.giveBack(unsent);
  const taken = log.take(9);
  expect(taken[0]?.fields).toEqual({ dropped: 2 });
  expect(taken.slice(1).map(({ message }) => message)).toEqual(["c", "d"]);
});

test("messages and fields are cut after 4096 characters", () => {
  const { log } = createLog();
  log.write("info", "x".repeat(4096), { a: "y".repeat(4097), n: 5 });
  const [line] = log.take(1);
  expect(line?.message).toBe("x".repeat(4096));
  expect(line?.fields).toEqual({ a: `${"y".repeat(4095)}…`, n: 5 });
});

test("a message that repeats is counted, and warnings are shown where the host runs", () => {
  const { log, shown, take } = createLog();
  for (let i = 0; i < 100; i++) log.write("warning", "again", { n: 1 });
  log.write("info", "quiet");
  log.write("error", "loud");
  expect(take(200)).toEqual([...Array(20).fill("again"), "again (100 times)", "quiet", "loud"]);
  expect(shown).toEqual([
    ...Array(20).fill("warning again n=1"),
    "warning again (100 times) n=1",
    "error loud",
  ]);
});

test("a log stays small under a hundred thousand lines, and counts every one", () => {
  const { log } = createLog();
  for (let i = 0; i < 100_000; i++)
    log.write("error", `${i} ${"x".repeat(i % 1000 === 0 ? 100_000 : 10)}`);
  const taken = log.take(100_000);
  expect(taken.length).toBeLessThanOrEqual(10_001);
  expect(JSON.stringify(taken).length).toBeLessThan(4 * 1024 * 1024);
  expect(taken[0]?.fields["dropped"]).toBe(100_000 - (taken.length - 1));
});

test("ten thousand short lines wait by default, and not one more", () => {
  const { write, log } = createLog();
  write(...Array.from({ length: 10_000 }, (_, i) => `${i}`));
  expect(log.take(1)[0]?.message).toBe("0");
  write("a", "b");
  expect(log.take(1)[0]?.fields).toEqual({ dropped: 1 });
});

test("a known secret is masked before a line goes to the driver, also where it would be cut", () =>
  withSecret(() => {
    const { log, shown } = createLog();
    log.write("warning", `a ${SECRET}`, { b: SECRET, n: 1 });
    log.write("info", `${"x".repeat(4090)}${SECRET}`);
    const [first, second] = log.take(5);
    expect(first).toMatchObject({ message: "a [KNOWN]", fields: { b: "[KNOWN]", n: 1 } });
    expect(second?.message).not.toContain("value-of");
    expect(shown).toEqual(['warning a [KNOWN] b="[KNOWN]" n=1']);
  }));
