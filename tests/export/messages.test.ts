import { expect, test } from "bun:test";
import { openaiMessage, templateMessage, toolsText } from "../../src/export/messages.ts";
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

test("a message for templates has arguments as objects, and text where the model gave none", () => {
  expect(templateMessage(user("Who?"))).toEqual({ role: "user", content: "Who?" });
  expect(templateMessage(tool("Ann"))).toEqual({
    role: "tool",
    content: "Ann",
    tool_call_id: "c1",
  });
  const other = { ...CALL, id: "c2", function: { name: "see", arguments: "not JSON" } };
  const message = templateMessage(assistant(null, { tool_calls: [CALL, other] }));
  expect(JSON.stringify(message)).toBe(
    '{"role":"assistant","content":"","tool_calls":[' +
      '{"id":"c1","type":"function","function":{"name":"find","arguments":{"n":1.0}}},' +
      '{"id":"c2","type":"function","function":{"name":"see","arguments":"not JSON"}}]}',
  );
});

test("a message for templates has its reasoning by the two names that templates read", () => {
  const reasoning = { reasoning_content: "r" };
  expect(templateMessage(assistant("x", reasoning))).toEqual({
    role: "assistant",
    content: "x",
    reasoning_content: "r",
    thinking: "r",
  });
  for (const content of [null, ""])
    expect(templateMessage(assistant(content, { ...reasoning, tool_calls: [CALL] }))).toMatchObject(
      { content: "", reasoning_content: "r", thinking: "r" },
    );
  expect(templateMessage(assistant("x", { ...reasoning, tool_calls: [CALL] }))).toMatchObject({
    content: "x",
    reasoning_content: "r",
    thinking: "",
  });
});

test("tools become JSON text, and an empty list for no tools", () => {
  expect(toolsText([TOOL])).toBe('[{"type":"function","function":{"name":"find"}}]');
  expect(toolsText([])).toBe("[]");
});
