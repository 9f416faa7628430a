"""Answers each tool call of the last message with a tool message.

A call that cannot be answered is told to the model, which may try again.
"""

import json
import operator

from matrix_agent import agent

OPERATIONS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
}


def answer(call):
    operation = OPERATIONS.get(call["function"]["name"])
    if operation is None:
        return f"error: there is no tool {call['function']['name']}"
    try:
        arguments = json.loads(call["function"]["arguments"])
        return f"{operation(arguments['a'], arguments['b']):g}"
    except ZeroDivisionError:
        return "error: the result is not a number"
    except (ValueError, KeyError, TypeError):
        return "error: the arguments are not JSON with a and b"


@agent
def calculate(task, settings):
    calls = task["last"].get("tool_calls", [])
    return [{"role": "tool", "tool_call_id": call["id"], "content": answer(call)} for call in calls]
