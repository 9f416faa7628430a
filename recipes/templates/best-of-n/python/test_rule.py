from matrix_agent import Context, done, to
from rule import BestOfN
from score import score_of

rule = BestOfN({"n": 2, "enough": 0.9})
GOOD = {"draft": "good", "score": 0.5}
BAD = {"draft": "bad", "score": 0.1}


def test_every_draft_is_scored():
    route = rule.next({"drafts": 0, "best": None}, None, Context(role="writer"))
    assert route == to("scorer", {"drafts": 1, "best": None})


def test_another_draft_is_written_until_one_is_good_enough():
    route = rule.next({"drafts": 1, "best": None}, GOOD, Context(role="scorer"))
    assert route == to("writer", {"drafts": 1, "best": GOOD})
    enough = {"draft": "best", "score": 0.9}
    route = rule.next({"drafts": 1, "best": None}, enough, Context(role="scorer"))
    assert route == done(score=0.9, outcome={**enough, "drafts": 1})


def test_the_best_draft_is_the_outcome_and_not_the_last_one():
    route = rule.next({"drafts": 2, "best": GOOD}, BAD, Context(role="scorer"))
    assert route == done(score=0.5, outcome={**GOOD, "drafts": 2})


def test_a_draft_with_the_wanted_number_of_words_scores_1():
    assert score_of("one two", 2) == 1
    assert score_of("one two three", 2) == 0.5
    assert score_of("", 2) == 0
