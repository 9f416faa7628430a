// Changes of every odd kind, made by two shell scripts, and the proof that a patch makes them
// again.

import { expect } from "bun:test";
import { compareTrees } from "../../src/sandbox/changes/changes.ts";
import { type Tree, type TreeOptions, takeTree } from "../../src/sandbox/changes/tree.ts";
import type { Sandbox } from "../../src/sandbox/contract.ts";
import { exec } from "../../src/sandbox/exec.ts";

const TIME = { timeoutMs: 30_000 };
const MIB = 2 ** 20;

const BEFORE = String.raw`printf 'one\ntwo\nthree' > text; printf 'a\r\nb\r\n' > crlf
printf x > 'with space'; printf '\000\001' > binary; printf 'caf\351' > latin
printf n > "$(printf 'caf\351')"; mkdir -p deep/er; echo gone > deep/er/gone
ln -s text link; ln -s text becomes-file; echo f > becomes-link; echo run > executable
chmod +x executable; echo run > made-executable; seq 1 4000 > replaced; echo f > becomes-folder
mkdir becomes-plain; echo in > becomes-plain/in; : > empty-gone; : > filled; echo c > emptied
mkdir -p nested/.git; echo core > nested/.git/config; echo n > nested/file; echo same > same
printf '*\n' > .gitignore; mkdir -p .git; printf '[core]\n\tautocrlf = true\n' > .git/config
head -c 1048577 /dev/zero > large; head -c 1048577 /dev/zero > large-same; echo old > moved
mkdir -p __pycache__; echo o > __pycache__/old.pyc; ln same twin`;

const AFTER = String.raw`printf 'one\n2\nthree\n' > text; printf 'a\r\nB\r\n' > crlf
printf 'y z' > 'with space'; printf '\000\002' > binary; printf 'caf\350' > latin
printf m > "$(printf 'caf\351')"; rm -r deep; ln -sfn nowhere link
rm becomes-file; echo now > becomes-file; rm becomes-link; ln -s text becomes-link
chmod -x executable; chmod +x made-executable; seq 10001 14000 > replaced
rm becomes-folder; mkdir becomes-folder; echo x > becomes-folder/x
rm -r becomes-plain; echo plain > becomes-plain; rm empty-gone; echo e > filled; : > emptied
echo changed > nested/.git/config; echo m >> nested/file; echo evil > .git/config
echo new > "$(printf 'new\nline"q\\')"; printf q > "$(printf 'tab\ttab')"; echo u > "$(printf '\346\274\242')"
echo d > -dash; echo s > ' around '; printf '#!/bin/sh\n' > script; chmod 755 script
ln -s '../o t' new-link; : > new-empty; printf '\001bin\000' > new-binary; rm -f large
head -c 1048578 /dev/zero > new-large; mv moved renamed; mkfifo pipe; mkdir new-folder
echo p > __pycache__/new.pyc; mkdir -p node_modules/p; echo j > node_modules/p/i.js
touch x.o .DS_Store; rm -rf __pycache__/old.pyc; printf '\000' > "$(printf '\303\251\302')"`;

const LARGE =
  "its content was not read: it has more than 1048576 bytes, or the folder is too large";

/** The changes between the scripts, in the order of the bytes of their paths. */
const CHANGES = [
  { path: " around ", change: "added" },
  { path: "-dash", change: "added" },
  { path: "becomes-file", change: "changed" },
  { path: "becomes-folder", change: "removed" },
  { path: "becomes-folder/x", change: "added" },
  { path: "becomes-link", change: "changed" },
  { path: "becomes-plain", change: "added" },
  { path: "becomes-plain/in", change: "removed" },
  { path: "binary", change: "changed" },
  { path: '"caf\\351"', change: "changed" },
  { path: "crlf", change: "changed" },
  { path: "deep/er/gone", change: "removed" },
  { path: "emptied", change: "changed" },
  { path: "empty-gone", change: "removed" },
  { path: "executable", change: "changed" },
  { path: "filled", change: "changed" },
  { path: "large", change: "removed", left_out: LARGE },
  { path: "latin", change: "changed" },
  { path: "link", change: "changed" },
  { path: "made-executable", change: "changed" },
  { path: "moved", change: "removed" },
  { path: "nested/file", change: "changed" },
  { path: 'new\nline"q\\', change: "added" },
  { path: "new-binary", change: "added" },
  { path: "new-empty", change: "added" },
  { path: "new-large", change: "added", left_out: LARGE },
  { path: "new-link", change: "added" },
  { path: "renamed", change: "added" },
  { path: "replaced", change: "changed" },
  { path: "script", change: "added" },
  { path: "tab\ttab", change: "added" },
  { path: "text", change: "changed" },
  { path: "with space", change: "changed" },
  { path: '"\\303\\251\\302"', change: "added" },
  { path: "漢", change: "added" },
] as const;

const all: TreeOptions = { ...TIME, keep: (content) => content };

/**
 * Makes the changes in a folder of a sandbox, and proves the list and the patch: git applies it in
 * `plain`, a sandbox of plain processes, to the same files, and gets the same ones.
 */
export async function proveOddChanges(sandbox: Sandbox, plain: Sandbox): Promise<void> {
  await run(sandbox, `mkdir odd; cd odd; ${BEFORE}`);
  const before = await takeTree(sandbox, "odd", all);
  await run(sandbox, `cd odd; ${AFTER}`);
  const after = await takeTree(sandbox, "odd", all);
  const { patch, ...found } = compareTrees(before, after, MIB);
  expect(found).toEqual({ changes: CHANGES } as never);
  if (Bun.which("git") === null) return;
  await run(plain, `mkdir apply; cd apply; ${BEFORE}; rm -r .git nested/.git`);
  await run(plain, "cd apply && GIT_CEILING_DIRECTORIES=$PWD/.. git apply -", patch);
  const applied = await takeTree(plain, "apply", all);
  const leftOut = new Set(found.changes.flatMap((one) => ("left_out" in one ? [one.path] : [])));
  expect(contentsOf(applied, leftOut)).toEqual(contentsOf(after, leftOut));
}

function contentsOf(tree: Tree, leftOut: ReadonlySet<string>): readonly unknown[] {
  return [...tree]
    .filter(([path]) => !leftOut.has(path))
    .map(([path, { mode, mark }]) => [path, mode, mark])
    .sort();
}

async function run(sandbox: Sandbox, script: string, stdin = ""): Promise<void> {
  const { exitCode, stderr } = await exec(sandbox, {
    ...TIME,
    args: ["/bin/sh", "-ec", script],
    stdin: Buffer.from(stdin),
    outputBytesMax: MIB,
  });
  expect({ exitCode, stderr: Buffer.from(stderr).toString() }).toEqual({ exitCode: 0, stderr: "" });
}
