from matrix_agent import Context, done, to
from rule import Debate
from verdict import verdict

rule = Debate({"max_turns": 2})


def verdict_of(pro, con):
    return verdict({"last": {"parsed": {"pro": pro, "con": con}}}, {})


def test_both_sides_take_turns_and_then_the_judge_decides():
    assert rule.next({"turns": 0}, None, Context(role="pro")) == to("con", {"turns": 1})
    assert rule.next({"turns": 1}, None, Context(role="con")) == to("judge", {"turns": 2})
    assert rule.next({"turns": 2}, None, Context(role="judge")) == to("verdict", {"turns": 2})


def test_the_verdict_ends_the_task():
    made = verdict_of(8, 5)
    route = rule.next({"turns": 2}, made, Context(role="verdict"))
    assert route == done(score=3 / 9, outcome=made)


def test_equal_points_have_no_winner():
    assert verdict_of(1, 10) == {"winner": "con", "score": 1}
    assert verdict_of(4, 4) == {"winner": None, "score": 0}
