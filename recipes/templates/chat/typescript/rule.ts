// The customer begins and both take turns, until the customer is done or has no turn left.

import { done, type JsonObject, orchestrator, to } from "matrix";
import { textOf } from "./grade.ts";

export default ({ max_turns }: { readonly max_turns: number }) =>
  orchestrator<{ turns: number }>({
    start: () => to("customer", { turns: 0 }),
    next: ({ turns }, result, { role }) => {
      if (role === "assistant") return to("customer", { turns: turns + 1 });
      if (role === "customer")
        return textOf(result).includes("DONE") || turns === max_turns
          ? to("grader", { turns })
          : to("assistant", { turns });
      const outcome = result as JsonObject & { done: boolean; score: number };
      return done({ reason: outcome.done ? "agreed" : "max_turns", score: outcome.score, outcome });
    },
  });
