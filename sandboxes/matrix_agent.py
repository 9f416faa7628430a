"""The library for Python in a recipe: an agent is ten lines, and so is a rule.

# Agents

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

# Rules

    from matrix_agent import done, orchestrator, to

    @orchestrator
    class Debate:
        def start(self, row, context):
            return to("pro", {"turns": 0})

        def next(self, state, result, context):
            if state["turns"] == 5:
                return done(score=result["score"])
            return to("con" if context.role == "pro" else "pro", {"turns": state["turns"] + 1})

A rule is pure: the same input gives the same decision, on any host and in any order. It may also
have `join(state, ended, context)` after `fork`, and `unanswered(state, reason, context)`. A class
whose constructor takes an argument is given the settings of `orchestrator.with`. A class with
`update(result)` sets its next role in `current_agent`, or in `_current_agent`; its other attributes
are its state, so they must be JSON.

A rule is tested with plain asserts: `Debate().next({"turns": 5}, {"score": 1}, context)`.

# Values

Results, states and outcomes may hold what JSON holds, and NumPy scalars and arrays, pydantic
models, dataclasses, enums, Decimal, UUID, paths, dates and times.

Printed text goes to the log: only replies reach the real stdout. Python 3.8 or newer, without any
package.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import importlib.util
import inspect
import json
import logging
import math
import os
import pathlib
import sys
import threading
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence

__all__ = [
    "Context",
    "FatalError",
    "done",
    "fork",
    "orchestrator",
    "serve",
    "to",
]

Json = Any
"""What `json.loads` gives."""


class FatalError(Exception):
    """An error that no further try of the step (`roles.NAME.retries`) can mend."""

    fatal = True


def stack_of(error):
    """The traceback from the user's first call on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    # An error of this library alone has all of its frames.
    return "".join(
        traceback.format_exception(type(error), error, frames or error.__traceback__)
    )


