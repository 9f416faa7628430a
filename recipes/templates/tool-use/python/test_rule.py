from calculator import answer
from matrix_agent import Context, done, to
from rule import ToolUse, number_in

rule = ToolUse({"max_turns": 2})


def call(name, arguments):
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


CALLING = {"content": None, "tool_calls": [call("add", "{}")]}


def after(role):
    return Context(role=role, row={"answer": 89})


def test_the_solver_and_its_tools_take_turns():
    assert rule.next({"turns": 0}, CALLING, after("solver")) == to("tools", {"turns": 1})
    assert rule.next({"turns": 1}, [], after("tools")) == to("solver", {"turns": 1})


def test_an_answer_without_a_call_ends_the_task_and_is_compared_with_the_rows():
    route = rule.next({"turns": 1}, {"content": "89"}, after("solver"))
    assert route == done("stopped", score=1, outcome={"answer": 89, "turns": 2})
    route = rule.next({"turns": 1}, {"content": "88"}, after("solver"))
    assert route == done("stopped", score=0, outcome={"answer": 88, "turns": 2})


def test_a_solver_that_only_calls_tools_runs_out_of_turns():
    route = rule.next({"turns": 1}, CALLING, after("solver"))
    assert route == done("max_turns", score=0, outcome={"answer": None, "turns": 2})


def test_the_last_number_of_a_text_is_the_answer():
    assert number_in("12 boxes hold -3.5") == -3.5
    assert number_in("none") is None


def test_the_calculator_answers_each_call_and_says_what_is_wrong_with_one():
    assert answer(call("divide", '{"a": 240, "b": 3}')) == "80"
    assert answer(call("divide", '{"a": 1, "b": 0}')) == "error: the result is not a number"
    assert answer(call("power", "{}")) == "error: there is no tool power"
    assert answer(call("add", "{")) == "error: the arguments are not JSON with a and b"
