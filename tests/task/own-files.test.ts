// Folders and files that no other user can prepare, read or lead elsewhere.

import { expect, test } from "bun:test";
import { closeSync } from "node:fs";
import {
  chmod,
  chown,
  lchown,
  link,
  mkdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import type { MatrixError } from "../../src/error.ts";
import { runChild } from "../../src/sandbox/spawn.ts";
import {
  makeOwnFolder,
  OWN_FILE,
  OWN_FOLDER,
  openOwn,
  openOwnSync,
  readOwn,
  refuseOthers,
} from "../../src/task/own-files.ts";
import { asUser } from "../parts/as-user.ts";
import { withFolder } from "../parts/folder.ts";
import { withForeignFolder } from "../parts/foreign-folder.ts";

const NOBODY = 65_534;

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o7777;
const refusal = (thrown: unknown): MatrixError => thrown as MatrixError;

test("a folder of ours is made with its parents and is closed to other users", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a", "b");
    await makeOwnFolder(path);
    await makeOwnFolder(path);
    expect([OWN_FOLDER, await modeOf(path)]).toEqual([0o700, 0o700]);
  }));

test.each([0o755, 0o777, 0o770, 0o701])("a folder of ours with mode %o is closed", (mode) =>
  withFolder(async (folder) => {
    await chmod(folder, mode);
    await makeOwnFolder(folder);
    expect(await modeOf(folder)).toBe(0o700);
  }),
);

test("a folder that only we can use keeps its mode", () =>
  withFolder(async (folder) => {
    await chmod(folder, 0o500);
    await makeOwnFolder(folder);
    expect(await modeOf(folder)).toBe(0o500);
    await chmod(folder, 0o700);
  }));

test("a link of our own leads to a folder, which is closed", () =>
  withFolder(async (folder) => {
    const far = join(folder, "far");
    await mkdir(far, { mode: 0o755 });
    await symlink(far, join(folder, "near"));
    await makeOwnFolder(join(folder, "near"));
    expect(await modeOf(far)).toBe(0o700);
  }));

test("a link to a folder of ours is followed, and refused when another user made it", () =>
  withFolder(async (folder) => {
    const near = join(folder, "near");
    await mkdir(join(folder, "far"), { mode: 0o700 });
    await symlink(join(folder, "far"), near);
    expect((await refuseOthers(near)).isDirectory()).toBe(true);
    // Only root can give a link away.
    if (process.getuid?.() !== 0) return;
    await lchown(near, 65_534, 65_534);
    await expect(makeOwnFolder(near)).rejects.toMatchObject({
      code: "not_private",
      message: `${near} is not this user's alone: it is a link that user 65534 made`,
    });
  }));

test("a file in the place of a folder is an error", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "file"), "");
    await expect(makeOwnFolder(join(folder, "file"))).rejects.toMatchObject({ code: "EEXIST" });
  }));

test("a place of another user is refused by name, with the user and what to do", () =>
  withForeignFolder(async (theirs, uid) => {
    for (const refuse of [makeOwnFolder, refuseOthers]) {
      const thrown = refusal(await refuse(theirs).catch((error: unknown) => error));
      expect([thrown.code, thrown.message, thrown.exitCode]).toEqual([
        "not_private",
        `${theirs} is not this user's alone: it belongs to user ${uid}`,
        2,
      ]);
      expect(thrown.hint).toContain("choose a place that only you can write to");
    }
  }));

for (const [name, opened] of [
  ["opened", async (path: string) => void (await (await openOwn(path, "a")).close())],
  ["opened at once", async (path: string) => closeSync(openOwnSync(path, "a"))],
] as const) {
  test(`a file that is ${name} is made for us alone, and grows`, () =>
    withFolder(async (folder) => {
      const path = join(folder, "file");
      await opened(path);
      expect([OWN_FILE, await modeOf(path)]).toEqual([0o600, 0o600]);
      await writeFile(path, "kept");
      await opened(path);
      expect(await readFile(path, "utf8")).toBe("kept");
    }));

  test(`a link is not followed by a file that is ${name}, also where it leads nowhere`, () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "theirs"), "theirs");
      for (const target of ["theirs", "nowhere"]) {
        const path = join(folder, `to-${target}`);
        await symlink(join(folder, target), path);
        await expect(opened(path)).rejects.toMatchObject({
          code: "not_private",
          message: `${path} is not this user's alone: it is a link`,
        });
      }
      expect(await readFile(join(folder, "theirs"), "utf8")).toBe("theirs");
      await expect(stat(join(folder, "nowhere"))).rejects.toThrow("ENOENT");
    }));

  test(`a pipe and a folder are not ${name} as a file, and hold nothing up`, () =>
    withFolder(async (folder) => {
      const pipe = join(folder, "pipe");
      await runChild("mkfifo", [pipe]);
      await expect(opened(pipe)).rejects.toThrow();
      await expect(opened(folder)).rejects.toThrow();
    }));
}

