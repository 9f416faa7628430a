"""Scores a draft by how near it is to the wanted number of words: 1 for an exact hit."""

from matrix_agent import agent


def score_of(draft, wanted):
    return max(0, 1 - abs(len(draft.split()) - wanted) / wanted)


@agent
def score(task, settings):
    draft = task["last"]["content"]
    return {"draft": draft, "score": score_of(draft, task["row"]["words"])}
