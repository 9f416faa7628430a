"""Turns away answers that need no judge: empty ones and long ones."""

from matrix_agent import agent


def fault_of(answer, max_words):
    words = len(answer.split())
    if words == 0:
        return "it is empty"
    return f"it has {words} words" if words > max_words else None


@agent
def check(task, settings):
    answer = task["last"]["content"]
    return {"answer": answer, "fault": fault_of(answer, settings["max_words"])}
