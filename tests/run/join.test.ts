// A process finds the driver of a run and proves that it belongs to the run.

import { expect, test } from "bun:test";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeDriverFile } from "../../src/records/driver-file.ts";
import {
  createFinder,
  defaultHostName,
  isComplete,
  readToken,
  runDirectoryOf,
} from "../../src/run/join.ts";
import { withFolder } from "../parts/folder.ts";
import { writeRun } from "../parts/run-directory.ts";

const TOKEN = "0123456789abcdef";

test("the token is that of MATRIX_TOKEN, or the trimmed text of the file in MATRIX_TOKEN_FILE", () =>
  withFolder(async (folder) => {
    const path = join(folder, "token");
    await writeFile(path, `${TOKEN}-in-a-file\n`);
    const env = { MATRIX_TOKEN_FILE: path };
    expect(await readToken(env)).toBe(`${TOKEN}-in-a-file`);
    expect(await readToken({ ...env, MATRIX_TOKEN: "" })).toBe(`${TOKEN}-in-a-file`);
    expect(await readToken({ ...env, MATRIX_TOKEN: TOKEN })).toBe(TOKEN);
    expect(await readToken({})).toBeNull();
    expect(await readToken({ MATRIX_TOKEN: "", MATRIX_TOKEN_FILE: "" })).toBeNull();
  }));

test("a token has at least 16 visible ASCII characters", () =>
  withFolder(async (folder) => {
    const path = join(folder, "token");
    for (const weak of [
      "0123456789abcde",
      "0123456789 abcdef",
      "0123456789abcdefü",
      "a\tb".repeat(9),
    ]) {
      await expect(readToken({ MATRIX_TOKEN: weak })).rejects.toMatchObject({
        code: "usage",
        message:
          "the token of MATRIX_TOKEN is too weak: it needs at least 16 visible ASCII characters",
        hint: "openssl rand -hex 32",
      });
      await writeFile(path, weak);
      await expect(readToken({ MATRIX_TOKEN_FILE: path })).rejects.toMatchObject({
        message: `the token of ${path} is too weak: it needs at least 16 visible ASCII characters`,
        hint: "openssl rand -hex 32",
      });
    }
  }));

test("a token file that cannot be read is named with its variable", () =>
  withFolder(async (folder) => {
    const path = join(folder, "none");
    await expect(readToken({ MATRIX_TOKEN_FILE: path })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(
        new RegExp(`^cannot read the token in ${path} \\(MATRIX_TOKEN_FILE\\): ENOENT`),
      ),
    });
  }));

const FILE = {
  format: "matrix-driver-1",
  url: "http://127.0.0.1:7400",
  token: "the-token-in-the-file",
  run: "r",
  driver: { pid: 1, machine: "m" },
  hosts: [],
  workers: [],
} as const;
const fileOf = (more: Partial<typeof FILE | { url: string }>) => ({
  ...FILE,
  ...more,
  hosts: [],
  workers: [],
});

test("the driver is found by its run directory or its file, with the file's token unless one is given", () =>
  withFolder(async (folder) => {
    const find = createFinder(folder, null, false);
    expect(await find()).toBeNull();
    await writeDriverFile(folder, fileOf({}));
    const found = { url: FILE.url, token: FILE.token };
    expect(await find()).toEqual(found);
    expect(await createFinder(join(folder, "driver.json"), null, false)()).toEqual(found);
    expect(await createFinder(folder, TOKEN, false)()).toEqual({ ...found, token: TOKEN });
  }));

test("the driver is found by the origin of its URL, and only with a token", async () => {
  const find = createFinder("http://localhost:7400/v1?x=1", TOKEN, false);
  expect(await find()).toEqual({ url: "http://localhost:7400", token: TOKEN });
  expect(() => createFinder("http://localhost:7400", null, false)).toThrow(
    "--join http://localhost:7400 needs the run's token",
  );
});

test("another machine is joined over TLS, or in cleartext when the user says so", () =>
  withFolder(async (folder) => {
    const url = "http://node7:7400";
    const refusal = {
      code: "usage",
      message: `${url} is another machine, in cleartext`,
      hint: "use https://, or pass --insecure here too when the driver runs with it",
    };
    expect(() => createFinder(url, TOKEN, false)).toThrow(refusal.message);
    expect(await createFinder(url, TOKEN, true)()).toEqual({ url, token: TOKEN });
    const secure = "https://node7:7400";
    expect(await createFinder(secure, TOKEN, false)()).toEqual({ url: secure, token: TOKEN });
    await writeDriverFile(folder, fileOf({ url }));
    await expect(createFinder(folder, null, false)()).rejects.toMatchObject(refusal);
    expect(await createFinder(folder, null, true)()).toMatchObject({ url });
  }));

test("the run directory is the folder of a manifest, whether it or a file in it is named", () =>
  withFolder(async (folder) => {
    const run = join(folder, "run");
    await mkdir(run);
    expect(runDirectoryOf(run)).toBeNull();
    await writeFile(join(run, "manifest.json"), "{}");
    expect(runDirectoryOf(run)).toBe(run);
    expect(runDirectoryOf(join(run, "driver.json"))).toBe(run);
    expect(runDirectoryOf("http://127.0.0.1:7400")).toBeNull();
  }));

test("a run is complete for a host when its manifest says so and no driver is at work there", () =>
  withFolder(async (folder) => {
    expect(await isComplete(folder)).toBe(false);
    await writeRun(folder, {}, []);
    expect(await isComplete(folder)).toBe(true);
    // A host may have joined by the driver's file, which is removed at the end.
    expect(await isComplete(join(folder, "driver.json"))).toBe(true);
    expect(await isComplete("http://127.0.0.1:7400")).toBe(false);
    await writeFile(join(folder, "driver.json"), "{");
    expect(await isComplete(folder)).toBe(false);
    await rm(join(folder, "driver.json"));
    const path = join(folder, "manifest.json");
    const complete = await readFile(path, "utf8");
    for (const text of [complete.replace('"complete"', '"running"'), ""]) {
      await writeFile(path, text);
      expect(await isComplete(folder)).toBe(false);
    }
  }));

test.each([
  [{}, "login3-7"],
  [{ SLURMD_NODENAME: "gpu-12" }, "gpu-12-7"],
  [{ SLURMD_NODENAME: "" }, "login3-7"],
  [{ POD_NAME: "coral-host-4" }, "coral-host-4"],
  [{ POD_NAME: "", SLURMD_NODENAME: "gpu-12.cluster" }, "gpu-12-7"],
])("a host without a name of its own is named after its place %j: %s", (env, name) => {
  expect(defaultHostName(env, "login3.cluster.example", 7)).toBe(name);
});
