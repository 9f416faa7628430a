// Trees of folders in a sandbox of plain processes.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Entry, type TreeOptions, takeTree } from "../../../src/sandbox/changes/tree.ts";
import type { Sandbox } from "../../../src/sandbox/contract.ts";
import { exec } from "../../../src/sandbox/exec.ts";
import { Lease } from "../../../src/sandbox/lease.ts";
import { ProcessSandboxes } from "../../../src/sandbox/process.ts";
import { proveOddChanges } from "../../parts/odd-changes.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { type ScriptedProcess, ScriptedSandbox } from "../../parts/scripted-sandbox.ts";

const ALL: TreeOptions = { timeoutMs: 20_000, keep: (content) => content };
let root: string;
let lease: Lease;
let sandbox: Sandbox;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "matrix-tree-"));
  lease = await Lease.take({ run: "tree", host: "test" }, { root });
  sandbox = await new ProcessSandboxes(lease).start(SPEC);
});
afterAll(async () => {
  await sandbox.stop();
  await lease.release();
  await rm(root, { recursive: true, force: true });
});

const sh = (script: string) =>
  exec(sandbox, { args: ["/bin/sh", "-c", script], outputBytesMax: 1000, timeoutMs: 20_000 });
/** What `git hash-object` says of "a". */
const ID_OF_A = "2e65efe2a145dda7ee51d1741299f848e5bf752e";

test("changes of every odd kind are listed, and git applies the patch", () =>
  proveOddChanges(sandbox, sandbox));

test("a tree has each file and link by its path, with mode, git's id and content", async () => {
  await sh(
    "mkdir -p full/sub; cd full; printf a > 'sub/a file'; chmod 755 'sub/a file'; ln -s to link; printf '\\377' > byte; mkdir bare",
  );
  const kept: string[] = [];
  const tree = await takeTree(sandbox, "full", {
    ...ALL,
    keep: (content, id, isText) => {
      kept.push(`${content.toString("latin1")} ${id.slice(0, 4)} ${isText}`);
      return isText ? content : null;
    },
  });
  expect([...tree].sort()).toEqual([
    [
      "byte",
      {
        mode: "100644",
        mark: expect.stringMatching(/^[0-9a-f]{40}$/),
        isRead: true,
        content: null,
        isText: false,
      },
    ],
    [
      "link",
      {
        mode: "120000",
        mark: "788636ffba34694361f7d7ee1970d96fb92c3168",
        isRead: true,
        content: Buffer.from("to"),
        isText: true,
      },
    ],
    [
      "sub/a file",
      { mode: "100755", mark: ID_OF_A, isRead: true, content: Buffer.from("a"), isText: true },
    ],
  ]);
  expect(kept.sort()[0]).toBe(`a ${ID_OF_A.slice(0, 4)} true`);
});

test("a file of 1 MiB is read, and a larger one has a mark of its content alone", async () => {
  await sh(
    "mkdir sizes; cd sizes; head -c 1048576 /dev/zero > most; head -c 1048577 /dev/zero > more; chmod +x more; cp more same; echo x >> same",
  );
  const tree = await takeTree(sandbox, "sizes", ALL);
  expect(tree.get("most")).toMatchObject({ isRead: true });
  expect(tree.get("more")).toMatchObject({ mode: "100755", isRead: false, content: null });
  expect(tree.get("more")?.mark).toMatch(/^\d+ 1048577$/);
  expect(tree.get("same")?.mark).toMatch(/^\d+ 1048579$/);
});

test("a file of more than 256 MiB is not read at all, and its size and times are its mark", async () => {
  await sh("mkdir huge; cd huge; dd if=/dev/zero of=file bs=1 count=0 seek=268435457");
  const tree = await takeTree(sandbox, "huge", ALL);
  expect(tree.get("file")).toMatchObject({ mode: "100644", isRead: false });
  expect(tree.get("file")?.mark).toMatch(/^-rw\S* +1 .* 268435457 /);
});

test("both names of a file have its content, and bytes with a zero are no text", async () => {
  await sh("mkdir twins; cd twins; printf a > one; ln one two; printf 'a\\000' > zero");
  const tree = await takeTree(sandbox, "twins", ALL);
  const content = Buffer.from("a");
  const entry = { mode: "100644", mark: ID_OF_A, isRead: true, content, isText: true } as const;
  expect([tree.get("one"), tree.get("two")]).toEqual([entry, entry]);
  expect(tree.get("zero")).toMatchObject({ isRead: true, isText: false });
});

