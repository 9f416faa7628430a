// The list of changes between two trees, and what the patch leaves out.

import { expect, test } from "bun:test";
import { compareTrees } from "../../../src/sandbox/changes/changes.ts";
import type { Entry } from "../../../src/sandbox/changes/tree.ts";
import { entryOf, unreadEntry } from "./entries.ts";

const UNREAD =
  "its content was not read: it has more than 1048576 bytes, or the folder is too large";
const tree = (entries: Readonly<Record<string, Entry>>) => new Map(Object.entries(entries));

test("equal trees have no changes and an empty patch", () => {
  const same = tree({ a: entryOf("x\n"), big: unreadEntry("1 5") });
  expect(compareTrees(same, same, 100)).toEqual({ changes: [], patch: "" });
});

test("a patch has its files in the order of their paths' bytes", () => {
  const { changes, patch } = compareTrees(
    tree({ b: entryOf("b\n"), d: entryOf("d\n") }),
    tree({ e: entryOf("e\n"), b: entryOf("B\n"), B: entryOf("x\n") }),
    10_000,
  );
  expect(changes).toEqual([
    { path: "B", change: "added" },
    { path: "b", change: "changed" },
    { path: "d", change: "removed" },
    { path: "e", change: "added" },
  ]);
  expect(patch.match(/^diff --git .*/gm)).toEqual([
    "diff --git a/B b/B",
    "diff --git a/b b/b",
    "diff --git a/d b/d",
    "diff --git a/e b/e",
  ]);
});

test("a file for which the patch has no room is left out, and a smaller one after it is not", () => {
  const before = tree({});
  const after = tree({ a: entryOf("a".repeat(500)), b: entryOf("b\n") });
  const whole = compareTrees(before, after, 10_000).patch;
  const b = compareTrees(before, tree({ b: entryOf("b\n") }), 10_000).patch;
  expect(compareTrees(before, after, whole.length).patch).toBe(whole);
  const cut = (bytes: number) => compareTrees(before, after, bytes);
  const reason = (bytes: number) => `the patch would be longer than ${bytes} bytes`;
  const short = whole.length - b.length - 1;
  expect(cut(short)).toEqual({
    changes: [
      { path: "a", change: "added", left_out: reason(short) },
      { path: "b", change: "added" },
    ],
    patch: b,
  });
  expect(cut(whole.length - 1).changes[1]).toEqual({
    path: "b",
    change: "added",
    left_out: reason(whole.length - 1),
  });
  expect(cut(0).patch).toBe("");
});

test("a file that was not read is in the list when its mark differs, and never in the patch", () => {
  const large = (mark: string) => tree({ big: unreadEntry(mark) });
  const list = (before: ReturnType<typeof tree>, after: ReturnType<typeof tree>) =>
    compareTrees(before, after, 10_000);
  expect(list(large("1 5"), large("2 5"))).toEqual({
    changes: [{ path: "big", change: "changed", left_out: UNREAD }],
    patch: "",
  });
  const small = tree({ big: entryOf("x") });
  for (const [before, after] of [
    [large("1 5"), small],
    [small, large("1 5")],
  ] as const)
    expect(list(before, after).changes).toEqual([
      { path: "big", change: "changed", left_out: UNREAD },
    ]);
  expect(list(tree({}), large("1 5")).changes[0]?.left_out).toBe(UNREAD);
  expect(list(large("1 5"), tree({})).changes[0]?.left_out).toBe(UNREAD);
});

test("files without any mark at one moment are counted and not compared", () => {
  const before = tree({ a: unreadEntry(null), b: entryOf("x"), c: unreadEntry(null) });
  const after = tree({ a: entryOf("x"), b: unreadEntry(null) });
  expect(compareTrees(before, after, 100)).toEqual({
    changes: [{ path: "c", change: "removed", left_out: UNREAD }],
    patch: "",
    unread_files: 2,
  });
});

test("a list has 10,000 changes, and the number of further ones", () => {
  const many = (count: number) =>
    new Map(Array.from({ length: count }, (_, n) => [`f${n}`, unreadEntry("1 1")] as const));
  const full = compareTrees(tree({}), many(10_000), 0);
  expect([full.changes.length, full.more_changes]).toEqual([10_000, undefined]);
  const over = compareTrees(tree({}), many(10_001), 0);
  expect([over.changes.length, over.more_changes]).toEqual([10_000, 1]);
});

test("a path in UTF-8 is shown as it is, and other bytes as git writes them", () => {
  const shown = (path: string) =>
    compareTrees(tree({}), tree({ [path]: entryOf("x") }), 0).changes[0]?.path;
  expect(shown(Buffer.from("ü/漢 字").toString("latin1"))).toBe("ü/漢 字");
  expect(shown("caf\xe9")).toBe('"caf\\351"');
});
