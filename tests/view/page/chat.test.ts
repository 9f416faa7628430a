import { expect, test } from "bun:test";
import { chatMessageOf, imageOfPart, textOfPart } from "../../../src/view/page/trajectory/chat.ts";

test("a message is read with its reasoning, its calls and what else it has", () => {
  const message = chatMessageOf({
    ...{ role: "assistant", content: "a", reasoning_content: "because", refusal: "no", name: "n" },
    ...{ extra: 1, nothing: null },
    tool_calls: [
      { id: "1", type: "function", function: { name: "f", arguments: "{broken" } },
      { name: "g", arguments: { a: 1 } },
      7,
    ],
  });
  expect(message).toEqual({
    ...{ role: "assistant", name: "n", reasoning: "because", content: ["a"], refusal: "no" },
    calls: [
      { id: "1", name: "f", arguments: "{broken" },
      { id: null, name: "g", arguments: '{"a":1}' },
      { id: null, name: "a call without a name", arguments: "{}" },
    ],
    rest: { extra: 1 },
  });
});

test("a value without a role, or with neither content nor calls, is not a message", () => {
  for (const value of [null, 1, "a", [], {}, { role: "assistant" }, { content: "a" }, { role: 1 }])
    expect(chatMessageOf(value as never)).toBeNull();
  expect(chatMessageOf({ role: "assistant", content: null })).toMatchObject({
    ...{ content: [], calls: [], reasoning: null, refusal: null, name: null, rest: null },
  });
});

test("parts of content are texts or images", () => {
  const text = { type: "text", text: "a" };
  const image = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };
  expect(chatMessageOf({ role: "user", content: [text, image] })?.content).toEqual([text, image]);
  expect([textOfPart("a"), textOfPart(text), textOfPart(image)]).toEqual(["a", "a", null]);
  expect([imageOfPart(image), imageOfPart({ image_url: "x" }), imageOfPart(text)]).toEqual([
    ...["data:image/png;base64,AA==", "x", null],
  ]);
});
