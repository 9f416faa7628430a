import { expect, test } from "bun:test";
import { openaiMessage, toolsText } from "../../src/export/messages.ts";
import { assistant, CALL, TOOL, tool, user } from "./made.ts";

test("a turn becomes a message with only the keys that it has", () => {
  expect(openaiMessage(user("Who?"))).toEqual({ role: "user", content: "Who?" });
  expect(openaiMessage(assistant(null, { tool_calls: [CALL], reasoning_content: "r" }))).toEqual({
    role: "assistant",
    content: null,
    reasoning_content: "r",
    tool_calls: [CALL],
  });
  expect(openaiMessage(tool("Ann"))).toEqual({
    role: "tool",
    content: "Ann",
    tool_call_id: "c1",
  });
  expect(Object.keys(openaiMessage(user("Who?")))).toEqual(["role", "content"]);
});

test("tools become JSON text, and an empty list for no tools", () => {
  expect(toolsText([TOOL])).toBe('[{"type":"function","function":{"name":"find"}}]');
  expect(toolsText([])).toBe("[]");
});
