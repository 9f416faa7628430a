// Drafts are written and scored one after the other. The best one so far is the state.

import { done, orchestrator, to } from "matrix";

type Scored = { readonly draft: string; readonly score: number };
type State = { readonly drafts: number; readonly best: Scored | null };

export default ({ n, enough }: { readonly n: number; readonly enough: number }) =>
  orchestrator<State>({
    start: () => to("writer", { drafts: 0, best: null }),
    next: (state, result, { role }) => {
      if (role === "writer") return to("scorer", { ...state, drafts: state.drafts + 1 });
      const scored = result as Scored;
      const best = state.best !== null && state.best.score >= scored.score ? state.best : scored;
      if (best.score < enough && state.drafts < n) return to("writer", { ...state, best });
      return done({ score: best.score, outcome: { ...best, drafts: state.drafts } });
    },
  });
