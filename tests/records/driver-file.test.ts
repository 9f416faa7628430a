// driver.json: who can read it, by which paths it is found, and what is said of a file that is
// none.

import { expect, test } from "bun:test";
import { chmod, chown, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type DriverFile,
  DriverFileKeeper,
  readDriverFile,
  readEarlierDriver,
  removeDriverFile,
  writeDriverFile,
} from "../../src/records/driver-file.ts";
import { withFolder } from "../parts/folder.ts";
import { withForeignFolder } from "../parts/foreign-folder.ts";
import { until } from "../parts/until.ts";

const FILE: DriverFile = {
  format: "matrix-driver-1",
  url: "http://127.0.0.1:1",
  token: "secret",
  run: "r",
  driver: { pid: 5, machine: "m" },
  hosts: ["h1"],
  workers: [
    { name: "worker-1", id: "h1", pid: 6, startTime: "7" },
    { name: "worker-2", id: "h2", pid: 8, startTime: null },
  ],
};

test("a driver's file is found by folder and by path, for its owner alone", () =>
  withFolder(async (folder) => {
    await writeDriverFile(folder, FILE);
    expect(await readdir(folder)).toEqual(["driver.json"]);
    expect((await stat(join(folder, "driver.json"))).mode & 0o777).toBe(0o600);
    expect(await readDriverFile(folder)).toEqual(FILE);
    expect(await readDriverFile(join(folder, "driver.json"))).toEqual(FILE);
  }));

test.each([0o620, 0o602, 0o666])("a file that others may write to (%o) names no driver", (mode) =>
  withFolder(async (folder) => {
    await writeDriverFile(folder, FILE);
    const path = join(folder, "driver.json");
    await chmod(path, mode);
    await expect(readDriverFile(folder)).rejects.toMatchObject({
      code: "not_private",
      message: `other users may write to ${path}`,
      hint: `if you trust its content: chmod 600 ${path}`,
    });
    await chmod(path, 0o644);
    expect(await readDriverFile(folder)).toEqual(FILE);
  }),
);

test("a file of another user names no driver, so that no host runs what that user sends", () =>
  withForeignFolder(async (theirs) => {
    // Root may write there. Any other user has /proc/1, whose files are root's.
    const path = process.getuid?.() === 0 ? join(theirs, "driver.json") : "/proc/1/cmdline";
    if (process.getuid?.() === 0) {
      await writeDriverFile(theirs, FILE);
      await chown(path, 65_534, 65_534);
    }
    await expect(readDriverFile(path)).rejects.toMatchObject({ code: "not_private" });
  }));

test("a folder, a path that is not there and a removed file have no driver", () =>
  withFolder(async (folder) => {
    expect(await readDriverFile(folder)).toBeNull();
    expect(await readDriverFile(join(folder, "none"))).toBeNull();
    await writeDriverFile(folder, FILE);
    await removeDriverFile(folder);
    await removeDriverFile(folder);
    expect(await readDriverFile(folder)).toBeNull();
  }));

test("a file that is something else is named as such, with what is taken", () =>
  withFolder(async (folder) => {
    const path = join(folder, "driver.json");
    for (const text of [
      "{",
      "null",
      JSON.stringify({ ...FILE, format: "matrix-driver-2" }),
      JSON.stringify({ ...FILE, token: "" }),
      JSON.stringify({ ...FILE, more: 1 }),
      JSON.stringify({ ...FILE, workers: [{}] }),
    ]) {
      await writeFile(path, text);
      await expect(readDriverFile(folder)).rejects.toMatchObject({
        code: "usage",
        message: `${path} is not a driver's file`,
        hint: "--join takes a URL, or the driver.json of a run directory",
      });
    }
  }));

test("a file that cannot be read is an error that says why", () =>
  withFolder(async (folder) => {
    const name = "x".repeat(300);
    await expect(readDriverFile(join(folder, name))).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/^cannot read .*ENAMETOOLONG/),
    });
    await mkdir(join(folder, "driver.json"));
    expect(await readDriverFile(folder)).toBeNull();
  }));

test("a kept file follows its changes in order, and is gone after them", () =>
  withFolder(async (folder) => {
    const keeper = await DriverFileKeeper.create(folder, FILE);
    expect(await readDriverFile(folder)).toEqual(FILE);
    for (let number = 0; number < 20; number++) keeper.save({ hosts: [`h${number}`] });
    keeper.save({ url: "http://127.0.0.1:2" });
    const expected = { ...FILE, hosts: ["h19"], url: "http://127.0.0.1:2" };
    await until(
      async () => (await readDriverFile(folder))?.url === expected.url,
      "the last change is written",
    );
    expect(await readDriverFile(folder)).toEqual(expected);
    keeper.save({ hosts: [] });
    await keeper.remove();
    expect(await readdir(folder)).toEqual([]);
  }));

test("a change that cannot be written to the driver's file is dropped, and the next one is written", () =>
  withFolder(async (folder) => {
    let broken = false;
    const keeper = await DriverFileKeeper.create(folder, FILE, async () => {
      if (broken) throw new Error("no");
    });
    broken = true;
    keeper.save({ hosts: ["lost"] });
    keeper.save({ run: "lost, too" });
    await expect(keeper.remove()).rejects.toThrow("no");
    expect(await readDriverFile(folder)).toEqual(FILE);
    broken = false;
    keeper.save({ url: "http://again" });
    await until(
      async () => (await readDriverFile(folder))?.url === "http://again",
      "the change is written",
    );
    expect(await readDriverFile(folder)).toMatchObject({ hosts: ["lost"], run: "lost, too" });
    expect(await readdir(folder)).toEqual(["driver.json"]);
  }));

test("a driver's file that a power cut left empty or full of zeros is no driver's", () =>
  withFolder(async (folder) => {
    for (const text of ["", " \n", "\0".repeat(300)]) {
      await writeFile(join(folder, "driver.json"), text);
      expect(await readDriverFile(folder)).toBeNull();
    }
  }));

test("the next driver goes on without a driver's file that it cannot understand, and says so", () =>
  withFolder(async (folder) => {
    const path = join(folder, "driver.json");
    const warned: string[] = [];
    const read = () => readEarlierDriver(folder, (text) => warned.push(text));
    expect(await read()).toBeNull();
    await writeDriverFile(folder, FILE);
    expect(await read()).toEqual(FILE);
    expect(warned).toEqual([]);
    for (const text of ["", "\0\0", '{"format":"matrix-dri', "{}"]) {
      await writeFile(path, text);
      expect(await read()).toBeNull();
    }
    const then = "its driver counts as dead, and its hosts cannot be found";
    expect(warned).toEqual([
      `${path} is empty, as a power cut may leave it: ${then}`,
      `${path} is empty, as a power cut may leave it: ${then}`,
      `${path} is not a driver's file: ${then}`,
      `${path} is not a driver's file: ${then}`,
    ]);
  }));

test("a file that cannot be written in the first place is an error", () =>
  withFolder(async (folder) => {
    await expect(DriverFileKeeper.create(join(folder, "none"), FILE)).rejects.toThrow();
  }));