/** Runs as root only: nobody else can make files of another user. */
const asRoot = test.if(process.getuid?.() === 0);

asRoot("a folder of ours is refused while another user's file, folder or link is in it", () =>
  withFolder(async (folder) => {
    for (const make of [
      async (path: string) => writeFile(path, ""),
      async (path: string) => void (await mkdir(path)),
      async (path: string) => symlink("/etc/hostname", path),
    ]) {
      const path = join(folder, "left");
      await make(path);
      await makeOwnFolder(folder);
      await lchown(path, NOBODY, NOBODY);
      // The folder is closed by the first refusal, and the second one must not trust it for that.
      for (let round = 0; round < 2; round++)
        await expect(makeOwnFolder(folder)).rejects.toMatchObject({
          code: "not_private",
          message: `${path} is not this user's alone: it belongs to user ${NOBODY}`,
        });
      await rm(path, { recursive: true });
    }
    await makeOwnFolder(folder);
  }),
);

asRoot(
  "what root left in a folder of ours is trusted, and so is what the folder's owner left",
  () =>
    withForeignFolder(async (theirs, uid) => {
      await writeFile(join(theirs, "root"), "");
      await writeFile(join(theirs, "own"), "");
      await chown(join(theirs, "own"), uid, uid);
      await asUser(uid, () => makeOwnFolder(theirs));
    }),
);

test("a file of ours is read, also through a link of our own", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "file"), "text", { mode: 0o644 });
    await symlink(join(folder, "file"), join(folder, "link"));
    expect(await readOwn(join(folder, "file"))).toBe("text");
    expect(await readOwn(join(folder, "link"))).toBe("text");
  }));

test.each([0o620, 0o602])("a file with mode %o is not read: others may have written it", (mode) =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    await writeFile(path, "text");
    await chmod(path, mode);
    await expect(readOwn(path)).rejects.toMatchObject({
      code: "not_private",
      message: `other users may write to ${path}`,
      hint: `if you trust its content: chmod 600 ${path}`,
    });
  }),
);

test("a pipe holds no reader up, and a folder or nothing is an error of its own", () =>
  withFolder(async (folder) => {
    const pipe = join(folder, "pipe");
    await runChild("mkfifo", [pipe]);
    await expect(readOwn(pipe)).rejects.toMatchObject({
      message: `${pipe} is not this user's alone: it is not a file`,
    });
    await expect(readOwn(folder)).rejects.toMatchObject({ code: "EISDIR" });
    await expect(readOwn(join(folder, "none"))).rejects.toMatchObject({ code: "ENOENT" });
  }));

asRoot("another user's file, and a link that another user made, are not read", () =>
  withFolder(async (folder) => {
    const [file, link] = [join(folder, "file"), join(folder, "link")];
    await writeFile(file, "text");
    await symlink(file, link);
    await lchown(link, NOBODY, NOBODY);
    await expect(readOwn(link)).rejects.toMatchObject({
      message: `${link} is not this user's alone: it is a link that user ${NOBODY} made`,
    });
    await lchown(link, 0, 0);
    await chown(file, NOBODY, NOBODY);
    for (const path of [file, link])
      await expect(readOwn(path)).rejects.toMatchObject({
        code: "not_private",
        message: `${path} is not this user's alone: it belongs to user ${NOBODY}`,
      });
  }),
);

test("a file is changed in place, and one that is missing is not made", () =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    await expect(openOwn(path, "r+")).rejects.toMatchObject({ code: "ENOENT" });
    expect(() => openOwnSync(path, "r+")).toThrow("ENOENT");
    await writeFile(path, "abc");
    const file = await openOwn(path, "r+");
    await file.write("X", 0);
    await file.close();
    expect(await readFile(path, "utf8")).toBe("Xbc");
  }));

test("a hard link is a file like any other: backups make them", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "one"), "");
    await link(join(folder, "one"), join(folder, "two"));
    await (await openOwn(join(folder, "two"), "a")).close();
  }));
