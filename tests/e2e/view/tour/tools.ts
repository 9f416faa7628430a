// The calculator. It fails on some rows, as programs of users do.

import { agent } from "matrix";

export default agent((task) => {
  if (Number(task.rowId) % 9 === 7)
    throw new TypeError(`cannot read 'digits' of undefined in row ${task.rowId}`);
  const last = task.history.at(-1)?.result as { tool_calls?: { id: string }[] };
  return (last.tool_calls ?? []).map(({ id }, index) => ({
    role: "tool",
    tool_call_id: id,
    name: "calculator",
    content: JSON.stringify({ value: 42 + index, exact: true, steps: ["parse", "multiply"] }),
  }));
});
