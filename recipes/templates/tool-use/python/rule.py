"""The solver and its tools take turns until the solver calls none. Its last words are the answer."""

import re

from matrix_agent import done, orchestrator, to


def number_in(text):
    found = re.findall(r"-?\d+(?:\.\d+)?", text)
    return float(found[-1]) if found else None


@orchestrator
class ToolUse:
    def __init__(self, settings):
        self.max_turns = settings["max_turns"]

    def start(self, row, context):
        return to("solver", {"turns": 0})

    def next(self, state, result, context):
        if context.role == "tools":
            return to("solver", state)
        calls = result.get("tool_calls")
        turns = state["turns"] + 1
        if calls and turns < self.max_turns:
            return to("tools", {"turns": turns})
        answer = number_in(result["content"] or "")
        return done(
            "max_turns" if calls else "stopped",
            score=float(answer == context.row["answer"]),
            outcome={"answer": answer, "turns": turns},
        )
