"""The library for Python in a recipe: an agent is ten lines, and so are a rule and a request.

# Agents

    from matrix_agent import agent

    @agent
    def solve(task, settings):
        return {"answer": task["row"]["question"].upper()}

`solve` gets the task (id, trial, seed, attempt, hop, role, row, state, last, history) and the role's
`with` table. It returns JSON or raises. It may be a coroutine function.

- `@agent(threads=8)` answers eight requests at once. The default, 1, answers them one after another,
  in the order of their arrival.
- `@agent(end=forget)` calls `forget` with {session, id, trial, attempt} when a task of a stateful
  sandbox is over.
- `serve(solve)` at the end of a file does the same for a program with a `command` of its own, and
  takes further operations by name: `serve(solve, hello=lambda request: {"version": 1})`.

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

# Requests and replies

    from matrix_agent import request

    @request
    def ask(task, settings):
        return {"messages": [{"role": "user", "content": task["row"]["question"]}]}

`@request` marks the request of an llm role (`roles.NAME.request`), and `@replies` the answers of a
simulated model: `def reply(request, settings, random)` returns text or an assistant message. Both
are pure.

# Tests

Decorated functions and classes stay what they are, so a test is a plain assert:

    assert Debate().next({"turns": 5}, {"score": 1}, Context(role="pro")) == done(score=1)

# Values

Results, states and outcomes may hold what JSON holds, and NumPy scalars and arrays, pydantic
models, dataclasses, enums, Decimal, UUID, paths, dates and times.

Printed text goes to the log: only replies reach the real stdout. Python 3.9 or newer, without any
package.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import datetime
import decimal
import enum
import importlib
import importlib.util
import inspect
import io
import json
import logging
import math
import os
import pathlib
import random
import sys
import sysconfig
import threading
import time
import traceback
import types
import uuid
from typing import (
    TYPE_CHECKING,
    Any,
    BinaryIO,
    Callable,
    Dict,
    Iterable,
    List,
    Optional,
    Sequence,
    TypedDict,
    TypeVar,
    Union,
    cast,
    overload,
)

# An interpreter of a rule needs neither asyncio nor threads, and is 6 MB smaller without them.
if TYPE_CHECKING:
    import asyncio

__all__ = [
    "Context",
    "Done",
    "FatalError",
    "Fork",
    "Hop",
    "Message",
    "ModelRequest",
    "PromptTask",
    "ReplyRequest",
    "Route",
    "Task",
    "To",
    "ToolCall",
    "agent",
    "done",
    "fork",
    "orchestrator",
    "replies",
    "request",
    "serve",
    "to",
]

Json = Any
"""The values that `json.loads` gives."""

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

# --- Types ---


class _Hop(TypedDict):
    hop: int
    role: str
    result: Json


class Hop(_Hop, total=False):
    """A finished step. Requests see the first five keys; rules and agents see all of them."""

    branch: int
    model: str
    host: str
    at: str
    queue_ms: float
    run_ms: float
    usage: Dict[str, Any]
    cost: float
    tries: int


class PromptTask(TypedDict):
    """The task as a request sees it. It is the same whenever the step is repeated."""

    id: str
    trial: int
    seed: int
    role: str
    row: Dict[str, Json]
    state: Json
    last: Json
    """The last result; None before the first step."""
    history: List[Hop]


class Task(PromptTask):
    """The task as an agent sees it."""

    attempt: int
    hop: int


class _Function(TypedDict):
    name: str
    arguments: str
    """The text that the model wrote, which need not be JSON."""


class ToolCall(TypedDict):
    id: str
    type: str
    function: _Function


class _Message(TypedDict):
    role: str


class Message(_Message, total=False):
    """A chat message in the OpenAI shape."""

    content: Union[str, List[Dict[str, Any]], None]
    tool_calls: List[ToolCall]
    tool_call_id: str
    name: str
    refusal: Optional[str]


class _ModelRequest(TypedDict):
    messages: Sequence[Message]


class ModelRequest(_ModelRequest, total=False):
    """The messages for a role's model. The recipe's sampling wins over this one."""

    tools: Sequence[Dict[str, Any]]
    sampling: Dict[str, Any]


class _ReplyRequest(TypedDict):
    messages: List[Message]
    seed: int
    sampling: Dict[str, Any]
    origin: Optional[Dict[str, Any]]
    """The row, trial, role and turn that ask; None for a request over HTTP."""


class ReplyRequest(_ReplyRequest, total=False):
    """A request to a simulated model."""

    tools: List[Dict[str, Any]]
    schema: Dict[str, Any]


class To(TypedDict):
    """A decision to go to a role."""

    to: str
    state: Json


class Done(TypedDict):
    """A decision to end the task."""

    done: str
    score: Optional[float]
    outcome: Optional[Dict[str, Json]]


Fork = TypedDict("Fork", {"fork": List[To], "state": Json})
Fork.__doc__ = "A decision to go several ways at once."

Route = Union[To, Fork, Done]


class FatalError(Exception):
    """An error that no further try of the step (`roles.NAME.retries`) can mend."""

    fatal = True


# --- Marks ---


class _Mark:
    """A function, a class or an object of the user's file, and the part of a recipe that it is."""

    def __init__(self, kind: str, value: Any, **options: Any) -> None:
        self.kind = kind
        self.value = value
        self.options = options


