from check import fault_of
from matrix_agent import Context, done, to
from rule import Judge

rule = Judge()


def test_an_answer_without_a_fault_goes_to_the_judge():
    assert rule.next(None, {"content": "Scattering."}, Context(role="solver")) == to("checker")
    checked = {"answer": "Scattering.", "fault": None}
    route = rule.next(None, checked, Context(role="checker"))
    assert route == to("judge", {"answer": "Scattering."})


def test_an_answer_with_a_fault_costs_no_judge():
    checked = {"answer": "", "fault": "it is empty"}
    route = rule.next(None, checked, Context(role="checker"))
    assert route == done("filtered", outcome={"fault": "it is empty"})


def test_points_from_1_to_10_become_a_score_from_0_to_1():
    for points, score in [(1, 0), (10, 1)]:
        grade = {"parsed": {"points": points, "reason": ""}}
        route = rule.next({"answer": ""}, grade, Context(role="judge"))
        assert route == done(score=score, outcome=grade["parsed"])


def test_empty_and_long_answers_have_a_fault():
    assert fault_of(" ", 2) == "it is empty"
    assert fault_of("one two", 2) is None
    assert fault_of("one two three", 2) == "it has 3 words"
