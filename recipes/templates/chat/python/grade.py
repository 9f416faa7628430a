"""Grades a finished conversation: a point for a customer who is done, less for each turn it took."""

from matrix_agent import agent


@agent
def grade(task, settings):
    history = task["history"]
    turns = sum(hop["role"] == "assistant" for hop in history)
    said = [hop["result"]["content"] for hop in history if hop["role"] == "customer"]
    is_done = bool(said) and "DONE" in said[-1]
    return {"done": is_done, "turns": turns, "score": 1 / max(1, turns) if is_done else 0}