_marks: List[_Mark] = []
_is_serving = False
"""True in a process that serves what a file marks."""


@overload
def agent(step: F, /) -> F: ...
@overload
def agent(
    *, threads: int = 1, end: Optional[Callable[[Dict[str, Any]], Any]] = None
) -> Callable[[F], F]: ...
def agent(
    step: Optional[Callable[..., Any]] = None,
    /,
    *,
    threads: int = 1,
    end: Optional[Callable[[Dict[str, Any]], Any]] = None,
) -> Any:
    """Marks the agent of a file: a function of the task and the role's settings."""

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        _marks.append(_Mark("agent", function, threads=threads, end=end))
        is_program = getattr(function, "__module__", None) == "__main__"
        if is_program and not _is_serving and "MATRIX_BRIDGE" in os.environ:
            atexit.register(_complain_of_start)
        return function

    return mark if step is None else mark(step)


def _complain_of_start() -> None:
    print(
        "@agent marks the agent of a file that matrix starts by itself: leave out `command` of the "
        "role, or end the file with serve(...)",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)


def orchestrator(rule: R) -> R:
    """Marks the rule of a file: a class, an object, or a function of the settings."""
    _marks.append(_Mark("rule", rule))
    return rule


def request(write: F) -> F:
    """Marks the request of a file: a function of the task and the role's settings."""
    _marks.append(_Mark("request", write))
    return write


def replies(reply: F) -> F:
    """Marks the replies of a simulated model: a function of request, settings and random."""
    _marks.append(_Mark("replies", reply))
    return reply


# --- Decisions ---


def to(role: str, state: Json = None) -> To:
    """The decision to go to a role, with new state."""
    return {"to": role, "state": state}


def done(
    reason: str = "completed",
    *,
    score: Optional[float] = None,
    outcome: Optional[Dict[str, Any]] = None,
) -> Done:
    """The decision to end the task. `reason` is one of the stop reasons of a record."""
    return {"done": reason, "score": score, "outcome": outcome}


def fork(branches: Iterable[To], state: Json = None) -> Fork:
    """The decision to go several ways at once. `join` receives the state."""
    return {"fork": list(branches), "state": state}


class _Missing(BaseException):
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
        self.unsent: List[str] = []
        """Parts that were read and not sent. A run sends them and asks again."""

    @property
    def row(self) -> Dict[str, Json]:
        """The row of the dataset."""
        return self._part("row")

    @property
    def history(self) -> List[Hop]:
        """All finished hops. In `next` the last one gave the result."""
        return self._part("history")

    def _part(self, name: str) -> Any:
        if name not in self._parts:
            self.unsent.append(name)
            raise _Missing(name)
        return self._parts[name]


