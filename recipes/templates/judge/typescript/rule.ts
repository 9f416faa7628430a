// An answer without a fault goes to the judge, whose points are the score.

import { done, orchestrator, to } from "matrix";

export default orchestrator<{ answer: string } | null>({
  start: () => to("solver", null),
  next: (_state, result, { role }) => {
    if (role === "solver") return to("checker", null);
    if (role === "checker") {
      const { answer, fault } = result as { answer: string; fault: string | null };
      return fault === null
        ? to("judge", { answer })
        : done({ reason: "filtered", outcome: { fault } });
    }
    const { parsed } = result as { parsed: { points: number; reason: string } };
    return done({ score: (parsed.points - 1) / 9, outcome: parsed });
  },
});
