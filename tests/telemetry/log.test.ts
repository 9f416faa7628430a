// The program's log: its lines, its counting of what repeats, and that nothing in a line breaks the
// file or the terminal.

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { createRepeatCounter, formatLine, openLog } from "../../src/telemetry/log.ts";
import { withFolder } from "../parts/folder.ts";
import { SECRET, withSecret } from "../parts/secret.ts";

const ESC = "\u001b";
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;
const linesOf = async (path: string) =>
  (await readFile(path, "utf8"))
    .split("\n")
    .slice(0, -1)
    .map((line) => line.replace(STAMP, ""));

test("a log has one line for each event, and shows warnings and errors", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.log");
    await writeFile(path, "before\n");
    const shown: string[] = [];
    const log = openLog(path, (text) => shown.push(text));
    log.write("info", "begins", { run: "coral", expected: 40 });
    log.write("warning", "slow");
    log.write("error", "failed", { code: "x" });
    await log.close();
    expect(await linesOf(path)).toEqual([
      "before",
      "info begins run=coral expected=40",
      "warning slow",
      "error failed code=x",
    ]);
    expect((await readFile(path, "utf8")).split("\n")[1]).toMatch(STAMP);
    expect(shown).toEqual(["warning slow", "error failed code=x"]);
  }));

test("a log that cannot be written shows its warnings, and does not fail", async () => {
  const shown: string[] = [];
  const log = openLog("/nowhere/at/all.log", (text) => shown.push(text));
  log.write("warning", "x");
  await log.close();
  expect(shown).toEqual(["warning x"]);
});

test("a message that repeats is written twenty times, then at 100, 1000 and so on", () => {
  const count = createRepeatCounter();
  const said = Array.from({ length: 1234 }, () => count("again"));
  expect(said.filter((line) => line === "again")).toHaveLength(20);
  expect(said.slice(0, 21)).toEqual([...Array(20).fill("again"), null]);
  expect(
    said.flatMap((line, index) => (index >= 20 && line !== null ? [[index + 1, line]] : [])),
  ).toEqual([
    [100, "again (100 times)"],
    [1000, "again (1000 times)"],
  ]);
  expect(count("other")).toBe("other");
});

test("counting starts anew after ten thousand different messages", () => {
  for (const [others, said] of [
    [9999, null],
    [10_000, "again"],
  ] as const) {
    const count = createRepeatCounter();
    for (let i = 0; i < 21; i++) count("again");
    for (let i = 0; i < others; i++) count(`${i}`);
    expect(count("again")).toBe(said);
  }
});

test("a repeat that is not shown is not written either", () =>
  withFolder(async (folder) => {
    const shown: string[] = [];
    const log = openLog(join(folder, "a.log"), (text) => shown.push(text));
    for (let i = 0; i < 100; i++) log.write("warning", "again");
    await log.close();
    expect(shown).toHaveLength(21);
    expect(await linesOf(join(folder, "a.log"))).toEqual(shown);
  }));

const values: readonly (readonly [value: string | number, written: string])[] = [
  [40, "40"],
  ["a/b:c.d_e-f", "a/b:c.d_e-f"],
  ["", ""],
  ["a b", '"a b"'],
  ['say "x"', '"say \\"x\\""'],
  ["two\nlines", '"two\\nlines"'],
  ["é", '"é"'],
  [`${ESC}[31mred`, '"red"'],
];
for (const [value, written] of values) {
  test(`a field of ${JSON.stringify(value)} is written as ${written}`, () => {
    expect(formatLine("info", "m", { field: value })).toBe(`info m field=${written}`);
  });
}

test("a message is one line that a terminal shows and does not obey", () => {
  const nasty = `${ESC}[2J${ESC}]0;title\u0007red\u202edrawkcab\u2028\u2066\r\n\t\u0000end\ud800`;
  expect(formatLine("info", nasty, {})).toBe("info reddrawkcab\\n end\ufffd");
});

test("a message, a field and a whole line are cut after 4096 characters", () => {
  const exact = "x".repeat(4096);
  expect(formatLine("info", exact.slice(5), {})).toBe(`info ${exact.slice(5)}`);
  expect(formatLine("info", exact, {})).toHaveLength(4096);
  expect(formatLine("info", exact, {})).toEndWith("x…");
  const long = formatLine("info", "m", { field: "y".repeat(10_000) });
  expect(long).toHaveLength(4096);
  expect(long).toEndWith("…");
});

test("no text makes a second line or a control character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (message, field) => {
      const line = formatLine("error", message, { field });
      expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
      expect(line.isWellFormed()).toBe(true);
    }),
  );
});

test("a log of a driver that lost its directory shows lines and writes none", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.log");
    const shown: string[] = [];
    let lost = false;
    const confirm = async () => {
      if (lost) throw new Error("lost");
    };
    const log = openLog(path, (text) => shown.push(text), confirm);
    log.write("info", "first");
    log.write("warning", "second");
    while ((await linesOf(path).catch(() => [])).length < 2) await Promise.resolve();
    lost = true;
    log.write("error", "third");
    await log.close();
    expect(await linesOf(path)).toEqual(["info first", "warning second"]);
    expect(shown).toEqual(["warning second", "error third"]);
  }));

test("a known secret is masked in a message and in fields, also where the line would be cut", () =>
  withSecret(() => {
    expect(formatLine("info", `a ${SECRET}`, { b: SECRET, c: `x=${SECRET}` })).toBe(
      'info a [KNOWN] b="[KNOWN]" c="x=[KNOWN]"',
    );
    const cut = formatLine("info", `${"x".repeat(4080)}${SECRET}`, {});
    expect(cut).not.toContain("value-of");
  }));