# --- Errors ---


_OWN_FILES = (__file__, os.path.join(os.path.dirname(__file__), "matrix_graph.py"))


def _stack_of(error: BaseException) -> str:
    """The traceback from the user's first call on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename in _OWN_FILES:
        frames = frames.tb_next
    # An error of this library alone has all of its frames.
    return "".join(
        traceback.format_exception(type(error), error, frames or error.__traceback__)
    )


def _failure(error: BaseException) -> Dict[str, Json]:
    """An error for the record. Attributes that HTTP clients use ask for a later try."""
    told: Dict[str, Json] = {
        "kind": type(error).__name__,
        "message": str(error),
        "stack": _stack_of(error),
    }
    if getattr(error, "fatal", False) is True:
        told["fatal"] = True
    seconds = getattr(error, "retry_after", None)
    headers = getattr(getattr(error, "response", None), "headers", None)
    if seconds is None and headers is not None and hasattr(headers, "get"):
        seconds = headers.get("retry-after", headers.get("Retry-After"))
    if seconds is None:
        return told
    try:
        pause = float(seconds)
    except (TypeError, ValueError):
        return told  # A date: the usual pause is made.
    if 0 <= pause < float("inf"):
        told["retry_after"] = pause
    return told


# --- Agents ---


class _Replies:
    """The real stdout. Printed text goes to stderr from now on."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        self._lock = threading.Lock()
        os.dup2(2, 1)

    def write(self, data: bytes) -> None:
        with self._lock:
            # A pipe may take only a part of a long line.
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]


def _take_stdin() -> BinaryIO:
    """The questions. To the user's code and its programs, stdin is empty from now on."""
    questions = os.fdopen(os.dup(0), "rb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return questions


def serve(
    step: Optional[Callable[..., Any]] = None,
    *,
    threads: int = 1,
    end: Optional[Callable[[Dict[str, Any]], Any]] = None,
    **ops: Callable[[Dict[str, Any]], Any],
) -> None:
    """Answers requests until stdin closes."""
    from concurrent.futures import ThreadPoolExecutor

    replies = _Replies()
    cancelled: set[str] = set()
    if step is not None:
        ops.setdefault("step", _step_of(step))

    def answer(request: Dict[str, Any]) -> None:
        number = request.get("id")
        if number in cancelled:
            cancelled.discard(number)
            return
        try:
            function = ops.get(request.get("op", ""))
            if function is None:
                raise LookupError(f"no such op: {request.get('op')}")
            result = _awaited(function(request))
            replies.write(_encode({"id": number, "ok": True, "result": result}))
        except BrokenPipeError:
            os._exit(0)
        except BaseException as error:  # SystemExit too: a step must not end the agent
            traceback.print_exc()
            replies.write(_encode({"id": number, "ok": False, "error": _failure(error)}))

    def hear_end(task: Dict[str, Any]) -> None:
        if end is None:
            return
        try:
            _awaited(end(task))
        except BaseException:
            traceback.print_exc()

    with ThreadPoolExecutor(threads) as pool:
        for line in _take_stdin():
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


def _step_of(step: Callable[..., Any]) -> Callable[[Dict[str, Any]], Any]:
    return lambda request: _fitting(step, request["task"], request.get("settings", {}))


_loop: Optional[asyncio.AbstractEventLoop] = None
_loop_lock = threading.Lock()


def _awaited(value: Any) -> Any:
    """The value of a coroutine, which runs on one event loop for all steps."""
    global _loop
    if not inspect.isawaitable(value):
        return value
    import asyncio

    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, daemon=True).start()

    async def wait() -> Any:
        return await value

    return asyncio.run_coroutine_threadsafe(wait(), _loop).result()


# --- Values ---


