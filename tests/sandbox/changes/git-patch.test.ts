// Patches of single files, as git writes them.

import { describe, expect, test } from "bun:test";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { gitPatch, quoted } from "../../../src/sandbox/changes/git-patch.ts";
import type { Entry } from "../../../src/sandbox/changes/tree.ts";
import { withFolder } from "../../parts/folder.ts";
import { entryOf } from "./entries.ts";

const NONE = "0".repeat(40);
const idOf = (content: string) => entryOf(content).mark;

test("a changed text is a patch of its lines, with three lines around each change", () => {
  const old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
  const young = "1\n2\n3\n4\nfive\n6\n7\n8\n9";
  expect(gitPatch("dir/a b", entryOf(old), entryOf(young))).toBe(
    `diff --git a/dir/a b b/dir/a b
index ${idOf(old)}..${idOf(young)} 100644
--- a/dir/a b\t
+++ b/dir/a b\t
@@ -2,8 +2,8 @@
 2
 3
 4
-5
+five
 6
 7
 8
-9
+9
\\ No newline at end of file
`,
  );
});

test("an added, a removed and an empty file have git's headers", () => {
  expect(gitPatch("a", null, entryOf("x\n", "100755"))).toBe(
    `diff --git a/a b/a\nnew file mode 100755\nindex ${NONE}..${idOf("x\n")}\n--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n+x\n`,
  );
  expect(gitPatch("a", entryOf("x"), null)).toBe(
    `diff --git a/a b/a\ndeleted file mode 100644\nindex ${idOf("x")}..${NONE}\n--- a/a\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n\\ No newline at end of file\n`,
  );
  const empty = `index ${NONE}..${idOf("")}\n`;
  expect(gitPatch("a", null, entryOf(""))).toBe(
    `diff --git a/a b/a\nnew file mode 100644\n${empty}`,
  );
});

test("another mode is told, with or without another content", () => {
  const modes = "diff --git a/a b/a\nold mode 100644\nnew mode 100755\n";
  expect(gitPatch("a", entryOf("x"), entryOf("x", "100755"))).toBe(modes);
  expect(gitPatch("a", entryOf("x\n"), entryOf("y\n", "100755"))).toBe(
    `${modes}index ${idOf("x\n")}..${idOf("y\n")}\n--- a/a\n+++ b/a\n@@ -1,1 +1,1 @@\n-x\n+y\n`,
  );
});

test("a link that becomes a file is removed and added, and a link with another target is changed", () => {
  const swapped = gitPatch("l", entryOf("to", "120000"), entryOf("x\n"));
  expect(swapped.match(/^(deleted|new) file mode \d+/gm)).toEqual([
    "deleted file mode 120000",
    "new file mode 100644",
  ]);
  const moved = gitPatch("l", entryOf("to", "120000"), entryOf("fro", "120000"));
  expect(moved).toContain(`index ${idOf("to")}..${idOf("fro")} 120000\n`);
});

test("bytes that are no text are written whole in git's form, whatever they were before", () => {
  const byte = entryOf(Buffer.from([0]));
  // The letters are those of the library that compresses; git reads them in the last test.
  const literal = /^GIT binary patch\nliteral 1\nI\S{15}\n\n$/;
  const header = `diff --git a/b b/b\nindex ${idOf("x")}..${byte.mark} 100644\n`;
  for (const before of [entryOf("x"), { ...entryOf("x"), content: null }]) {
    const patch = gitPatch("b", before, byte);
    expect(patch).toStartWith(header);
    expect(patch.slice(header.length)).toMatch(literal);
  }
  const gone = gitPatch("b", byte, null);
  expect(gone).toStartWith(
    `diff --git a/b b/b\ndeleted file mode 100644\nindex ${byte.mark}..${NONE}\nGIT binary patch\nliteral 0\n`,
  );
});

test("texts that differ in more than 2,000 lines are replaced whole", () => {
  const lines = (from: number, count: number) =>
    Array.from({ length: count }, (_, n) => `${from + n}\n`).join("");
  const same = "same\n";
  const compared = gitPatch("a", entryOf(same + lines(0, 1000)), entryOf(same + lines(5000, 1000)));
  expect(compared).toContain("\n same\n");
  const replaced = gitPatch("a", entryOf(same + lines(0, 1001)), entryOf(same + lines(5000, 1000)));
  expect(replaced).toContain("@@ -1,1002 +1,1001 @@\n-same\n");
  const added = gitPatch("a", null, entryOf(lines(0, 3000)));
  expect(added).toContain("@@ -0,0 +1,3000 @@\n+0\n");
});

test.each([
  ["a/b c-ü".replace("ü", "u"), "a/b c-u"],
  ['a"b', '"a\\"b"'],
  ["a\\b", '"a\\\\b"'],
  ["\x07\b\t\n\v\f\r", '"\\a\\b\\t\\n\\v\\f\\r"'],
  ["\x01\x7f\xc3\xbc", '"\\001\\177\\303\\274"'],
  ["~ !", "~ !"],
])("the name %j is written %s", (name, written) => {
  expect(quoted(name)).toBe(written);
});

describe.if(Bun.which("git") !== null)("git", () => {
  test("git applies patches of random texts and bytes, and gets the same files", () =>
    withFolder(async (folder) => {
      const line = fc.constantFrom("a", "b", "", "\r", "ü", "-- x", "+", "\\", "@@ -1 +1 @@");
      const text = fc.tuple(fc.array(line, { maxLength: 12 }), fc.boolean());
      const content = fc.oneof(
        text.map(([lines, ends]) => entryOf(lines.join("\n") + (ends ? "\n" : ""))),
        fc.uint8Array({ maxLength: 300 }).map((bytes) => entryOf(Buffer.from([0, ...bytes]))),
        fc.constant(null),
      );
      let patches = "";
      const pairs: (readonly [Entry | null, Entry | null])[] = fc.sample(
        fc.tuple(content, content),
        { numRuns: 300, seed: 7 },
      );
      await mkdir(join(folder, "files"));
      for (const [index, [before, after]] of pairs.entries()) {
        const path = `files/f ${index}`;
        if (before !== null) await writeFile(join(folder, path), before.content ?? "");
        if (before?.mark !== after?.mark) patches += gitPatch(path, before, after);
      }
      const child = Bun.spawn(["git", "apply", "--whitespace=nowarn", "-"], {
        cwd: folder,
        stdin: Buffer.from(patches),
        stderr: "pipe",
        env: { ...process.env, GIT_CEILING_DIRECTORIES: join(folder, "..") },
      });
      expect(await new Response(child.stderr).text()).toBe("");
      expect(await child.exited).toBe(0);
      for (const [index, [, after]] of pairs.entries()) {
        const found = await readFile(join(folder, `files/f ${index}`)).catch(() => null);
        const mark = found === null ? undefined : entryOf(found).mark;
        expect({ index, mark }).toEqual({ index, mark: after?.mark });
      }
    }));
});
