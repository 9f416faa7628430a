// The file that keeps the windows of replicas over the starts of a run.

import { expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FoundWindowsFile } from "../../../src/model/replica/found-windows.ts";
import { withFolder } from "../../parts/folder.ts";
import { until } from "../../parts/until.ts";

const A = "http://a/v1";

test("the next start finds what the last one noted, by model and replica", () =>
  withFolder(async (folder) => {
    const first = await FoundWindowsFile.open(folder);
    expect(first.find("m", A)).toBeNull();
    first.note("m", A, 300);
    first.note("other", A, 20);
    expect(first.find("m", A)).toBe(300);
    await first.close();
    expect(await readdir(folder)).toEqual(["windows.json"]);
    const second = await FoundWindowsFile.open(folder);
    expect([second.find("m", A), second.find("other", A), second.find("m", "http://b")]).toEqual([
      300,
      20,
      null,
    ]);
    second.note("m", A, null);
    await second.close();
    expect(JSON.parse(await readFile(join(folder, "windows.json"), "utf8"))).toEqual({
      [`other ${A}`]: 20,
    });
  }));

test("a change is written while the run goes on, and what is as it was is not", () =>
  withFolder(async (folder) => {
    await using stack = new AsyncDisposableStack();
    const windows = await FoundWindowsFile.open(folder);
    stack.defer(() => windows.close());
    windows.note("m", A, null);
    await windows.close();
    expect(await readdir(folder)).toEqual([]);
    windows.note("m", A, 7);
    await until(async () => (await readdir(folder)).includes("windows.json"), "it is written");
  }));

for (const [name, text] of [
  ["torn", '{"m http'],
  ["no table", "[1]"],
  ["of other values", `{"m ${A}": "300", "m b": 0, "m c": 1.5, "m d": -1}`],
] as const) {
  test(`a file that is ${name} is as good as none`, () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "windows.json"), text);
      const windows = await FoundWindowsFile.open(folder);
      for (const replica of [A, "b", "c", "d"]) expect(windows.find("m", replica)).toBeNull();
    }));
}

test("a folder that is gone costs nothing", () =>
  withFolder(async (folder) => {
    const windows = await FoundWindowsFile.open(join(folder, "gone"));
    windows.note("m", A, 7);
    await windows.close();
    expect(windows.find("m", A)).toBe(7);
  }));
