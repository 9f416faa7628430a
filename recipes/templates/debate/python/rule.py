"""Both sides take turns. Then the judge decides."""

from matrix_agent import done, orchestrator, to


@orchestrator
class Debate:
    def __init__(self, settings):
        self.max_turns = settings["max_turns"]

    def start(self, row, context):
        return to("pro", {"turns": 0})

    def next(self, state, result, context):
        if context.role == "judge":
            return to("verdict", state)
        if context.role == "verdict":
            return done(score=result["score"], outcome=result)
        turns = state["turns"] + 1
        if turns == self.max_turns:
            return to("judge", {"turns": turns})
        return to("con" if context.role == "pro" else "pro", {"turns": turns})
