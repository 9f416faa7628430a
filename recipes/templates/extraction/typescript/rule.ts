// The reader tries again while a value is missing. The score is the share of values in the text.

import { done, type JsonObject, orchestrator, to } from "matrix";

type State = { readonly tries: number; readonly missing: readonly string[] };

export default (settings: { readonly tries: number }) =>
  orchestrator<State>({
    start: () => to("reader", { tries: 0, missing: [] }),
    next: (state, result, { role }) => {
      if (role === "reader") return to("checker", { ...state, tries: state.tries + 1 });
      const { fields, missing } = result as { fields: JsonObject; missing: string[] };
      if (missing.length > 0 && state.tries < settings.tries)
        return to("reader", { tries: state.tries, missing });
      const score = 1 - missing.length / Object.keys(fields).length;
      return done({ score, outcome: { fields, tries: state.tries } });
    },
  });
