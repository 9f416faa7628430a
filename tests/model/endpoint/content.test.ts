// Content in parts: text stays text, and thinking is kept apart from it.

import { expect, test } from "bun:test";
import { withTextContent } from "../../../src/model/endpoint/content.ts";
import type { Json } from "../../../src/task/json.ts";

const read = (...content: readonly Json[]) => withTextContent({ role: "assistant", content });

test("content that is text or missing stays as it is", () => {
  for (const message of [{ content: "x" }, { content: null }, {}])
    expect(withTextContent(message)).toBe(message);
});

test("parts of text become one text, and parts of other kinds are left out", () => {
  expect(
    read({ type: "text", text: "a" }, { type: "image" }, "b", { type: "text", text: 5 }),
  ).toEqual({ role: "assistant", content: "ab" });
  expect(read()).toEqual({ role: "assistant", content: null });
});

const thinking: Readonly<Record<string, Json>> = {
  Anthropic: { type: "thinking", thinking: "hm" },
  Mistral: {
    type: "thinking",
    thinking: [
      { type: "text", text: "h" },
      { type: "text", text: "m" },
    ],
  },
  "an OpenAI part": { type: "reasoning", text: "hm" },
  "an OpenAI summary": { type: "reasoning", summary: [{ type: "summary_text", text: "hm" }] },
  "a part with its own field": { type: "reasoning", reasoning: "hm" },
};
for (const [provider, part] of Object.entries(thinking)) {
  test(`thinking of ${provider} is kept as reasoning_content`, () => {
    expect(read(part, { type: "text", text: "yes" })).toEqual({
      role: "assistant",
      content: "yes",
      reasoning_content: "hm",
    });
  });
}

test("thinking that is signed or encrypted is kept whole, so that it can be sent back", () => {
  const signed = { type: "thinking", thinking: "hm", signature: "s" };
  const hidden = { type: "redacted_thinking", data: "xyz" };
  const encrypted = { type: "reasoning", encrypted_content: "e" };
  expect(read(signed, hidden, encrypted, { type: "thinking", thinking: "!" })).toEqual({
    role: "assistant",
    content: null,
    reasoning_content: "hm!",
    thinking_blocks: [signed, hidden, encrypted],
  });
});

test("thinking in parts follows the reasoning that the message has already", () => {
  const content = [{ type: "thinking", thinking: "m" }];
  expect(withTextContent({ content, reasoning_content: "h" })).toEqual({
    content: null,
    reasoning_content: "hm",
  });
});
