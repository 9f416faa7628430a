"""The dialogue of Coral as a rule in Python. It makes the same records as the pattern."""

from matrix_agent import done, orchestrator, to

SPEAKERS = ["student", "teacher"]


@orchestrator
class Coral:
    def __init__(self, settings):
        self.max_turns = settings["max_turns"]

    def start(self, row, context):
        return to("student", {"turns": 0})

    def next(self, state, result, context):
        if context.role in SPEAKERS:
            return to("extractor", {"turns": state["turns"] + 1})
        if context.role == "extractor":
            return to("matcher", state)
        turns = state["turns"]
        if not result["agreed"] and turns < self.max_turns:
            return to(SPEAKERS[turns % 2], state)
        reason = "agreed" if result["agreed"] else "max_turns"
        return done(reason, score=result["score"], outcome={"turns": turns, **result})