def _encode(value: Any) -> bytes:
    """A line of JSON. Raises a TypeError with the path of what JSON cannot hold."""
    try:
        text = _json(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(_problem_in(value) or str(error)) from None
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        # UTF-8 has no half of a character, such as a model may write, and JSON escapes it.
        return _json(value, ensure_ascii=True).encode() + b"\n"


def _json(value: Any, ensure_ascii: bool) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        separators=(",", ":"),
        allow_nan=False,
        default=_plain,
    )


def _plain(value: Any) -> Json:
    """The JSON for a value of another type."""
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
    raise TypeError(f"{type(value).__name__} is not JSON")


def _problem_in(value: Any, path: str = "", depth: int = 0) -> Optional[str]:
    """The first part of a value that JSON cannot hold, with its path."""
    here = path or "the value"
    if depth > 256:
        return f"{here[:60]}… is nested too deeply, or contains itself"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{here} is {value!r}, which JSON does not have"
    if value is None or isinstance(value, (str, int, float, bool)):
        return None
    if isinstance(value, dict):
        for key, part in cast(Dict[Any, Any], value).items():
            if not isinstance(key, (str, int, float, bool)) and key is not None:
                return f"{here} has the key {key!r}; keys are text"
            problem = _problem_in(part, f"{path}.{key}" if path else str(key), depth + 1)
            if problem is not None:
                return problem
        return None
    if isinstance(value, (list, tuple)):
        for index, part in enumerate(cast(Sequence[Any], value)):
            problem = _problem_in(part, f"{path}[{index}]", depth + 1)
            if problem is not None:
                return problem
        return None
    try:
        return _problem_in(_plain(value), path, depth + 1)
    except TypeError as error:
        return f"{here}: {error}"


# --- Rules, requests and replies ---

_OPERATIONS = ("start", "next", "unanswered", "join")


