// Files in a sandbox, by commands of plain processes.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox } from "../../src/sandbox/contract.ts";
import { exec } from "../../src/sandbox/exec.ts";
import { download, upload } from "../../src/sandbox/files.ts";
import { Lease } from "../../src/sandbox/lease.ts";
import { ProcessSandboxes } from "../../src/sandbox/process.ts";
import { SPEC } from "../parts/sandbox-spec.ts";
import { type ScriptedProcess, ScriptedSandbox } from "../parts/scripted-sandbox.ts";

const TIME = { timeoutMs: 20_000 };
let root: string;
let lease: Lease;
let sandbox: Sandbox;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "matrix-files-"));
  lease = await Lease.take({ run: "files", host: "test" }, { root });
  sandbox = await new ProcessSandboxes(lease).start(SPEC);
});
afterAll(async () => {
  await sandbox.stop();
  await lease.release();
  await rm(root, { recursive: true, force: true });
});

const text = async (path: string, bytesMax = 1000) =>
  Buffer.from(await download(sandbox, path, bytesMax, TIME)).toString("utf8");
test.each(["plain", "deep/er/file", "-rf", "with space", "it's", "$(id)", 'a"b', "ü/漢字"])(
  "a file named %j is written with its folders, and read back",
  async (path) => {
    await upload(sandbox, path, Buffer.from(path), TIME);
    expect(await text(path)).toBe(path);
  },
);

test("a file is overwritten, and an empty file is a file", async () => {
  await upload(sandbox, "again", Buffer.from("longer"), TIME);
  await upload(sandbox, "again", new Uint8Array(), TIME);
  expect(await text("again")).toBe("");
});

test("a file as large as allowed is read, and a larger one is refused", async () => {
  await upload(sandbox, "ten", Buffer.from("0123456789"), TIME);
  expect(await text("ten", 10)).toBe("0123456789");
  await expect(text("ten", 9)).rejects.toMatchObject({
    code: "agent_failed",
    message: "cannot read ten: it is larger than 9 bytes; read a part of it by a command",
  });
});

test("a missing file is refused by name", async () => {
  await expect(text("missing")).rejects.toMatchObject({
    code: "agent_failed",
    message: "cannot read missing: there is no such file",
  });
});

const run = (script: string) =>
  exec(sandbox, { args: ["/bin/sh", "-c", script], ...TIME, outputBytesMax: 1000 });
const messageOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing was thrown",
    (thrown) => thrown.message,
  );

test.each([
  ["folder", "it is a folder"],
  ["folder/", "its name ends in /, so it is a folder"],
  ["pipe", "it is a pipe, a socket or a device, not a file"],
  ["/dev/zero", "it is a pipe, a socket or a device, not a file"],
  ["dangling", "it is a link to a file that is not there"],
  ["circle", "it is a link to a file that is not there"],
  ["plainly/below", "there is no such file"],
  ["sparse", "it is larger than 1000 bytes; read a part of it by a command"],
  ["to-pipe", "it is a pipe, a socket or a device, not a file"],
])("reading %s ends at once: %s", async (path, why) => {
  await run(
    "mkdir -p folder; [ -p pipe ] || mkfifo pipe; ln -sf gone dangling; ln -sf circle circle; " +
      "ln -sf pipe to-pipe; echo x >plainly; truncate -s 4G sparse",
  );
  expect(await messageOf(text(path))).toBe(`cannot read ${path}: ${why}`);
});

test.each([
  ["folder", "it is a folder"],
  ["new/", "its name ends in /, so it is a folder"],
  ["pipe", "it is a pipe, a socket or a device, not a file"],
  ["/dev/full", "it is a pipe, a socket or a device, not a file"],
  ["plainly/below", "a part of its path is a file, not a folder"],
  ["plainly/below/deep", "a part of its path is a file, not a folder"],
  ["n".repeat(300), "its name is too long"],
  ["/proc/none/x", "its folder is not there"],
  ["circle", "its path is a circle of links"],
])("writing %s ends at once: %s", async (path, why) => {
  await run("mkdir -p folder; [ -p pipe ] || mkfifo pipe; echo x >plainly; ln -sf circle circle");
  expect(await messageOf(upload(sandbox, path, Buffer.from("x"), TIME))).toBe(
    `cannot write ${path}: ${why}`,
  );
});

test.each([
  ["sh: 1: cannot create f: Read-only file system", "this place cannot be written to; use /tmp or"],
  ["cat: write error: No space left on device", "there is no space left, and it may be written in"],
  ["sh: can't create f: Permission denied", "there is no permission for it"],
  ["words of a shell that we do not know", "words of a shell that we do not know"],
])("the words %j become words for a model", async (said, why) => {
  const failing = played(({ stderr, exit }) => {
    stderr.write(said);
    exit(1);
  });
  expect(await messageOf(upload(failing, "f", new Uint8Array(), TIME))).toStartWith(
    `cannot write f: ${why}`,
  );
});

test("a write goes through a link to its file", async () => {
  await run("echo old >target; ln -sf target link");
  await upload(sandbox, "link", Buffer.from("new"), TIME);
  expect(await text("target")).toBe("new");
});

test("a file of the kernel, whose size is said to be 0, is read", async () => {
  expect(await text("/proc/sys/kernel/ostype")).toBe("Linux\n");
});

const played = (program: (process: ScriptedProcess) => void) =>
  new ScriptedSandbox("box", { program });

test("a failed command without a word is named by its exit code", async () => {
  const silent = played(({ exit }) => exit(5));
  await expect(download(silent, "f", 1, TIME)).rejects.toThrow("cannot read f: exit 5");
});

test("a command past its time is named by the limit", async () => {
  const slow = played(({ stderr }) => stderr.write("never shown"));
  await expect(upload(slow, "f", new Uint8Array(), { timeoutMs: 3 })).rejects.toThrow(
    "cannot write f: it took longer than 3 ms",
  );
});
