// Answers each tool call of the last message with a tool message. A call that cannot be answered is
// told to the model, which may try again.

import { agent, type ToolCall } from "matrix";

const OPERATIONS: Readonly<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
};

export const answer = ({ function: { name, arguments: text } }: ToolCall): string => {
  const operation = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  if (operation === undefined) return `error: there is no tool ${name}`;
  try {
    const { a, b } = JSON.parse(text) as { a: number; b: number };
    const result = operation(a, b);
    return Number.isFinite(result) ? String(result) : "error: the result is not a number";
  } catch {
    return "error: the arguments are not JSON with a and b";
  }
};

export default agent(({ history }) => {
  const last = history.at(-1)?.result as { tool_calls?: ToolCall[] };
  const { tool_calls: calls = [] } = last;
  return calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: answer(call) }));
});
