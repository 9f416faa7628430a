"""Drafts are written and scored one after the other. The best one so far is the state."""

from matrix_agent import done, orchestrator, to


@orchestrator
class BestOfN:
    def __init__(self, settings):
        self.n = settings["n"]
        self.enough = settings["enough"]

    def start(self, row, context):
        return to("writer", {"drafts": 0, "best": None})

    def next(self, state, result, context):
        if context.role == "writer":
            return to("scorer", {**state, "drafts": state["drafts"] + 1})
        best = state["best"]
        if best is None or result["score"] > best["score"]:
            best = result
        if best["score"] < self.enough and state["drafts"] < self.n:
            return to("writer", {**state, "best": best})
        return done(score=best["score"], outcome={**best, "drafts": state["drafts"]})
