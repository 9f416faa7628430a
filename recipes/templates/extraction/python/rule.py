"""The reader tries again while a value is missing. The score is the share of values in the text."""

from matrix_agent import done, orchestrator, to


@orchestrator
class Extraction:
    def __init__(self, settings):
        self.tries = settings["tries"]

    def start(self, row, context):
        return to("reader", {"tries": 0, "missing": []})

    def next(self, state, result, context):
        if context.role == "reader":
            return to("checker", {**state, "tries": state["tries"] + 1})
        fields, missing = result["fields"], result["missing"]
        if missing and state["tries"] < self.tries:
            return to("reader", {"tries": state["tries"], "missing": missing})
        score = 1 - len(missing) / len(fields)
        return done(score=score, outcome={"fields": fields, "tries": state["tries"]})
