// Lines of an agent's stdout: which are replies, and which break the reader off.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Reply, ReplyLines } from "../../src/sandbox/reply-lines.ts";

/** Refuses the reply that fills `repliesMax`. */
function reader(lineBytesMax = 1000, repliesMax = Number.POSITIVE_INFINITY) {
  const replies: (readonly [string, Reply])[] = [];
  const breaks: (readonly [string, string])[] = [];
  const lines = new ReplyLines({
    lineBytesMax,
    onReply: (id, reply) => replies.push([id, reply]) < repliesMax,
    onBreak: (what, line) => breaks.push([what, line.toString("utf8")]),
  });
  return { lines, push: (text: string) => lines.push(Buffer.from(text)), replies, breaks };
}

test.each([
  ['{"id":"7","ok":true,"result":{"a":1}}', "7", { ok: true, result: { a: 1 } }],
  ['{"id":"7","ok":true}', "7", { ok: true, result: null }],
  ['{"id":"7","ok":true,"result":false}', "7", { ok: true, result: false }],
  ['{"ok":true,"result":1}', "", { ok: true, result: 1 }],
  ['{"id":7,"ok":true}', "", { ok: true, result: null }],
  [
    '{"id":"7","ok":true,"result":{"id":1234567890123456789}}',
    "7",
    { ok: true, result: { id: 1234567890123456789n } },
  ],
  [
    '{"id":"1","ok":false,"error":{"kind":"ValueError","message":"no"}}',
    "1",
    { ok: false, kind: "ValueError", message: "no" },
  ],
  [
    '{"id":"1","ok":false,"error":{"kind":"E","message":"m","stack":"s","fatal":true,"retry_after":1.5}}',
    "1",
    { ok: false, kind: "E", message: "m", stack: "s", fatal: true, retryAfterMs: 1500 },
  ],
  [
    '{"id":"1","ok":false,"error":{"kind":"E","message":"m","stack":1,"fatal":1,"retry_after":-1}}',
    "1",
    { ok: false, kind: "E", message: "m" },
  ],
  ['{"id":"1","ok":false,"error":{}}', "1", { ok: false, kind: "error", message: "{}" }],
  [
    '{"id":"1","ok":false,"error":{"kind":1,"message":2}}',
    "1",
    { ok: false, kind: "error", message: '{"kind":1,"message":2}' },
  ],
  ['{"id":"1","ok":false,"error":"text"}', "1", { ok: false, kind: "error", message: '"text"' }],
  ['{"id":"1","ok":false}', "1", { ok: false, kind: "error", message: "null" }],
  ['  {"id":"1","ok":true}\r', "1", { ok: true, result: null }],
] as const)("the line %j is a reply", (line, id, reply) => {
  const { push, replies, breaks } = reader();
  push(`${line}\n`);
  expect(replies).toEqual([[id, reply]]);
  expect(breaks).toEqual([]);
});

test.each([
  "Loading…",
  "[1]",
  "null",
  "1",
  '{"id":"1"}',
  '{"id":"1","ok":"yes"}',
  '{"id":"1","ok":1}',
  '{"id":"1","ok":true',
])("the line %j is not a reply and breaks the reader off", (line) => {
  const { push, replies, breaks } = reader();
  push(`${line}\n{"id":"2","ok":true}\n`);
  push('{"id":"3","ok":true}\n');
  expect(breaks).toEqual([["wrote a line that is not a reply", line]]);
  expect(replies).toEqual([]);
});

test("replies are the same whatever chunks they come in", () => {
  const text =
    '{"id":"1","ok":true,"result":"ü🎲"}\n\n{"id":"2","ok":true}\n{"id":"3","ok":true}\n';
  const bytes = Buffer.from(text);
  for (let size = 1; size <= bytes.length; size++) {
    const { lines, replies, breaks } = reader();
    for (let at = 0; at < bytes.length; at += size) lines.push(bytes.subarray(at, at + size));
    expect({ size, replies, breaks }).toEqual({
      size,
      replies: [
        ["1", { ok: true, result: "ü🎲" }],
        ["2", { ok: true, result: null }],
        ["3", { ok: true, result: null }],
      ],
      breaks: [],
    });
  }
});

