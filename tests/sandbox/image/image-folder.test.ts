// The folder of an image: its files, its hash and its name.

import { expect, test } from "bun:test";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  filesIn,
  hashFolder,
  imageNameOf,
  noImage,
} from "../../../src/sandbox/image/image-folder.ts";
import { withFolder } from "../../parts/folder.ts";

async function write(folder: string, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), name);
  }
}

test("the files of a folder are sorted, without caches and version control", () =>
  withFolder(async (folder) => {
    await write(folder, "b", "a/z", "a/b/c", ".git/config", "a/__pycache__/x.pyc", "x.git", ".env");
    await symlink(join(folder, "b"), join(folder, "link"));
    expect(await filesIn(folder)).toEqual([".env", "a/b/c", "a/z", "b", "x.git"]);
  }));

test("the hash has 12 digits, and follows the names and contents of files alone", () =>
  withFolder(async (folder) => {
    const [one, other] = [join(folder, "one"), join(folder, "other")];
    await write(one, "a", "b/c");
    await write(other, "a", "b/c", ".git/x");
    const hash = await hashFolder(one);
    expect(hash).toMatch(/^[0-9a-f]{12}$/);
    expect(await hashFolder(other)).toBe(hash);
    await writeFile(join(other, "a"), "changed");
    const changed = await hashFolder(other);
    expect(changed).not.toBe(hash);
    await rename(join(other, "a"), join(other, "d"));
    expect(await hashFolder(other)).not.toBe(changed);
  }));

test.each([
  ["/x/My Image (2)", "my-image-2-"],
  ["/x/tau2_v1.0", "tau2_v1.0"],
  ["/x/ünï", "-n-"],
])("the image of the folder %s is named %s", (folder, name) => {
  expect(imageNameOf(folder)).toBe(name);
});

test("an image that cannot be used fails with sandbox_invalid and the reason", () => {
  expect(noImage("./x", "it is empty")).toMatchObject({
    code: "sandbox_invalid",
    message: "./x is not an image: it is empty",
  });
});
