from grade import grade
from matrix_agent import Context, done, to
from rule import Chat

rule = Chat({"max_turns": 2})


def says(content):
    return {"role": "assistant", "content": content}


def test_the_customer_and_the_assistant_take_turns():
    asked = rule.next({"turns": 0}, says("Hello?"), Context(role="customer"))
    assert asked == to("assistant", {"turns": 0})
    answered = rule.next({"turns": 0}, says("Hi."), Context(role="assistant"))
    assert answered == to("customer", {"turns": 1})


def test_the_conversation_is_graded_when_the_customer_is_done_or_has_no_turn_left():
    for turns, text in [(1, "DONE"), (2, "And?")]:
        route = rule.next({"turns": turns}, says(text), Context(role="customer"))
        assert route == to("grader", {"turns": turns})


def test_the_grade_ends_the_task():
    graded = {"done": True, "turns": 2, "score": 0.5}
    route = rule.next({"turns": 2}, graded, Context(role="grader"))
    assert route == done("agreed", score=0.5, outcome=graded)


def test_fewer_turns_are_a_better_grade():
    history = [
        {"role": "customer", "result": says("Hello?")},
        {"role": "assistant", "result": says("Hi.")},
        {"role": "customer", "result": says("DONE")},
    ]
    assert grade({"history": history}, {}) == {"done": True, "turns": 1, "score": 1}
    assert grade({"history": history[:2]}, {}) == {"done": False, "turns": 1, "score": 0}
