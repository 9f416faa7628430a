// Both sides take turns. Then the judge decides.

import { done, type JsonObject, orchestrator, to } from "matrix";

export default ({ max_turns }: { readonly max_turns: number }) =>
  orchestrator<{ turns: number }>({
    start: () => to("pro", { turns: 0 }),
    next: (state, result, { role }) => {
      if (role === "judge") return to("verdict", state);
      if (role === "verdict") {
        const outcome = result as JsonObject & { score: number };
        return done({ score: outcome.score, outcome });
      }
      const turns = state.turns + 1;
      return to(turns === max_turns ? "judge" : role === "pro" ? "con" : "pro", { turns });
    },
  });
