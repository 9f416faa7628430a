// Lines of an agent's stderr, and its last words.

import { expect, test } from "bun:test";
import { knowSecret } from "../../src/known-secrets.ts";
import { StderrLines } from "../../src/sandbox/stderr-lines.ts";

function reader() {
  const heard: string[] = [];
  const lines = new StderrLines((line) => heard.push(line));
  return { lines, heard, push: (text: string) => lines.push(Buffer.from(text)) };
}

test("lines are the same whatever chunks they come in", () => {
  const bytes = Buffer.from("first ünit\n\n  \nsecond 🎲\nrest");
  for (let size = 1; size <= bytes.length; size++) {
    const { lines, heard } = reader();
    for (let at = 0; at < bytes.length; at += size) lines.push(bytes.subarray(at, at + size));
    expect({ size, heard, words: lines.lastWords }).toEqual({
      size,
      heard: ["first ünit", "second 🎲"],
      words: "first ünit\n\n  \nsecond 🎲\nrest",
    });
  }
});

test("a line of 4000 characters is passed whole, and a longer one is shortened", () => {
  const { heard, push } = reader();
  push(`${"a".repeat(4000)}\n`);
  push(`${"b".repeat(3000)}`);
  push(`${"b".repeat(3000)}\n`);
  expect(heard.map(({ length }) => length)).toEqual([4000, 4000]);
});

test("a line without an end is passed on in pieces of more than 4000 characters", () => {
  const { heard, push } = reader();
  push("a".repeat(5000));
  expect(heard).toEqual([]);
  push("b");
  expect(heard).toEqual(["a".repeat(4000)]);
  push("tail\n");
  expect(heard.at(-1)).toBe(`${"a".repeat(1000)}btail`);
});

test("a line without an end leaves less than two pieces behind, however large its chunks are", () => {
  const { heard, push } = reader();
  for (let chunk = 1; chunk <= 50; chunk++) {
    push("a".repeat(65_536));
    expect(chunk * 65_536 - heard.join("").length).toBeWithin(1, 5001);
  }
  expect(new Set(heard.map(({ length }) => length))).toEqual(new Set([4000]));
});

test("a secret is masked where it is cut: between chunks, pieces and before the last words", () => {
  const forget = knowSecret("secret-of-a-program", "KEY");
  try {
    const { heard, lines, push } = reader();
    push("say secret-of");
    push("-a-program now\n");
    expect(heard.at(-1)).toBe("say [KEY] now");
    expect(lines.lastWords).toBe("say [KEY] now");
    // The piece ends within the secret.
    push(`${"a".repeat(3990)}secret-of-a-program${"b".repeat(1000)}`);
    expect(heard.at(-1)).toBe(`${"a".repeat(3990)}[KEY]${"b".repeat(5)}`);
    // The last words begin within the secret.
    push(`\nsecret-of-a-program${"c".repeat(1990)}`);
    expect(lines.lastWords).toEndWith(`\n[KEY]${"c".repeat(1990)}`);
    expect(lines.lastWords).not.toContain("program");
    push("\n");
    push(`${"d".repeat(3995)}secret-of-a-program\n`);
    expect(heard.at(-1)).toBe(`${"d".repeat(3995)}[KEY]`);
  } finally {
    forget();
  }
});

test("the last words are the last 2000 characters without surrounding white space", () => {
  const { lines, push } = reader();
  expect(lines.lastWords).toBe("");
  push(`x${"y".repeat(1999)}`);
  expect(lines.lastWords).toHaveLength(2000);
  push("z");
  expect(lines.lastWords).toBe(`${"y".repeat(1999)}z`);
  push(`${" ".repeat(10)}\n`);
  expect(lines.lastWords).toBe(`${"y".repeat(1988)}z`);
});
