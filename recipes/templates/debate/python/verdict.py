"""Makes a verdict of the judge's points: who won, and how clearly, from 0 to 1."""

from matrix_agent import agent


@agent
def verdict(task, settings):
    points = task["last"]["parsed"]
    pro, con = points["pro"], points["con"]
    winner = None if pro == con else "pro" if pro > con else "con"
    return {"winner": winner, "score": abs(pro - con) / 9}
