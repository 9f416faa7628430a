"""Finds the fields whose value is not in the text."""

from matrix_agent import agent


def missing_in(fields, text):
    return [name for name, value in fields.items() if str(value) not in text]


@agent
def check(task, settings):
    fields = task["last"]["parsed"]
    return {"fields": fields, "missing": missing_in(fields, task["row"]["text"])}
