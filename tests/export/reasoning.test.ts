import { expect, test } from "bun:test";
import { reasoningOf } from "../../src/export/reasoning.ts";
import type { Json } from "../../src/task/json.ts";

const details = [
  { type: "reasoning.summary", summary: "In short. " },
  { type: "reasoning.encrypted", data: "x9" },
  { type: "reasoning.text", text: "In long.", signature: "s" },
];
const blocks = [
  { type: "thinking", thinking: "By blocks.", signature: "s" },
  { type: "redacted_thinking", data: "x9" },
];

test.each<[what: string, result: Json, found: object]>([
  ["reasoning_content", { reasoning_content: "r" }, { reasoning_content: "r" }],
  ["reasoning", { reasoning: "r", reasoning_content: null }, { reasoning_content: "r" }],
  ["the first of both", { reasoning: "b", reasoning_content: "a" }, { reasoning_content: "a" }],
  [
    "reasoning_details",
    { reasoning_details: details },
    {
      reasoning_content: "In short. In long.",
      reasoning_details: { reasoning_details: details },
    },
  ],
  [
    "thinking_blocks",
    { thinking_blocks: blocks },
    { reasoning_content: "By blocks.", reasoning_details: { thinking_blocks: blocks } },
  ],
  [
    "text and details",
    { reasoning: "r", reasoning_details: details, thinking_blocks: blocks },
    {
      reasoning_content: "r",
      reasoning_details: { reasoning_details: details, thinking_blocks: blocks },
    },
  ],
  [
    "details without text",
    { reasoning_details: [{ type: "reasoning.encrypted", data: "x9" }, "odd", null] },
    {
      reasoning_details: {
        reasoning_details: [{ type: "reasoning.encrypted", data: "x9" }, "odd", null],
      },
    },
  ],
])("the reasoning of a result with %s is found", (_, result, found) => {
  expect(reasoningOf(result)).toEqual(found);
});

test.each<[result: Json]>([
  [null],
  ["text"],
  [[{ reasoning: "r" }]],
  [{}],
  [{ reasoning: "", reasoning_content: " \n", reasoning_details: [], thinking_blocks: null }],
  [{ reasoning: { effort: "high" }, reasoning_details: "text" }],
])("the result %j has no reasoning", (result) => {
  expect(reasoningOf(result)).toEqual({});
});
