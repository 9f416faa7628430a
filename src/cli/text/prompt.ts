// A prompt as `check` and `drive --dry-run` show it: a bar before each line, cut when it is long.

import type { ChatMessage } from "../../model/contract.ts";
import { printable } from "../../task/printable.ts";

/** Lines of one message that are shown. */
const LINES_MAX = 12;

export function renderPrompt(prompt: readonly ChatMessage[]): string[] {
  return prompt.flatMap(({ role, content }) =>
    shortened(printable(`${role}: ${content}`)).map((line) => `  | ${line}`),
  );
}

function shortened(text: string): string[] {
  const lines = text.split("\n");
  return lines.length <= LINES_MAX
    ? lines
    : [...lines.slice(0, LINES_MAX), `… ${lines.length - LINES_MAX} more lines`];
}