test("a tree without tar has marks alone", async () => {
  await sh(
    "mkdir -p bin tarless; for t in find sh cksum readlink; do ln -s $(command -v $t) bin/; done",
  );
  await sh("cd tarless; printf a > file; ln -s to link");
  const bin = (await sh("cd bin; pwd")).stdout;
  const without = {
    open: (command: Parameters<Sandbox["open"]>[0]) =>
      sandbox.open({
        ...command,
        args: command.args.map((word) =>
          word.replace(
            'PATH="/usr/bin:/bin:$PATH"',
            `PATH='${Buffer.from(bin).toString().trim()}'`,
          ),
        ),
      }),
  } as Sandbox;
  const tree = await takeTree(without, "tarless", ALL);
  expect([...tree].sort()).toMatchObject([
    ["file", { mode: "100644", isRead: false, mark: expect.stringMatching(/^\d+ 1$/) }],
    ["link", { isRead: false, mark: "to" }],
  ]);
});

test("a program's own tar options and tools in its folder decide nothing", async () => {
  await sh("mkdir fooled; cd fooled; echo 'exit 1' > find; chmod +x find; printf a > file");
  const open: Sandbox["open"] = (command) =>
    sandbox.open({
      ...command,
      env: { TAR_OPTIONS: "--exclude=file", PATH: `.:${process.env["PATH"]}` },
    });
  const tree = await takeTree({ ...sandbox, open } as Sandbox, "fooled", ALL);
  expect(tree.get("file")?.mark).toBe(ID_OF_A);
});

test("an empty folder is an empty tree, and a missing folder is refused", async () => {
  await sh("mkdir nothing");
  expect([...(await takeTree(sandbox, "nothing", ALL))]).toEqual([]);
  await expect(takeTree(sandbox, "nowhere", ALL)).rejects.toMatchObject({
    code: "agent_failed",
    message: expect.stringMatching(/^cannot list nowhere in the sandbox: .*nowhere/),
  });
});

const played = (program: (process: ScriptedProcess) => void) =>
  new ScriptedSandbox("box", { program });

test("a listing that says nothing is named by its exit code, and a slow one by its limit", async () => {
  const silent = played(({ exit }) => exit(5));
  await expect(takeTree(silent, ".", ALL)).rejects.toThrow("cannot list . in the sandbox: exit 5");
  const slow = played(({ stdin }) => stdin.resume());
  await expect(takeTree(slow, ".", { ...ALL, timeoutMs: 3 })).rejects.toThrow(
    "cannot list . in the sandbox: it took longer than 3 ms",
  );
});

test("of a folder that is too large, the files before the cut are read, and no content is mixed up", async () => {
  await sh("mkdir many; cd many; for i in 1 2 3 4 5 6 7 8 9; do seq ${i}000 ${i}600 > f$i; done");
  const whole = await takeTree(sandbox, "many", ALL);
  const marks = new Set<number>();
  for (let bytesMax = 1000; bytesMax < 45_000; bytesMax += 2200) {
    const tree = await takeTree(sandbox, "many", { ...ALL, bytesMax });
    expect([...tree.keys()].sort()).toEqual([...whole.keys()].sort());
    const read = [...tree].filter(([, { mark }]) => mark !== null);
    for (const [path, entry] of read) expect(entry).toEqual(whole.get(path) as Entry);
    marks.add(read.length);
  }
  expect([...marks].sort()).toEqual([0, 1, 2, 3, 4, 5, 9]);
});

test("names after a cut are not known, and no other part is read", async () => {
  const box = played(({ stdout, exit }) => {
    stdout.write("./first\0./sec");
    exit(0);
  });
  expect([...(await takeTree(box, ".", ALL)).keys()]).toEqual(["first"]);
});

test("output that was cut leaves files unread, and keeps those before the cut", async () => {
  await sh("mkdir cut; cd cut; printf a > first; printf b > second");
  const { stdout } = await exec(sandbox, {
    ...{ timeoutMs: 20_000, outputBytesMax: 100_000 },
    args: [
      "/bin/sh",
      "-c",
      "cd cut; printf './first\\0./second\\0\\0\\0'; tar -cf - ./first; tar -cf - ./second",
    ],
  });
  // Two blocks are the header and the content of the first file.
  const begun = Buffer.from(stdout).indexOf(Buffer.from("./first"), 10);
  const cut = Buffer.from(stdout).subarray(0, begun + 1100);
  const box = played(({ stdout: out, exit }) => {
    out.write(cut);
    exit(0);
  });
  const tree = await takeTree(box, ".", ALL);
  expect(tree.get("first")?.mark).toBe(ID_OF_A);
  expect(tree.get("second")).toEqual({
    mode: "100644",
    mark: null,
    isRead: false,
    content: null,
    isText: false,
  });
});
