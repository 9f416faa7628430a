import { expect, test } from "bun:test";
import { pack, unpack } from "../../src/peer/msgpack.ts";

test("objects travel as maps and bytes as bytes, so that any MessagePack library can read them", () => {
  expect([...pack({ a: 1 })]).toEqual([0xde, 0, 1, 0xa1, 0x61, 1]);
  expect([...pack([null, true, "x"])]).toEqual([0x93, 0xc0, 0xc3, 0xa1, 0x78]);
  expect([...pack(new Uint8Array([7]))]).toEqual([0xc4, 1, 7]);
});

test("two bodies of one shape do not depend on each other", () => {
  const bodies = [
    { a: 1, b: 2 },
    { a: 3, b: 4 },
  ].map(pack);
  expect(unpack(bodies[1] as Uint8Array)).toEqual({ a: 3, b: 4 });
});
