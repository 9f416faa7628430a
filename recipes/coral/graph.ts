// Coral as a graph. Its nodes are the roles of the recipe: agents do the work, and the function of
// a node turns the role's result (`configurable.result`) into an update of the state. Edges route
// by the state alone.

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

type Speaker = "student" | "teacher";
interface Verdict {
  readonly agreed: boolean;
}

const Dialogue = Annotation.Root({
  speaker: Annotation<Speaker>,
  turns: Annotation<number>({ reducer: (sum, more) => sum + more, default: () => 0 }),
  // The final values of these two are the outcome and the stop reason of the record.
  outcome: Annotation<Verdict>,
  stop_reason: Annotation<string>,
});
type State = typeof Dialogue.State;

export function build({ max_turns: maxTurns }: { readonly max_turns: number }) {
  const speaks = (speaker: Speaker) => () => ({ speaker, turns: 1 });
  const isOver = ({ outcome, turns }: State) => outcome.agreed || turns >= maxTurns;
  const isNext = ({ speaker }: State): Speaker => (speaker === "student" ? "teacher" : "student");
  return new StateGraph(Dialogue)
    .addNode("student", speaks("student"))
    .addNode("teacher", speaks("teacher"))
    .addNode("extractor", () => ({}))
    .addNode("matcher", ({ turns }, { configurable }) => {
      const verdict = configurable?.["result"] as Verdict;
      return {
        outcome: { turns, ...verdict },
        stop_reason: verdict.agreed ? "agreed" : "max_turns",
      };
    })
    .addEdge(START, "student")
    .addEdge("student", "extractor")
    .addEdge("teacher", "extractor")
    .addEdge("extractor", "matcher")
    .addConditionalEdges("matcher", (state) => (isOver(state) ? END : isNext(state)))
    .compile();
}
