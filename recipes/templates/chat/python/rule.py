"""The customer begins and both take turns, until the customer is done or has no turn left."""

from matrix_agent import done, orchestrator, to


@orchestrator
class Chat:
    def __init__(self, settings):
        self.max_turns = settings["max_turns"]

    def start(self, row, context):
        return to("customer", {"turns": 0})

    def next(self, state, result, context):
        if context.role == "assistant":
            return to("customer", {"turns": state["turns"] + 1})
        if context.role == "customer":
            is_over = "DONE" in result["content"] or state["turns"] == self.max_turns
            return to("grader" if is_over else "assistant", state)
        reason = "agreed" if result["done"] else "max_turns"
        return done(reason, score=result["score"], outcome=result)