def failure(error):
    """An error for the record. Attributes that HTTP clients use ask for a later try."""
    told = {
        "kind": type(error).__name__,
        "message": str(error),
        "stack": stack_of(error),
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
        line = encode(body)
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


# --- Values ---


def encode(value: Any) -> bytes:
    """A line of JSON. Raises a TypeError with the path of what JSON cannot hold."""
    try:
        text = json.dumps(
            value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=plain
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(problem_in(value) or str(error)) from None
    return text.encode("utf-8", "surrogatepass") + b"\n"


def plain(value: Any) -> Json:
    """What stands in JSON for a value of another type."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for method in ("model_dump", "tolist"):  # pydantic; NumPy, PyTorch and pandas
        if callable(getattr(value, method, None)) and not isinstance(value, type):
            return getattr(value, method)()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, decimal.Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole else float(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, pathlib.PurePath)):
        return str(value)
    if isinstance(value, (set, frozenset)):
        raise TypeError("a set has no order: use sorted(...)")
    raise TypeError(f"{type(value).__name__} is no JSON")


def problem_in(value: Any, path: str = "", depth: int = 0) -> Optional[str]:
    """The first part of a value that JSON cannot hold, with its path."""
    here = path or "the value"
    if depth > 256:
        return f"{here} is nested too deeply, or contains itself"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{here} is {value!r}, which JSON does not have"
    if value is None or isinstance(value, (str, int, float, bool)):
        return None
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, (str, int, float, bool)) and key is not None:
                return f"{here} has the key {key!r}; keys are text"
            problem = problem_in(part, f"{path}.{key}" if path else str(key), depth + 1)
            if problem is not None:
                return problem
        return None
    if isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            problem = problem_in(part, f"{path}[{index}]", depth + 1)
            if problem is not None:
                return problem
        return None
    try:
        return problem_in(plain(value), path, depth + 1)
    except TypeError as error:
        return f"{here}: {error}"


# --- Rules ---


def to(role: str, state: Json = None) -> Dict[str, Json]:
    """The decision to go to a role, with new state."""
    return {"to": role, "state": state}


def done(
    reason: str = "completed", *, score: Optional[float] = None, outcome: Optional[dict] = None
) -> Dict[str, Json]:
    """The decision to end the task. `reason` is one of the stop reasons of a record."""
    return {"done": reason, "score": score, "outcome": outcome}


def fork(branches: Iterable[Dict[str, Json]], state: Json = None) -> Dict[str, Json]:
    """The decision to go several ways at once. `join` receives the state."""
    return {"fork": list(branches), "state": state}


class Missing(BaseException):
    """A rule has read a part of its context that was not sent. It is asked again with it."""


class Context:
    """The view of a task that a rule has besides its own state and the last result."""

    id: str
    trial: int
    seed: int
    role: Optional[str]
    """The role that gave the result; None in `start` and `join`."""

    def __init__(
        self,
        id: str = "",
        trial: int = 0,
        seed: int = 0,
        role: Optional[str] = None,
        **parts: Json,
    ) -> None:
        self.id = id
        self.trial = trial
        self.seed = seed
        self.role = role
        self._parts = parts
        self._missing: List[str] = []

    @property
    def row(self) -> Dict[str, Json]:
        """The row of the dataset."""
        return self._part("row")

    @property
    def history(self) -> List[Dict[str, Json]]:
        """All finished hops. In `next` the last one gave the result."""
        return self._part("history")

    def _part(self, name: str) -> Any:
        if name not in self._parts:
            self._missing.append(name)
            raise Missing(name)
        return self._parts[name]


_rules: List[Any] = []


def orchestrator(rule: Any) -> Any:
    """Marks the rule of a file: a class, an object, or a function of the settings."""
    _rules.append(rule)
    return rule


OPERATIONS = ("start", "next", "unanswered", "join")


def make_rule(made: Any, settings: Json) -> Any:
    """An object with `start` and `next` from what `orchestrator` has marked."""
    if inspect.isclass(made) and callable(getattr(made, "update", None)):
        return UpdateRule(made, settings)
    if callable(made) and not all(callable(getattr(made, name, None)) for name in ("start", "next")):
        made = call_with(made, settings)
    elif inspect.isclass(made):
        made = call_with(made, settings)
    lacks = [name for name in ("start", "next") if not callable(getattr(made, name, None))]
    if lacks:
        raise TypeError(f"the rule has no {' and no '.join(f'{name}()' for name in lacks)}")
    return made


def call_with(made: Callable[..., Any], settings: Json) -> Any:
    """Calls with the settings what takes an argument, and anything else without."""
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return made()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes = any(one.kind in positional for one in parameters)
    return made(settings) if takes else made()


class UpdateRule:
    """A rule in the style of the Matrix paper: `update` sets the object's next role.

    The attributes of the object are the state of the task. `update` takes the result and, as far as
    it has parameters for them, the context and a logger. It returns the object, None, or `done(...)`.
    """

    NAMES = ("_current_agent", "current_agent")

    def __init__(self, made: type, settings: Json) -> None:
        self.made = made
        self.settings = settings

    def start(self, row: Json, context: Context) -> Dict[str, Json]:
        rule = call_with(self.made, self.settings)
        begin = getattr(rule, "start", None)
        decided = settle(begin(*self._fitting(begin, row, context))) if callable(begin) else None
        return self._decide(rule, decided)

    def next(self, state: Json, result: Json, context: Context) -> Dict[str, Json]:
        rule = self.made.__new__(self.made)
        vars(rule).update(state)
        decided = settle(rule.update(*self._fitting(rule.update, result, context)))
        return self._decide(rule, decided)

    def _fitting(self, function: Callable[..., Any], first: Json, context: Context) -> Sequence[Any]:
        """As many arguments as the function takes."""
        all_ = (first, context, logging.getLogger(self.made.__name__))
        parameters = inspect.signature(function).parameters.values()
        if any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters):
            return all_
        return all_[: len(parameters)]

    def _decide(self, rule: Any, decided: Any) -> Dict[str, Json]:
        if isinstance(decided, dict) and "done" in decided:
            return decided
        for name in self.NAMES:
            if hasattr(rule, name):
                role = getattr(rule, name)
                return done() if role is None else to(role, dict(vars(rule)))
        raise TypeError(f"{self.made.__name__} sets no _current_agent")


def settle(value: Any) -> Any:
    """The value of a coroutine that waits for nothing outside."""
    if not inspect.iscoroutine(value):
        return value
    try:
        value.send(None)
    except StopIteration as stop:
        return stop.value
    value.close()
    raise RuntimeError("a rule must not wait: its update() awaits something")


def decide(rule: Any, ask: Dict[str, Json], given: Dict[str, Json]) -> Json:
    """Calls the rule with what was asked."""
    operation = ask["op"]
    context = Context(**given)
    function = getattr(rule, operation)
    try:
        if operation == "start":
            decided = function(context.row, context)
        elif operation == "join":
            decided = function(ask["state"], ask["ended"], context)
        elif operation == "unanswered":
            decided = function(ask["state"], ask["reason"], context)
        else:
            decided = function(ask["state"], ask["result"], context)
    except BaseException:
        if context._missing:
            return {"missing": context._missing}
        raise
    # A rule may have caught the exception.
    if context._missing:
        return {"missing": context._missing}
    return {"decided": settle(decided)}


def answer_ask(rule: Any, ask: Dict[str, Json]) -> bytes:
    """The answer to one question, as a line."""
    try:
        answer = decide(rule, ask, ask["context"])
        try:
            return encode(answer)
        except TypeError:
            raise TypeError(problem_in(answer["decided"]) or "the decision is no JSON") from None
    except BaseException as error:  # SystemExit too: a rule must not end the others' questions
        return encode({"error": failure(error)})


def load_rule(path: str, settings: Json) -> Any:
    """Runs the file as a module, and makes the rule that it marks."""
    name = pathlib.Path(path).stem
    sys.path.insert(0, str(pathlib.Path(path).parent))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    # A file may import another rule, to build on it.
    own = [rule for rule in _rules if getattr(rule, "__module__", None) == name] or _rules
    if len(own) != 1:
        found = "no rule" if not own else f"{len(own)} rules"
        raise LookupError(f"the file has {found}: mark one class with @orchestrator")
    return make_rule(own[0], settings)


def place_of(error: BaseException, path: str) -> Dict[str, Json]:
    """The line and the column of an error in the user's file, as far as they are known."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return {"file": error.filename, "line": error.lineno, "column": error.offset}
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if frame.filename == path:
            column = getattr(frame, "colno", None)
            return {
                "file": path,
                "line": frame.lineno,
                **({} if column is None else {"column": column + 1}),
            }
    return {"file": path}


def serve_rule() -> None:
    """Answers lists of questions, a line each, until stdin closes. `src/python/` asks them.

    The first line names the file and its settings. The answer to it has the operations of the rule,
    or the error with its place. Each further line is a list of questions, and is answered with as
    many lines.
    """
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    end_with(os.getppid())

    def reply(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[replies.write(view) :]

    first = json.loads(sys.stdin.buffer.readline())
    version = ".".join(str(part) for part in sys.version_info[:3])
    about = {"python": version, "executable": sys.executable}
    try:
        rule = load_rule(first["path"], first["settings"])
    except BaseException as error:
        told = {"kind": type(error).__name__, "message": str(getattr(error, "msg", None) or error)}
        if isinstance(error, ModuleNotFoundError):
            told["lacks"] = error.name
        reply(encode({**about, "error": {**told, **place_of(error, first["path"])}}))
        return
    has = [name for name in OPERATIONS if callable(getattr(rule, name, None))]
    reply(encode({**about, "operations": has}))
    for line in sys.stdin.buffer:
        reply(b"".join([answer_ask(rule, ask) for ask in json.loads(line)]))


def end_with(parent: int) -> None:
    """Ends this process when its parent has died, even while a rule never comes to its end."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
