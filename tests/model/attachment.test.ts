import { expect, test } from "bun:test";
import { Attachment } from "../../src/model/attachment.ts";
import { withTexts } from "../../src/model/content-text.ts";
import type { ChatRequest } from "../../src/model/contract.ts";

const attachment = (bytes: Buffer, prefix = "p,", window = 3) =>
  new Attachment({
    ...{ prefix, sha256: "abc", bytes: bytes.length },
    *read() {
      for (let at = 0; at < bytes.length; at += window) yield bytes.subarray(at, at + window);
    },
  });

test.each([0, 1, 2, 3, 4, 5, 6, 7])(
  "the text of %d bytes has the length that is announced",
  async (n) => {
    const bytes = Buffer.alloc(n, 0xfb);
    const one = attachment(bytes);
    expect(await one.text()).toBe(`p,${bytes.toString("base64")}`);
    expect(one.textBytes).toBe((await one.text()).length);
    expect(JSON.stringify([one])).toBe('["p,sha256:abc"]');
  },
);

test("a request with texts has those of its images and its audio, and the rest as it was", async () => {
  const request: ChatRequest = {
    messages: [
      { role: "system", content: "s" },
      {
        role: "user",
        content: [
          { type: "text", text: "t" },
          { type: "image_url", image_url: { url: attachment(Buffer.from("abc")) } },
          { type: "image_url", image_url: { url: "https://example.org/a.png" } },
          {
            type: "input_audio",
            input_audio: { data: attachment(Buffer.from("d"), ""), format: "wav" },
          },
        ],
      },
      { role: "assistant", content: null },
    ],
    ...{ seed: 1, sampling: {}, origin: null },
  };
  const { messages, ...rest } = await withTexts(request);
  expect(rest).toEqual({ seed: 1, sampling: {}, origin: null });
  expect(messages).toEqual([
    { role: "system", content: "s" },
    {
      role: "user",
      content: [
        { type: "text", text: "t" },
        { type: "image_url", image_url: { url: "p,YWJj" } },
        { type: "image_url", image_url: { url: "https://example.org/a.png" } },
        { type: "input_audio", input_audio: { data: "ZA==", format: "wav" } },
      ],
    },
    { role: "assistant", content: null },
  ]);
  const plain = { ...request, messages: request.messages.slice(0, 1) };
  expect(await withTexts(plain)).toBe(plain);
});
