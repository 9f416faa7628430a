// The file that a worker prints to: what is new in it, its end, its bound, and its last error.

import { expect, test } from "bun:test";
import { closeSync, existsSync, readdirSync, readlinkSync, writeSync } from "node:fs";
import { appendFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lastErrorOf, StderrFile } from "../../../src/run/worker/stderr-file.ts";
import { withFolder } from "../../parts/folder.ts";

const KB8 = 8192;

/** Lets a process print into the file. */
function print(file: StderrFile, text: string): void {
  const descriptor = file.open();
  if (descriptor === null) throw new Error("the file can be opened");
  writeSync(descriptor, text);
  closeSync(descriptor);
}

test("a file that is not there has no output, and its bound does nothing", () =>
  withFolder(async (folder) => {
    const file = new StderrFile(join(folder, "w.stderr"));
    file.bound();
    expect([file.takeNew(), file.tail()]).toEqual(["", ""]);
  }));

test("a file in a folder that is not there cannot be opened", () =>
  withFolder(async (folder) => {
    expect(new StderrFile(join(folder, "none", "w.stderr")).open()).toBeNull();
  }));

test("new output is taken once, over processes, and the tail is that of the latest process", () =>
  withFolder(async (folder) => {
    const file = new StderrFile(join(folder, "w.stderr"));
    print(file, "first\n");
    expect([file.takeNew(), file.takeNew()]).toEqual(["first\n", ""]);
    expect(file.tail()).toBe("first\n");
    print(file, "second\n");
    expect([file.takeNew(), file.tail()]).toEqual(["second\n", "second\n"]);
  }));

test("of much output the last 8 kB are taken", () =>
  withFolder(async (folder) => {
    const file = new StderrFile(join(folder, "w.stderr"));
    print(file, `${"a".repeat(KB8)}${"b".repeat(KB8)}`);
    expect(file.takeNew()).toBe("b".repeat(KB8));
    expect(file.tail()).toBe("b".repeat(KB8));
  }));

test("a file of more than 1 MiB is cut down to its end, and a smaller one stays", () =>
  withFolder(async (folder) => {
    const path = join(folder, "w.stderr");
    const file = new StderrFile(path);
    await writeFile(path, "x".repeat(1024 * 1024));
    file.bound();
    expect((await stat(path)).size).toBe(1024 * 1024);
    await appendFile(path, "y");
    file.bound();
    expect((await stat(path)).size).toBe(KB8);
    expect(file.tail()).toBe(`${"x".repeat(KB8 - 1)}y`);
  }));

test("output is taken from the beginning of a file that has become shorter", () =>
  withFolder(async (folder) => {
    const path = join(folder, "w.stderr");
    const file = new StderrFile(path);
    await writeFile(path, "a long line\n");
    file.takeNew();
    await writeFile(path, "short\n");
    expect(file.takeNew()).toBe("short\n");
  }));

test("the tail of a process begins anew in a file that was emptied under it", () =>
  withFolder(async (folder) => {
    const path = join(folder, "w.stderr");
    const file = new StderrFile(path);
    print(file, "of the process before\n");
    print(file, "second\n");
    await writeFile(path, "emptied\n");
    expect(file.tail()).toBe("emptied\n");
    // A file that is exactly as long as it was has nothing new.
    await writeFile(path, "x".repeat("of the process before\n".length));
    expect(file.tail()).toBe("");
  }));

test("reading leaves no descriptor open", () =>
  withFolder(async (folder) => {
    if (!existsSync("/proc/self/fd")) return;
    const path = join(folder, "w.stderr");
    const file = new StderrFile(path);
    await writeFile(path, "a line\n");
    const isOpen = () =>
      readdirSync("/proc/self/fd").some((descriptor) => targetOf(descriptor) === path);
    expect([file.tail(), file.takeNew(), isOpen()]).toEqual(["a line\n", "a line\n", false]);
  }));

function targetOf(descriptor: string): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return null;
  }
}

test("the last error is the output from the last line that looks like one", () => {
  const stack = "TypeError: x is not a function\n    at f (/a.ts:1:2)\n";
  expect(lastErrorOf(`starts\nError: first\n  at a\n${stack}`)).toBe(stack.trimEnd());
  for (const line of [
    "error: no",
    "panic: no",
    "Uncaught RangeError: no",
    "  FATAL no",
    "java.io.IOException: no",
  ])
    expect([line, lastErrorOf(`before\n${line}\nafter`)]).toEqual([line, `${line}\nafter`]);
});

test("without an error the last error is the last three lines that are not empty", () => {
  expect(lastErrorOf("a\n\nb\n  \nc\nd\n")).toBe("b\nc\nd");
  expect(lastErrorOf("no errors here\n")).toBe("no errors here");
  expect(lastErrorOf("")).toBe("");
});

test("the last error has 12 lines at most, of 400 characters at most", () => {
  const lines = Array.from({ length: 20 }, (_, index) => `  at ${index}`);
  expect(lastErrorOf(["Error: no", ...lines].join("\n")).split("\n")).toEqual([
    "Error: no",
    ...lines.slice(0, 11),
  ]);
  expect(lastErrorOf(`Error: ${"x".repeat(500)}`)).toHaveLength(400);
});
