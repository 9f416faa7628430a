// Turns for formats whose tool results have no ids: results stand in the order of the calls that
// they answer.

import type { Turn } from "./contract.ts";

/** The turns, with the results of each turn of calls in the order of its calls. */
export function withResultsInOrder(turns: readonly Turn[]): readonly Turn[] {
  const ordered: Turn[] = [];
  for (let at = 0; at < turns.length; ) {
    const turn = turns[at++] as Turn;
    ordered.push(turn);
    if (turn.tool_calls === undefined) continue;
    let end = at;
    while (turns[end]?.role === "tool") end++;
    const ids = turn.tool_calls.map(({ id }) => id);
    const place = ({ tool_call_id: id = "" }: Turn) =>
      ids.includes(id) ? ids.indexOf(id) : ids.length;
    ordered.push(...turns.slice(at, end).sort((a, b) => place(a) - place(b)));
    at = end;
  }
  return ordered;
}

/** Reasoning as reasoning models write it before their answer. */
export function thinkText({ reasoning_content: reasoning }: Turn): string {
  return reasoning === undefined ? "" : `<think>\n${reasoning}\n</think>\n\n`;
}