def _fitting(function: Callable[..., Any], *given: Any) -> Any:
    """Calls with as many of the arguments as the function takes by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function(*given)
    if any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters):
        return function(*given)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes = sum(one.kind in positional for one in parameters)
    return function(*given[:takes])


def _make_rule(made: Any, settings: Json) -> Any:
    """An object with `start` and `next` from what `orchestrator` has marked."""
    if inspect.isclass(made) and callable(getattr(made, "update", None)):
        return _UpdateRule(made, settings)
    if callable(made) and not all(callable(getattr(made, name, None)) for name in ("start", "next")):
        made = _fitting(made, settings)
    elif inspect.isclass(made):
        made = _fitting(made, settings)
    lacks = [name for name in ("start", "next") if not callable(getattr(made, name, None))]
    if lacks:
        raise TypeError(f"the rule has no {' and no '.join(f'{name}()' for name in lacks)}")
    return made


class _UpdateRule:
    """A rule in the style of the Matrix paper: `update` sets the object's next role.

    The attributes of the object are the state of the task. `update` takes the result and, as far as
    it has parameters for them, the context and a logger. It returns the object, None, or `done(...)`.
    """

    NAMES = ("_current_agent", "current_agent")

    def __init__(self, made: Any, settings: Json) -> None:
        self.made = made
        self.settings = settings

    def start(self, row: Json, context: Context) -> Any:
        rule = _fitting(self.made, self.settings)
        begin = getattr(rule, "start", None)
        decided = None
        if callable(begin):
            decided = _settle(_fitting(begin, row, context, self._logger))
        return self._decide(rule, decided)

    def next(self, state: Json, result: Json, context: Context) -> Any:
        rule: Any = self.made.__new__(self.made)
        rule.__dict__.update(state)
        return self._decide(
            rule, _settle(_fitting(getattr(rule, "update"), result, context, self._logger))
        )

    @property
    def _logger(self) -> logging.Logger:
        return logging.getLogger(self.made.__name__)

    def _decide(self, rule: Any, decided: Any) -> Any:
        if isinstance(decided, dict) and "done" in decided:
            return cast(Any, decided)
        for name in self.NAMES:
            if hasattr(rule, name):
                role = getattr(rule, name)
                return done() if role is None else to(role, dict(rule.__dict__))
        raise TypeError(f"{self.made.__name__} sets no _current_agent")


def _settle(value: Any) -> Any:
    """The value of a coroutine that waits for nothing outside."""
    if not inspect.iscoroutine(value):
        return value
    try:
        value.send(None)
    except StopIteration as stop:
        return stop.value
    value.close()
    raise RuntimeError("it is a coroutine that waits for something; it must answer at once")


def _decide(made: Any, ask: Dict[str, Json]) -> Dict[str, Json]:
    """Calls what the file marks with what was asked."""
    operation = ask["op"]
    if operation == "request":
        return {"decided": _settle(_fitting(made, ask["task"], ask["settings"]))}
    if operation == "replies":
        drawn = random.Random(ask["seed"])
        return {"decided": _settle(_fitting(made, ask["request"], ask["settings"], drawn))}
    context = Context(**ask["context"])
    function = getattr(made, operation)
    try:
        if operation == "start":
            decided = function(context.row, context)
        elif operation == "join":
            decided = function(ask["state"], ask["ended"], context)
        elif operation == "unanswered":
            decided = function(ask["state"], ask["reason"], context)
        else:
            decided = function(ask["state"], ask["result"], context)
        decided = _settle(decided)
    except BaseException:
        if context.unsent:
            return {"missing": context.unsent}
        raise
    # A rule may have caught the exception.
    if context.unsent:
        return {"missing": context.unsent}
    return {"decided": decided}


def _answer(made: Any, ask: Dict[str, Json], watched: bool) -> bytes:
    """The answer to one question, as a line."""
    try:
        answer = _decide_watched(made, ask) if watched else _decide(made, ask)
        return _encode_answer(answer)
    except BaseException as error:  # SystemExit too: a rule must not end the others' questions
        return _encode({"error": _failure(error)})


def _encode_answer(answer: Dict[str, Json]) -> bytes:
    try:
        return _encode(answer)
    except TypeError:
        raise TypeError(_problem_in(answer["decided"]) or "the answer is not JSON") from None


# --- Purity ---


class NotPure(Exception):
    """The answer would depend on more than the question."""


_CLOCKS = frozenset(
    "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time "
    "process_time_ns thread_time thread_time_ns clock_gettime clock_gettime_ns localtime ctime".split()
)
_NOWS = frozenset(("now", "utcnow", "today"))
_MACHINE = frozenset(("getpid", "getppid", "getcwd", "uname", "cpu_count"))
_DRAWS = frozenset(("random", "getrandbits"))
_HANDS_ON = frozenset(("random", "uuid", "secrets", "os", "collections.abc", "datetime"))
"""Modules that give what they read to their caller."""
_ENVIRONMENT = getattr(type(os.environ), "__getitem__").__code__
_GENERATOR = getattr(random.Random, "__init__").__code__
_SHARED = getattr(random.random, "__self__")
_LIBRARIES = tuple(
    {sysconfig.get_paths()[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def _read_by(called: Any) -> Optional[str]:
    """The source that a built-in function reads, in words."""
    name = getattr(called, "__name__", "")
    owner = getattr(called, "__self__", None)
    if isinstance(owner, types.ModuleType):
        if owner.__name__ == "time" and name in _CLOCKS:
            return f"the clock (time.{name})"
        if owner.__name__ == "_uuid":
            return f"randomness of the machine (uuid.{name})"
        if owner.__name__ == "posix" and name in ("urandom", "getrandom"):
            return f"randomness of the machine (os.{name})"
        if owner.__name__ == "posix" and name in _MACHINE:
            return f"the machine (os.{name})"
        if owner.__name__ == "_socket" and name == "gethostname":
            return "the machine (socket.gethostname)"
    elif name in _NOWS and inspect.isclass(owner) and issubclass(owner, datetime.date):
        return f"the clock ({owner.__name__}.{name})"
    elif owner is _SHARED and name in _DRAWS:
        return "the random generator of its process (random)"
    elif type(owner).__module__ == "numpy.random.mtrand":
        numpy = sys.modules.get("numpy.random.mtrand")
        if owner is getattr(numpy, "_rand", None):
            return f"the random generator of its process (numpy.random.{name})"
    return None


class _Watch:
    """Notes the reads of clocks, environment and randomness that the user's code makes."""

    def __init__(self) -> None:
        self.found: Optional[str] = None

    def __enter__(self) -> "_Watch":
        sys.setprofile(self._see)
        return self

    def __exit__(self, *error: Any) -> None:
        sys.setprofile(None)

    def _see(self, frame: types.FrameType, event: str, called: Any) -> None:
        read = None
        at: Optional[types.FrameType] = frame
        if event == "c_call":
            read = _read_by(called)
        elif event == "call" and frame.f_code is _ENVIRONMENT:
            read = f"the environment (os.environ, {frame.f_locals.get('key')!r})"
        elif event == "call" and frame.f_code is _GENERATOR and frame.f_locals.get("x") is None:
            read = "randomness of the machine (random.Random() without a seed)"
            at = frame.f_back
        if read is None or self.found is not None:
            return
        while at is not None and at.f_globals.get("__name__") in _HANDS_ON:
            at = at.f_back
        # A library may read the clock for itself, as logging does.
        if at is not None and _is_users(at.f_code.co_filename):
            place = f"{os.path.basename(at.f_code.co_filename)}, line {at.f_lineno}"
            self.found = f"{place} reads {read}"


