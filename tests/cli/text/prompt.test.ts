// Prompts as they are shown before a run.

import { expect, test } from "bun:test";
import { renderPrompt } from "../../../src/cli/text/prompt.ts";

const linesOf = (count: number) => Array.from({ length: count }, (_, i) => `line ${i}`).join("\n");

test("each message begins with its role, and each line with a bar", () => {
  expect(
    renderPrompt([
      { role: "system", content: "Be brief." },
      { role: "user", content: "one\ntwo\u001b" },
    ]),
  ).toEqual(["  | system: Be brief.", "  | user: one", "  | two\\u001b"]);
});

test("a message of twelve lines is shown whole, and a longer one is cut", () => {
  expect(renderPrompt([{ role: "user", content: linesOf(12) }])).toHaveLength(12);
  const cut = renderPrompt([{ role: "user", content: linesOf(15) }]);
  expect(cut).toHaveLength(13);
  expect(cut.slice(-2)).toEqual(["  | line 11", "  | … 3 more lines"]);
});
