// Files in a sandbox, by commands of plain processes.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox } from "../../src/sandbox/contract.ts";
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
    message: "ten is larger than 9 bytes",
  });
});

test("a missing file is refused with the command's own words", async () => {
  await expect(text("missing")).rejects.toMatchObject({
    code: "agent_failed",
    message: expect.stringMatching(/^cannot read missing in the sandbox: .*[Nn]o such file/),
  });
});

test("a file that cannot be written is refused", async () => {
  await upload(sandbox, "file", new Uint8Array(), TIME);
  await expect(upload(sandbox, "file/below", new Uint8Array(), TIME)).rejects.toThrow(
    /^cannot write file\/below in the sandbox: /,
  );
});

const played = (program: (process: ScriptedProcess) => void) =>
  new ScriptedSandbox("box", { program });

test("a failed command without a word is named by its exit code", async () => {
  const silent = played(({ exit }) => exit(5));
  await expect(download(silent, "f", 1, TIME)).rejects.toThrow(
    "cannot read f in the sandbox: exit 5",
  );
});

test("a command past its time is named by the limit", async () => {
  const slow = played(({ stderr }) => stderr.write("never shown"));
  await expect(upload(slow, "f", new Uint8Array(), { timeoutMs: 3 })).rejects.toThrow(
    "cannot write f in the sandbox: it took longer than 3 ms",
  );
});