def _is_users(file: str) -> bool:
    is_library = file.startswith(_LIBRARIES) or "-packages" in file or file.startswith("<frozen ")
    return file not in _OWN_FILES and not is_library


def _decide_watched(made: Any, ask: Dict[str, Json]) -> Dict[str, Json]:
    """Decides twice. Fails when the user's code reads more than the question, or has a memory."""
    again = json.loads(json.dumps(ask))
    with _Watch() as watch:
        answer = _decide(made, ask)
    if watch.found is not None:
        raise NotPure(
            f"{watch.found}; the same question must have the same answer on every host and at any "
            "time, so use the row, the state, and context.seed or the task's seed"
        )
    if "missing" in answer:
        return answer
    first = _encode_answer(answer)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        second = _encode_answer(_decide(made, again))
    if first != second:
        raise NotPure(
            "the same question had two answers, so something is remembered or drawn between calls: "
            f"{_short(first)}, and then {_short(second)}"
        )
    return answer


def _short(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return text if len(text) <= 300 else f"{text[:300]}…"


# --- Files ---


def _load(path: str) -> types.ModuleType:
    """Runs the file as a module."""
    name = pathlib.Path(path).stem
    sys.path.insert(0, str(pathlib.Path(path).parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    cast(Any, spec.loader).exec_module(module)
    return module


_KINDS = {
    "agent": ("agent", "one function with @agent"),
    "rule": ("rule", "one class with @orchestrator"),
    "request": ("request", "one function with @request"),
    "replies": ("replies", "one function with @replies"),
}


def _marked(kind: str, module: str) -> _Mark:
    """The one mark of this kind in the user's file."""
    marks = [mark for mark in _marks if mark.kind == kind]
    # A file may import another rule, to build on it.
    own = [mark for mark in marks if getattr(mark.value, "__module__", None) == module] or marks
    if len(own) != 1:
        word, wanted = _KINDS[kind]
        plural = word if word.endswith("s") else f"{word}s"
        found = f"no {word}" if not own else f"{len(own)} {plural}"
        raise LookupError(f"the file has {found}: mark {wanted}")
    return own[0]


def _graph_in(module: types.ModuleType, told: Dict[str, Json]) -> Any:
    """The rule of a graph of LangGraph, which the file exports by a name."""
    # It lies beside this file where an interpreter runs, and is no part of a wheel.
    matrix_graph: Any = importlib.import_module("matrix_graph")
    graph = told["graph"]
    names = [graph["name"]] if graph["name"] != "default" else ["graph", "build"]
    found = [name for name in names if hasattr(module, name)]
    if not found:
        raise LookupError(f"the file has no {' and no '.join(names)}: name the graph after a #")
    return matrix_graph.make(getattr(module, found[0]), told["settings"], graph)


def _place_of(error: BaseException, path: str) -> Dict[str, Json]:
    """The line and the column of an error in the user's file, as far as they are known."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return {"file": error.filename, "line": error.lineno, "column": error.offset}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == path:
            column: Optional[int] = getattr(frame, "colno", None)
            return {
                "file": path,
                "line": frame.lineno,
                **({} if column is None else {"column": column + 1}),
            }
    return {"file": path}


def _serve_file() -> None:
    """Answers lists of questions, a line each, until stdin closes. `src/python/` asks them.

    The first line names the file, the kind of what it marks, its settings, and how many questions
    of each operation are watched (null for all). The answer to it has the operations, or the error
    with its place. Each further line is a list of questions, and is answered with as many lines.
    """
    replies = _Replies()
    _end_with(os.getppid())
    questions = _take_stdin()
    first = json.loads(questions.readline())
    path, kind = first["path"], first["kind"]
    version = ".".join(str(part) for part in sys.version_info[:3])
    about = {"python": version, "executable": sys.executable}
    try:
        module = _load(path)
        made = _marked(kind, module.__name__).value if kind != "graph" else _graph_in(module, first)
        if kind == "rule":
            made = _make_rule(made, first["settings"])
        elif kind != "graph" and not callable(made):
            raise TypeError(f"@{kind} marks a {type(made).__name__}, which is not a function")
    except BaseException as error:
        told: Dict[str, Json] = {
            "kind": type(error).__name__,
            "message": str(getattr(error, "msg", None) or error),
        }
        if isinstance(error, ModuleNotFoundError):
            told["lacks"] = error.name
        place = getattr(error, "place", None) or _place_of(error, path)
        replies.write(_encode({**about, "error": {**told, **place}}))
        return
    has = [kind] if kind not in ("rule", "graph") else [
        name for name in _OPERATIONS if callable(getattr(made, name, None))
    ]
    replies.write(_encode({**about, "operations": has}))
    watched: Optional[int] = first.get("watched", 0)
    asked: Dict[str, int] = {}
    for line in questions:
        answers: List[bytes] = []
        for ask in json.loads(line):
            count = asked.get(ask["op"], 0)
            asked[ask["op"]] = count + 1
            answers.append(_answer(made, ask, watched is None or count < watched))
        replies.write(b"".join(answers))


def _end_with(parent: int) -> None:
    """Ends this process when its parent has died, even while a rule never comes to its end."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _run_agent(path: str, arguments: List[str]) -> None:
    """Runs a file as the program itself, and serves the agent that it marks."""
    global _is_serving
    _is_serving = True
    sys.argv[:] = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    program = types.ModuleType("__main__")
    program.__file__ = path
    program.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = program
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    exec(code, program.__dict__)
    mark = _marked("agent", "__main__")
    serve(mark.value, **mark.options)


def main(arguments: List[str]) -> None:
    """Serves a file: `python matrix_agent.py solve.py` its agent, `--serve` the file on stdin."""
    if arguments == ["--serve"]:
        _serve_file()
    elif arguments:
        _run_agent(arguments[0], arguments[1:])
    else:
        raise SystemExit("usage: python matrix_agent.py FILE")


if __name__ == "__main__":
    # The user's file imports this one by its name, and both must be the same module.
    import matrix_agent

    matrix_agent.main(sys.argv[1:])
