import { expect, test } from "bun:test";
import { type Line, splitLines } from "../../src/dataset/lines.ts";

async function linesOf(chunks: readonly Buffer[], bytesMax?: number): Promise<Line[]> {
  const source = (async function* () {
    yield* chunks;
  })();
  const lines: Line[] = [];
  for await (const batch of splitLines(source, bytesMax)) {
    expect(batch.length).toBeGreaterThan(0);
    lines.push(...batch);
  }
  return lines;
}

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
}

test("lines are the same for any cut of the bytes into chunks", async () => {
  const bytes = Buffer.from("a\r\nжж😀\u2028b\n\nlast");
  for (let size = 1; size <= bytes.length; size++)
    expect(await linesOf(cut(bytes, size))).toEqual([
      { text: "a\r", number: 1, offset: 0, bytes: 2, foreignAt: null, overlong: false },
      { text: "жж😀\u2028b", number: 2, offset: 3, bytes: 12, foreignAt: null, overlong: false },
      { text: "", number: 3, offset: 16, bytes: 0, foreignAt: null, overlong: false },
      { text: "last", number: 4, offset: 17, bytes: 4, foreignAt: null, overlong: false },
    ]);
});

test.each<[bytes: number[], foreignAt: number | null]>([
  [[0x61, 0xd0, 0xb6, 0xef, 0xbf, 0xbd], null],
  [[0xff], 2],
  [[0x61, 0x62, 0x80, 0x63], 4],
  [[0xd0, 0xb6, 0xd0, 0x61], 4],
  [[0x61, 0xf0, 0x9f, 0x98], 3],
  [[0xed, 0xa0, 0x80], 2],
])("the first byte of a line that is not UTF-8 is found: %p", async (bytes, foreignAt) => {
  const [, line] = await linesOf([Buffer.from("a\n"), Buffer.from(bytes)]);
  expect(line?.foreignAt).toBe(foreignAt);
});

test("a newline at the end of the stream begins no further line", async () => {
  expect(await linesOf([Buffer.from("a\n")])).toHaveLength(1);
  expect(await linesOf([Buffer.from("a\n\n")])).toHaveLength(2);
  expect(await linesOf([])).toEqual([]);
});

test("a line that is not UTF-8 is told, and its neighbours are sound", async () => {
  const lines = await linesOf([Buffer.from("a\n"), Buffer.from([0xff, 0x0a]), Buffer.from("b")]);
  expect(lines.map(({ foreignAt }) => foreignAt)).toEqual([null, 2, null]);
  expect(lines[1]).toMatchObject({ text: "\ufffd", offset: 2, bytes: 1 });
  expect(lines[2]).toMatchObject({ offset: 4 });
});

test("the beginning of a line survives when the stream reuses its buffer", async () => {
  const buffer = Buffer.from("ab");
  const reused = (async function* () {
    yield buffer;
    buffer.write("c\n");
    yield buffer;
  })();
  const lines: Line[] = [];
  for await (const batch of splitLines(reused)) lines.push(...batch);
  expect(lines.map(({ text }) => text)).toEqual(["abc"]);
});

test("a line may have as many bytes as allowed, and one more makes it overlong", async () => {
  const bytes = Buffer.from("x\n12345\n123456\nlast\n1234567");
  for (let size = 1; size <= bytes.length; size++)
    expect(
      (await linesOf(cut(bytes, size), 5)).map(({ text, offset, bytes, overlong }) => [
        text.slice(0, 6),
        offset,
        bytes,
        overlong,
      ]),
    ).toEqual([
      ["x", 0, 1, false],
      ["12345", 2, 5, false],
      ["123456", 8, 6, true],
      ["last", 15, 4, false],
      ["123456", 20, 7, true],
    ]);
});

test("64 KiB of an overlong line are kept", async () => {
  const chunk = Buffer.alloc(100_000, "a");
  const [line, next] = await linesOf([chunk, chunk, chunk, Buffer.from("b\nc")], 150_000);
  expect(line).toEqual({
    text: "a".repeat(65_536),
    number: 1,
    offset: 0,
    bytes: 300_001,
    foreignAt: null,
    overlong: true,
  });
  expect(next).toMatchObject({ text: "c", number: 2, offset: 300_002, overlong: false });
});
