import { expect, test } from "bun:test";
import { Attachment } from "../../../src/model/attachment.ts";
import { encodeBody } from "../../../src/model/endpoint/request-body.ts";
import type { JsonObject } from "../../../src/task/json.ts";

const attachment = (bytes: string) =>
  new Attachment({
    ...{ prefix: "data:", sha256: "h", bytes: bytes.length },
    read: () => [Buffer.from(bytes)],
  });

test("a body without attachments is one text", () => {
  const body = { messages: [{ role: "user", content: "ż" }] };
  for (const mayAttach of [true, false])
    expect(encodeBody(body, mayAttach)).toBe('{"messages":[{"role":"user","content":"ż"}]}');
});

test("a body with attachments comes in pieces of the length that is announced, for every try", async () => {
  const body = { ż: [attachment("abc"), { text: "ł" }, attachment("de")] };
  const encoded = encodeBody(body as unknown as JsonObject, true);
  if (typeof encoded === "string") throw new Error("it is one text");
  const whole = '{"ż":["data:YWJj",{"text":"ł"},"data:ZGU="]}';
  for (let tries = 0; tries < 2; tries++)
    expect((await Array.fromAsync(encoded.pieces())).join("")).toBe(whole);
  expect(encoded.bytes).toBe(Buffer.byteLength(whole));
});
