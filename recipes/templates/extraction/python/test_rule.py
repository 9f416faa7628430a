from check import missing_in
from matrix_agent import Context, done, to
from rule import Extraction

rule = Extraction({"tries": 2})
FIELDS = {"seller": "Lenz", "total": "5 EUR"}


def test_the_readers_fields_are_checked():
    route = rule.next({"tries": 0, "missing": []}, None, Context(role="reader"))
    assert route == to("checker", {"tries": 1, "missing": []})


def test_the_reader_tries_again_while_a_value_is_missing_and_a_try_is_left():
    checked = {"fields": FIELDS, "missing": ["seller"]}
    route = rule.next({"tries": 1, "missing": []}, checked, Context(role="checker"))
    assert route == to("reader", {"tries": 1, "missing": ["seller"]})
    route = rule.next({"tries": 2, "missing": []}, checked, Context(role="checker"))
    assert route == done(score=0.5, outcome={"fields": FIELDS, "tries": 2})


def test_fields_that_are_all_in_the_text_end_the_task_at_once():
    checked = {"fields": FIELDS, "missing": []}
    route = rule.next({"tries": 1, "missing": []}, checked, Context(role="checker"))
    assert route == done(score=1, outcome={"fields": FIELDS, "tries": 1})


def test_a_value_that_is_written_in_another_way_is_missing():
    assert missing_in(FIELDS, "Lenz asks for 5.00 EUR.") == ["total"]
