// The solver and its tools take turns until the solver calls none. Its last words are the answer.

import { done, orchestrator, to } from "matrix";

export const numberIn = (text: string): number | null => {
  const found = text.match(/-?\d+(?:\.\d+)?/g)?.at(-1);
  return found === undefined ? null : Number(found);
};

export default ({ max_turns }: { readonly max_turns: number }) =>
  orchestrator<{ turns: number }>({
    start: () => to("solver", { turns: 0 }),
    next: (state, result, { role, row }) => {
      if (role === "tools") return to("solver", state);
      const { content, tool_calls } = result as { content?: string | null; tool_calls?: unknown[] };
      const turns = state.turns + 1;
      if (tool_calls !== undefined && turns < max_turns) return to("tools", { turns });
      const answer = numberIn(content ?? "");
      const reason = tool_calls === undefined ? "stopped" : "max_turns";
      return done({ reason, score: answer === row["answer"] ? 1 : 0, outcome: { answer, turns } });
    },
  });
