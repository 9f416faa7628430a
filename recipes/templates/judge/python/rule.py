"""An answer without a fault goes to the judge, whose points are the score."""

from matrix_agent import done, orchestrator, to


@orchestrator
class Judge:
    def start(self, row, context):
        return to("solver")

    def next(self, state, result, context):
        if context.role == "solver":
            return to("checker")
        if context.role == "checker":
            if result["fault"] is None:
                return to("judge", {"answer": result["answer"]})
            return done("filtered", outcome={"fault": result["fault"]})
        grade = result["parsed"]
        return done(score=(grade["points"] - 1) / 9, outcome=grade)