test("any replies survive any cuts, and any other text breaks the reader off at most once", () => {
  const reply = fc.record({ id: fc.string(), ok: fc.constant(true), result: fc.jsonValue() });
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(reply), cuts, (sent, sizes) => {
      const bytes = Buffer.from(sent.map((one) => `${JSON.stringify(one)}\n`).join(""));
      const { lines, replies, breaks } = reader(10_000);
      for (let at = 0, n = 0; at < bytes.length; n++) {
        const size = sizes[n % sizes.length] ?? 1;
        lines.push(bytes.subarray(at, at + size));
        at += size;
      }
      const heard = replies.map(([id, { ok, ...rest }]) => ({ id, ok, ...rest }));
      expect(JSON.stringify(heard)).toBe(JSON.stringify(sent));
      expect(breaks).toEqual([]);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (chunks) => {
      const { lines, breaks } = reader(20);
      for (const chunk of chunks) lines.push(Buffer.from(chunk));
      expect(breaks.length).toBeLessThan(2);
    }),
  );
});

test("a line may have as many bytes as the limit, and not one more", () => {
  const line = '{"id":"1","ok":true,"result":"ü"}';
  const bytes = Buffer.byteLength(line);
  const exact = reader(bytes);
  exact.push(`${line}\n`);
  expect(exact.replies).toHaveLength(1);
  const short = reader(bytes - 1);
  short.push(`${line}\n`);
  expect(short.breaks).toEqual([[`wrote a line longer than ${bytes - 1} bytes`, line]]);
});

test("a line without an end breaks the reader off at the limit, and shows its beginning", () => {
  const { push, breaks } = reader(10);
  push("12345");
  push("67890");
  expect(breaks).toEqual([]);
  push("x");
  push("y");
  expect(breaks).toEqual([["wrote a line longer than 10 bytes", "12345"]]);
});

test("a line that ends in a later chunk counts as a whole", () => {
  const { push, breaks } = reader(10);
  push("12345");
  push("678901\n");
  expect(breaks).toEqual([["wrote a line longer than 10 bytes", "12345678901"]]);
});

test("100,000 blank lines in a row are accepted, and one more is not", () => {
  const { push, breaks, replies } = reader();
  const blanks = " \t\r\n".repeat(50_000);
  push(blanks);
  push(blanks);
  push('{"id":"1","ok":true}\n');
  push(blanks);
  push(blanks);
  expect([replies.length, breaks.length]).toEqual([1, 0]);
  push("\n");
  expect(breaks).toEqual([["writes nothing but blank lines", ""]]);
});

test("a blank line of 100 bytes or more is not a reply", () => {
  const accepted = reader();
  accepted.push(`${" ".repeat(99)}\n`);
  expect(accepted.breaks).toEqual([]);
  const refused = reader();
  refused.push(`${" ".repeat(100)}\n`);
  expect(refused.breaks).toHaveLength(1);
});

test("a stopped reader ignores what comes, also the rest of a chunk", () => {
  const replies: string[] = [];
  const lines = new ReplyLines({
    lineBytesMax: 100,
    onReply: (id) => {
      replies.push(id);
      lines.stop();
      return true;
    },
    onBreak: () => replies.push("broken off"),
  });
  lines.push(Buffer.from('{"id":"1","ok":true}\n{"id":"2","ok":true}\nrest'));
  lines.push(Buffer.from("x\n"));
  expect(replies).toEqual(["1"]);
});

test("a reply to no open request breaks the reader off, and what follows is ignored", () => {
  const { push, replies, breaks } = reader(1000, 2);
  push('{"id":"1","ok":true}\n{"id":"2","ok":true}\n{"id":"3","ok":true}\n');
  expect(replies.map(([id]) => id)).toEqual(["1", "2"]);
  expect(breaks).toEqual([["replied to no open request", '{"id":"2","ok":true}']]);
});
