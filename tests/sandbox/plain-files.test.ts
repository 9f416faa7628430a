// Files that sandboxes made set-user-id, after the sandboxes have ended.

import { expect, test } from "bun:test";
import { chmod, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PlainFiles } from "../../src/sandbox/plain-files.ts";
import { withFolder } from "../parts/folder.ts";
import { until } from "../parts/until.ts";

const withFiles = (use: (folder: string, plain: PlainFiles) => Promise<void>) =>
  withFolder(async (folder) => {
    const since = join(folder, "since");
    await make(join(folder, "earlier"), 0o4755);
    await writeFile(since, "");
    await until(async () => {
      await writeFile(join(folder, "tick"), "");
      return (await stat(join(folder, "tick"))).ctimeMs > (await stat(since)).ctimeMs;
    }, "the clock of the file system has gone on");
    await use(folder, new PlainFiles(since));
  });
async function make(path: string, mode: number): Promise<void> {
  await writeFile(path, "");
  await chmod(path, mode);
}
const modeOf = async (...path: readonly string[]) =>
  ((await stat(join(...path))).mode & 0o7777).toString(8);

test("files set-user-id or set-group-id are plain after a search, and earlier ones are kept", () =>
  withFiles(async (folder, plain) => {
    await make(join(folder, "user"), 0o4755);
    await make(join(folder, "it's a group"), 0o2711);
    await plain.make([folder]);
    expect(await modeOf(folder, "user")).toBe("755");
    expect(await modeOf(folder, "it's a group")).toBe("711");
    expect(await modeOf(folder, "earlier")).toBe("4755");
    await make(join(folder, "user"), 0o4750);
    await plain.make([folder]);
    expect(await modeOf(folder, "user")).toBe("750");
  }));

test("a search without a folder changes nothing, and a missing folder stops no other", () =>
  withFiles(async (folder, plain) => {
    await make(join(folder, "user"), 0o4755);
    await plain.make([]);
    expect(await modeOf(folder, "user")).toBe("4755");
    await plain.make([join(folder, "missing"), folder]);
    expect(await modeOf(folder, "user")).toBe("755");
  }));

test("calls at once are served each by a search that began after it", () =>
  withFiles(async (folder, plain) => {
    const names = ["a", "b", "c", "d"];
    const calls = names.map(async (name) => {
      await make(join(folder, name), 0o4755);
      await plain.make([folder]);
      expect(await modeOf(folder, name)).toBe("755");
    });
    await Promise.all(calls);
  }));
