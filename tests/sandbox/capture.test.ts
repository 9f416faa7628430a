// The kept output of a command: whole, or its beginning and its end.

import { expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import { Capture } from "../../src/sandbox/capture.ts";

const NOTE = /\n\[(\d+) bytes? of output (?:are|is) left out here\]\n/;

async function captured(chunks: readonly (string | Buffer)[], bytesMax: number) {
  const stream = new PassThrough();
  const totals: number[] = [];
  const capture = new Capture(stream, bytesMax, (total) => totals.push(total));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await new Promise((resolve) => stream.once("end", resolve));
  const text = Buffer.from(capture.bytes).toString("utf8");
  return { text: text.replace(NOTE, "<$1>"), dropped: capture.dropped, totals };
}

test.each([
  [["0123456789"], 10, "0123456789"],
  [["0123", "4567", "89"], 10, "0123456789"],
  [[], 10, ""],
  [["0123456789a"], 10, "01234<1>6789a"],
  [["0123456789ab", "cdef"], 10, "01234<6>bcdef"],
  [[..."0123456789abcdef"], 10, "01234<6>bcdef"],
  [["0123456789a"], 9, "01234<2>789a"],
  [["01"], 1, "0<1>"],
  [["01"], 0, "<2>"],
])("of %j with room for %d bytes, %j is kept", async (chunks, bytesMax, kept) => {
  const { text, dropped, totals } = await captured(chunks, bytesMax);
  expect(text).toBe(kept);
  const length = chunks.join("").length;
  expect(dropped).toBe(Math.max(0, length - bytesMax));
  expect(totals.at(-1) ?? 0).toBe(length);
});

test.each([
  ["aé".repeat(4), 6, "aé<6>aé"],
  ["漢字漢字", 8, "漢<4>字"],
  ["漢字漢字", 10, "漢<2>字"],
  ["🎲🎲🎲", 6, "<6>"],
  ["🎲🎲🎲", 8, "🎲<4>🎲"],
  ["aé漢🎲🎲漢éa", 12, "aé漢<8>漢éa"],
])("of %j with room for %d bytes, no character is cut: %j", async (chunk, bytesMax, kept) => {
  expect((await captured([chunk], bytesMax)).text).toBe(kept);
});

test("bytes that are no text are kept as they are", async () => {
  const stream = new PassThrough();
  const capture = new Capture(stream, 4, () => undefined);
  stream.write(Buffer.from([0xff, 0x41, 0, 0xfe, 0x42, 0xff]));
  await new Promise((resolve) => setImmediate(resolve));
  const bytes = Buffer.from(capture.bytes);
  expect([...bytes.subarray(0, 1)]).toEqual([0xff]);
  expect([...bytes.subarray(-2)]).toEqual([0x42, 0xff]);
});
