"""The library of an agent in a sandbox: with it, an agent is ten lines of Python.

    from matrix_agent import serve

    def step(task, settings):
        return {"answer": task["row"]["question"].upper()}

    serve(step)

`step` gets the task (id, trial, seed, attempt, hop, role, row, state, last, history) and the role's
`with` table. It returns JSON or raises.

Options of `serve`:
- Other operations are functions by name, called with the request:
  `serve(step, hello=lambda request: {"version": 1})`.
- `end` is called with {session, id, trial, attempt} when a task of a stateful sandbox is over:
  `serve(step, end=lambda task: boards.pop(task["id"], None))`.
- `threads` is the number of requests that run at once. The default, 1, runs them one after another,
  in the order of their arrival.

A step that raised is tried again as often as `retries` of its role says. `FatalError`, or any error
with `fatal = True`, ends it at once; `retry_after` of an error is a pause in seconds.

Printed text goes to the log: only replies reach the real stdout. Python 3.8 or newer.
"""

import json
import os
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor


class FatalError(Exception):
    """An error that no further try of the step (`roles.NAME.retries`) can mend."""

    fatal = True


def failure(error):
    """An error for the record. Attributes that HTTP clients use ask for a later try."""
    told = {
        "kind": type(error).__name__,
        "message": str(error),
        "stack": traceback.format_exc(),
    }
    if getattr(error, "fatal", False) is True:
        told["fatal"] = True
    seconds = getattr(error, "retry_after", None)
    headers = getattr(getattr(error, "response", None), "headers", None)
    if seconds is None and hasattr(headers, "get"):
        seconds = headers.get("retry-after", headers.get("Retry-After"))
    try:
        seconds = float(seconds)
    except (TypeError, ValueError):
        return told  # A date, or nothing: the usual pause is made.
    if 0 <= seconds < float("inf"):
        told["retry_after"] = seconds
    return told


def serve(step=None, *, threads=1, end=lambda task: None, **ops):
    """Answers requests until stdin closes."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    lock = threading.Lock()
    cancelled = set()
    if step is not None:
        ops.setdefault("step", lambda request: step(request["task"], request.get("settings", {})))

    def reply(body):
        line = (
            json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
                "utf-8", "surrogatepass"
            )
            + b"\n"
        )
        with lock:
            # A pipe may take only a part of a long line.
            view = memoryview(line)
            while view:
                view = view[replies.write(view) :]

    def answer(request):
        number = request.get("id")
        if number in cancelled:
            cancelled.discard(number)
            return
        try:
            function = ops.get(request.get("op"))
            if function is None:
                raise LookupError(f"no such op: {request.get('op')}")
            reply({"id": number, "ok": True, "result": function(request)})
        except BrokenPipeError:
            os._exit(0)
        except BaseException as error:  # SystemExit too: a step must not end the agent
            traceback.print_exc()
            reply({"id": number, "ok": False, "error": failure(error)})

    def hear_end(task):
        try:
            end(task)
        except BaseException:
            traceback.print_exc()

    with ThreadPoolExecutor(threads) as pool:
        for line in sys.stdin.buffer:
            if not line.strip():
                continue
            request = json.loads(line)
            if "cancel" in request:
                cancelled.add(request["cancel"])
            elif "end" in request:
                if threads == 1:
                    hear_end(request["end"])
                else:
                    pool.submit(hear_end, request["end"])
            elif threads == 1:
                answer(request)
            else:
                pool.submit(answer, request)
