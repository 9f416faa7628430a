"""Graphs of LangGraph for Python as rules. `matrix_agent.py` serves them, like rules.

LangGraph does not run: its nodes are roles, which agents play on hosts. This file reads the edges,
the conditions, the reducers and the functions by which a node turns a result into state, and goes
from superstep to superstep as LangGraph's `apply_writes` and `prepare_next_tasks` do, without their
versions, threads and callbacks. `src/orchestrator/graph/` is the same for LangGraph.js.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import sys
import types
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from matrix_agent import Context, _fitting, _settle, done, fork, to

Json = Any

START = "__start__"
END = "__end__"
PARENT = "__parent__"
GRAPH = "__graph__"
"""The key of a task's state that is not a channel."""

SUPERSTEPS_MAX = 1000
"""A task that passes more supersteps than this between two roles is in an endless loop."""


class GraphError(Exception):
    """A graph that no task can walk. `place` is where its first fault stands, if that is known."""

    def __init__(self, message: str, place: Optional[Dict[str, Json]] = None) -> None:
        super().__init__(message)
        self.place = place


# --- The graph ---


class Node:
    """The facts about a node that a walk needs, looked up once when the graph is loaded."""

    def __init__(self, graph: "Graph", name: str, spec: Any, around: Optional["Node"]) -> None:
        builder = graph.builder
        metadata = getattr(spec, "metadata", None) or {}
        here = metadata.get("inline") is True or (around is not None and around.inline)
        self.name = name
        self.path = name if around is None else f"{around.path}/{name}"
        self.inline = name == START or here
        self.runnable = getattr(spec, "runnable", None)
        self.defer = bool(getattr(spec, "defer", False))
        schema = _schema(spec, "input", builder) if spec is not None else _state_schema(builder)
        self.inputs = [key for key in builder.schemas[schema] if key in builder.channels]
        self.mapper = _mapper(schema)
        outputs = builder.schemas[_schema(builder, "input")] if name == START else builder.channels
        self.outputs = frozenset(key for key in outputs if key in builder.channels)
        self.edges = [end for start, end in builder.edges if start == name]
        self.waits = [i for i, (starts, _) in enumerate(graph.waits) if name in starts]
        self.conditions = [
            Condition(condition, spec_, schema, builder)
            for condition, spec_ in builder.branches.get(name, {}).items()
        ]
        inner = _subgraph(self.runnable)
        self.graph = None if inner is None else Graph(inner, self)
        self.call = None if self.graph is not None or spec is None else _caller(self.runnable)


class Condition:
    """A conditional edge."""

    def __init__(self, name: str, spec: Any, schema: Any, builder: Any) -> None:
        own = getattr(spec, "input_schema", None)
        self.name = name
        self.ends = spec.ends
        self.passes_on = own is None
        read = own if own is not None else schema
        self.inputs = [key for key in builder.schemas[read] if key in builder.channels]
        self.mapper = _mapper(read)
        self.call = _caller(spec.path)


class Graph:
    """A graph, or one in a node of another."""

    def __init__(self, compiled: Any, around: Optional[Node] = None) -> None:
        self.builder = getattr(compiled, "builder", compiled)
        builder = self.builder
        self.waits = sorted((tuple(starts), end) for starts, end in builder.waiting_edges)
        self.channels: Dict[str, Any] = dict(builder.channels)
        output = builder.schemas[_schema(builder, "output")]
        self.outputs = [key for key in output if key in self.channels]
        self.nodes = {name: Node(self, name, spec, around) for name, spec in builder.nodes.items()}
        self.start = Node(self, START, None, around)

    def places(self) -> Iterator[Tuple[str, Tuple["Graph", Node]]]:
        """Each node of this graph and of its subgraphs, by its path."""
        for node in self.nodes.values():
            yield node.path, (self, node)
            if node.graph is not None:
                yield from node.graph.places()


def _schema(owner: Any, name: str, builder: Any = None) -> Any:
    """A schema of a graph or of a node, which older releases call by a shorter name."""
    schema = getattr(owner, f"{name}_schema", None)
    if schema is None:
        schema = getattr(owner, name, None)
    return schema if schema is not None else _state_schema(builder)


def _state_schema(builder: Any) -> Any:
    schema = getattr(builder, "state_schema", None)
    return schema if schema is not None else builder.schema


def _mapper(schema: Any) -> Any:
    """The class that a function takes in place of a dict."""
    if not isinstance(schema, type):
        return None
    return schema if dataclasses.is_dataclass(schema) or hasattr(schema, "model_fields") else None


def _subgraph(runnable: Any) -> Any:
    builder = getattr(runnable, "builder", None)
    return runnable if builder is not None and hasattr(builder, "waiting_edges") else None


def _function(runnable: Any) -> Any:
    """The user's function in what LangGraph has made of it."""
    func = getattr(runnable, "func", None)
    return func if func is not None else getattr(runnable, "afunc", None)


def _caller(runnable: Any) -> Any:
    """Calls a function of the graph with its input and its configuration."""
    func = _function(runnable)
    if func is None:
        return None
    accepts = set(getattr(runnable, "func_accepts", None) or ())
    fixed = getattr(runnable, "kwargs", None) or {}
    if not accepts and not fixed and not hasattr(runnable, "func_accepts"):
        return lambda input, config: _settle(_fitting(func, input, config))
    others = {name: _offer(name) for name in accepts - {"config"}}
    if "config" in accepts:
        return lambda input, config: _settle(func(input, config=config, **others, **fixed))
    return lambda input, config: _settle(func(input, **others, **fixed))


def _offer(name: str) -> Any:
    """A parameter that LangGraph fills: nothing hears what is written, and nothing is stored."""
    if name == "writer":
        return lambda _: None
    if name == "runtime":
        from langgraph.runtime import Runtime

        return Runtime()
    return None


# --- Values ---


def _missing() -> Any:
    """The checkpoint of a channel while it has no value."""
    from langgraph.channels import LastValue

    return getattr(LastValue(int), "value", None)


def _declared(channel: Any) -> Any:
    """The type of a channel where JSON has a list for it; None for any other."""
    typ = getattr(channel, "typ", None)
    while hasattr(typ, "__origin__"):
        typ = typ.__origin__
    return typ if typ in (set, frozenset, tuple) else None


def as_json(value: Any, path: str) -> Json:
    """The value as JSON. Raises a TypeError for what would arrive on another host as another."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{path} has the key {key!r}; keys of the state are text")
        return {key: as_json(part, f"{path}.{key}") for key, part in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return [as_json(part, f"{path}[{index}]") for index, part in enumerate(value)]
    if _is_message(value):
        kwargs = json.loads(json.dumps(value.model_dump(mode="json", exclude={"type"})))
        name = type(value).__name__
        id = ["langchain", "schema", "messages", name]
        return {"lc": 1, "type": "constructor", "id": id, "kwargs": kwargs}
    if isinstance(value, (str, int, float)) and type(value).__module__ not in ("numpy",):
        plain = next(kind for kind in (str, int, float) if isinstance(value, kind))
        return plain(getattr(value, "value", value))
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return as_json(value.tolist(), path)
    hint = ": use sorted(...), or declare the channel as a set" if isinstance(value, set) else ""
    raise TypeError(f"{path} is a {type(value).__name__}, which JSON cannot carry{hint}")


def channel_json(value: Any, channel: Any, path: str) -> Json:
    """The value of a channel as JSON. A set that is declared is a sorted list."""
    if isinstance(value, (set, frozenset)) and _declared(channel) in (set, frozenset):
        parts = [as_json(part, f"{path}[]") for part in value]
        return sorted(parts, key=lambda part: json.dumps(part, sort_keys=True))
    return as_json(value, path)


def from_json(value: Json, channel: Any = None) -> Any:
    """A value with the messages that stand in it by themselves or in a list."""
    if isinstance(value, list):
        read = [_read(one) for one in value]
        kind = _declared(channel)
        return read if kind is None else kind(_hashable(one) for one in read)
    return _read(value)


def _hashable(value: Any) -> Any:
    return tuple(_hashable(part) for part in value) if isinstance(value, list) else value


def _read(value: Json) -> Any:
    if not isinstance(value, dict) or value.get("lc") != 1 or value.get("type") != "constructor":
        return value
    from langchain_core import messages

    name = str(value["id"][-1])
    made = getattr(messages, name, None)
    if not isinstance(made, type) or not issubclass(made, messages.BaseMessage):
        raise TypeError(f"the state holds a message of the kind {name}")
    return made(**value["kwargs"])


def _is_message(value: Any) -> bool:
    loaded = sys.modules.get("langchain_core.messages")
    return loaded is not None and isinstance(value, loaded.BaseMessage)


def _messages_in(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        for one in value if isinstance(value, list) else [value]:
            if _is_message(one):
                yield one


def _ids_in(values: Iterable[Any]) -> Set[Optional[str]]:
    """The ids that updates give, also those of messages that are dicts."""
    ids = {message.id for message in _messages_in(values)}
    for value in values:
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and isinstance(one.get("id"), str):
                ids.add(one["id"])
    return ids


def _settle_ids(value: Any, known: Set[Optional[str]], seed: int, place: str) -> None:
    """Replaces ids that a reducer has just drawn, so that a task gets the same ids again.

    An id follows from the messages before it and from `place`, which tells apart lists that hold
    the same. `known` has the ids that stood there before.
    """
    above = ""
    for message in _messages_in([value]) if isinstance(value, list) else ():
        if message.id is not None and message.id not in known:
            said = json.dumps(message.model_dump(mode="json", exclude={"id"}), sort_keys=True)
            text = "\n".join((str(seed), place, above, said))
            message.id = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:28]
        above += f"{message.id}\n"


# --- A graph on its way ---


class Task:
    """A node at work in a superstep."""

    __slots__ = ("node", "send", "frame", "writes")

    def __init__(self, node: Node, send: Optional[Tuple[Any]]) -> None:
        self.node = node
        self.send = send
        """The argument of a Send in place of the state; None when an edge leads to the node."""
        self.frame: Optional[Frame] = None
        self.writes: Optional[List[Dict[str, Any]]] = None
        """The effects of the node, once its function has answered."""


class Frame:
    """The channels of a graph, and the nodes of the superstep that is under way."""

    def __init__(
        self,
        graph: Graph,
        seed: int,
        values: Mapping[str, Json] = {},
        seen: Sequence[Tuple[int, Sequence[str]]] = (),
        deferred: Sequence[str] = (),
    ) -> None:
        missing = _missing()
        self.graph = graph
        self.seed = seed
        self.tasks: List[Task] = []
        self.channels = {
            name: channel.from_checkpoint(
                from_json(values[name], channel) if name in values else missing
            )
            for name, channel in graph.channels.items()
        }
        self.seen: Dict[int, List[str]] = {index: list(names) for index, names in seen}
        self.deferred = list(deferred)

    def json(self) -> Dict[str, Json]:
        return {
            name: channel_json(channel.checkpoint(), channel, f"state.{name}")
            for name, channel in self.channels.items()
            if channel.is_available()
        }

    def values(self, names: Optional[Iterable[str]] = None) -> Dict[str, Any]:
        """The values of the named channels that have one; of all channels without names."""
        channels = self.channels
        named = channels if names is None else names
        return {name: channels[name].get() for name in named if channels[name].is_available()}

    def values_after(self, task: Task, writes: Any, names: Sequence[str]) -> Dict[str, Any]:
        """The values as they would be if one node alone had written."""
        missing = _missing()
        updates = _updates_in([writes])
        place = self.tasks.index(task)
        values = {}
        for name in names:
            channel = self.channels[name]
            saved = channel.checkpoint() if channel.is_available() else missing
            copy = channel.from_checkpoint(saved)
            self._update(copy, f"{name} {place}", updates.get(name, []))
            if copy.is_available():
                values[name] = copy.get()
        return values

    def advance(self) -> bool:
        """Ends the superstep and begins the next one. False when nothing is left to run."""
        nodes = self.graph.nodes
        self._take_updates()
        sends: List[Task] = []
        pulled: Set[str] = set()
        for task in self.tasks:
            for write in task.writes or ():
                if "send" in write:
                    sends.append(Task(nodes[write["send"]], (write["arg"],)))
                elif "go" in write:
                    if not nodes[write["go"]].defer:
                        pulled.add(write["go"])
                    elif write["go"] not in self.deferred:
                        self.deferred.append(write["go"])
                elif "seen" in write:
                    names = self.seen.setdefault(write["seen"], [])
                    if task.node.name not in names:
                        names.append(task.node.name)
        # A node may have run twice in a superstep, so this comes after all of them.
        pulled.update(self._waited(False))
        if not pulled:
            pulled.update(self.deferred)
            pulled.update(self._waited(True))
            self.deferred = []
        # A node that runs begins all of its waiting edges anew that have seen all.
        for index, (starts, end) in enumerate(self.graph.waits):
            if end in pulled and len(self.seen.get(index, ())) == len(set(starts)):
                del self.seen[index]
        self.tasks = [Task(nodes[name], None) for name in sorted(pulled)] + sends
        return len(self.tasks) > 0

    def _waited(self, defer: bool) -> List[str]:
        """The nodes whose waiting edges have seen all."""
        return [
            end
            for index, (starts, end) in enumerate(self.graph.waits)
            if self.graph.nodes[end].defer == defer
            and len(self.seen.get(index, ())) == len(set(starts))
        ]

    def _take_updates(self) -> None:
        updated = set()
        for name, values in _updates_in(task.writes for task in self.tasks).items():
            channel = self.channels[name]
            try:
                if self._update(channel, name, values) and channel.is_available():
                    updated.add(name)
            except Exception as error:
                writers = [task.node.path for task in self.tasks if _writes(task, name)]
                if len(writers) < 2 or type(error).__name__ != "InvalidUpdateError":
                    raise
                raise type(error)(
                    f"state.{name}: {' and '.join(writers)} update it in one step: give it a reducer"
                ) from None
        # A channel that keeps its value for one superstep alone lets go of it.
        for name, channel in self.channels.items():
            if name not in updated and channel.is_available():
                channel.update([])

    def _update(self, channel: Any, place: str, values: Sequence[Any]) -> bool:
        before = [channel.get()] if channel.is_available() else []
        known = {message.id for message in _messages_in(before)} | _ids_in(values)
        updated = channel.update(values)
        if channel.is_available():
            _settle_ids(channel.get(), known, self.seed, place)
        return bool(updated)


def _updates_in(written: Iterable[Any]) -> Dict[str, List[Any]]:
    """The updates of each channel, in the order of the nodes."""
    updates: Dict[str, List[Any]] = {}
    for writes in written:
        for write in writes or ():
            if "set" in write:
                updates.setdefault(write["set"], []).append(write["value"])
    return updates


def _writes(task: Task, name: str) -> bool:
    return any(write.get("set") == name for write in task.writes or ())


# --- A decision ---


class _ToParent(Exception):
    """A command that leaves its graph for the one around it."""

    def __init__(self, command: Any, path: str) -> None:
        super().__init__(f"node {path} commands a parent graph, but its graph has no parent")
        self.command = command


class Walk:
    """One decision: functions run, superstep after superstep, until roles must answer."""

    def __init__(self, origin: str, seed: int, config: Any, answered: Dict[int, Any]) -> None:
        self.origin = origin
        self.seed = seed
        self.config = config
        self.answered = answered
        """The configuration of each task whose role has answered, by the id of the task."""
        self.passed = 0

    def begin(self, graph: Graph, input: Any) -> Frame:
        frame = Frame(graph, self.seed)
        task = Task(graph.start, (input,))
        frame.tasks = [task]
        task.writes = self._writes_of(frame, task, input, self.config)
        return frame

    def settle(self, frame: Frame) -> bool:
        """Goes on until roles must answer. True at the end of the graph."""
        while True:
            for task in frame.tasks:
                if task.writes is None:
                    self._attempt(frame, task)
            if any(task.writes is None for task in frame.tasks):
                return False
            self.passed += 1
            if self.passed > SUPERSTEPS_MAX:
                raise RuntimeError(
                    f"after {_named(self.origin)} inline nodes form an endless loop, "
                    f"and {frame.tasks[0].node.path} is one of them"
                )
            if not frame.advance():
                return True

    def _attempt(self, frame: Frame, task: Task) -> None:
        node = task.node
        if node.graph is not None:
            task.writes = self._attempt_graph(frame, task, node.graph)
        elif node.inline or id(task) in self.answered:
            config = self.config if node.inline else self.answered[id(task)]
            answer = node.call(input_of(frame, task), config)
            task.writes = self._writes_of(frame, task, answer, config)

    def _attempt_graph(self, frame: Frame, task: Task, graph: Graph) -> Any:
        try:
            if task.frame is None:
                task.frame = self.begin(graph, input_of(frame, task))
            if not self.settle(task.frame):
                return None
            answer: Any = task.frame.values(graph.outputs)
        except _ToParent as left:
            answer = dataclasses.replace(left.command, graph=None)
        task.frame = None
        return self._writes_of(frame, task, answer, self.config)

    def _writes_of(self, frame: Frame, task: Task, answer: Any, config: Any) -> List[Dict[str, Any]]:
        node, graph = task.node, frame.graph
        commands = _commands_in(answer)
        for command in commands:
            if command.graph == PARENT:
                raise _ToParent(command, node.path)
            if command.graph is not None:
                raise ValueError(
                    f"node {node.path} commands the graph {command.graph}; only PARENT is known"
                )
        writes: List[Dict[str, Any]] = [
            {"set": name, "value": value}
            for name, value in _updates_of(answer, node)
            if name in node.outputs
        ]
        targets: List[Any] = [answer] if _is_send(answer) else []
        for command in commands:
            goto = command.goto
            targets.extend([goto] if isinstance(goto, str) or _is_send(goto) else goto)
        for target in [*targets, *node.edges]:
            writes.extend(_way_to(target, node, graph))
        writes.extend({"seen": index} for index in node.waits)
        for condition in node.conditions:
            state: Any = frame.values_after(task, writes, condition.inputs)
            if condition.mapper is not None:
                state = condition.mapper(**state)
            elif condition.passes_on and isinstance(answer, dict):
                state = {**answer, **state}
            told = condition.call(state, config)
            for one in told if isinstance(told, (list, tuple)) else [told]:
                end = one if condition.ends is None or _is_send(one) else condition.ends[one]
                writes.extend(_way_to(end, node, graph))
        return writes


def input_of(frame: Frame, task: Task) -> Any:
    """The first argument of a node's function."""
    if task.send is not None:
        return task.send[0]
    values = frame.values(task.node.inputs)
    return values if task.node.mapper is None else task.node.mapper(**values)


def _is_send(value: Any) -> bool:
    return type(value).__name__ == "Send" and hasattr(value, "node")


def _is_command(value: Any) -> bool:
    return type(value).__name__ == "Command" and hasattr(value, "goto")


def _commands_in(answer: Any) -> List[Any]:
    parts = answer if isinstance(answer, (list, tuple)) else [answer]
    return [part for part in parts if _is_command(part)]


def _updates_of(answer: Any, node: Node) -> List[Tuple[str, Any]]:
    if answer is None or _is_send(answer):
        return []
    if isinstance(answer, dict):
        return list(answer.items())
    if _is_command(answer):
        return list(answer._update_as_tuples())
    if isinstance(answer, (list, tuple)) and any(_is_command(part) for part in answer):
        return [update for part in answer for update in _updates_of(part, node)]
    if hasattr(type(answer), "__annotations__"):
        from langgraph._internal._fields import get_update_as_tuples

        return list(get_update_as_tuples(answer, list(node.outputs)))
    raise TypeError(f"an update of the state is a dict of its channels, not {answer!r}")


def _way_to(target: Any, node: Node, graph: Graph) -> List[Dict[str, Any]]:
    if isinstance(target, str) and target == END:
        return []
    name = target.node if _is_send(target) else target
    if not isinstance(name, str) or name not in graph.nodes:
        raise ValueError(f"{_named(node.path)} leads to {name!r}, which is not the name of a node")
    return [{"send": name, "arg": target.arg}] if _is_send(target) else [{"go": name}]


def _named(path: str) -> str:
    if path == START:
        return "the start"
    around = path[: -len(START) - 1]
    return f"the start of {around}" if path.endswith(f"/{START}") else path


# --- The state of a task ---


Leaf = Tuple[Frame, Task]


def leaves_of(frame: Frame) -> List[Leaf]:
    """The roles that must answer, in the order of LangGraph's updates."""
    leaves: List[Leaf] = []
    for task in frame.tasks:
        if task.frame is not None:
            leaves.extend(leaves_of(task.frame))
        elif task.writes is None:
            leaves.append((frame, task))
    return leaves


def state_of(leaf: Leaf) -> Json:
    """The state that a role finds: the argument of a Send, or the channels of its graph."""
    frame, task = leaf
    return frame.json() if task.send is None else _argument(task)


def _argument(task: Task) -> Json:
    assert task.send is not None
    return as_json(task.send[0], f"the argument of a Send to {task.node.path}")


def save(frame: Frame, lone: Optional[Task]) -> Dict[str, Json]:
    is_state = any(task is lone and task.send is None for task in frame.tasks)
    return {
        "values": None if is_state else frame.json(),
        "seen": [[index, names] for index, names in frame.seen.items()],
        "deferred": frame.deferred,
        "tasks": [
            {
                "node": task.node.name,
                "send": None
                if task.send is None
                else []
                if task is lone
                else [_argument(task)],
                "frame": None if task.frame is None else save(task.frame, lone),
                "writes": None
                if task.writes is None
                else [_save_write(write, frame) for write in task.writes],
            }
            for task in frame.tasks
        ],
    }


def _save_write(write: Dict[str, Any], frame: Frame) -> Dict[str, Json]:
    if "set" in write:
        name = write["set"]
        return {"set": name, "value": channel_json(write["value"], frame.channels[name], name)}
    return as_json(write, "the argument of a Send")


def load(graph: Graph, seed: int, saved: Mapping[str, Json], rest: Dict[str, Json]) -> Frame:
    """The graphs of a task again. `rest` is the state beside what was saved."""
    values = rest if saved["values"] is None else saved["values"]
    frame = Frame(graph, seed, values, saved["seen"], saved["deferred"])
    for told in saved["tasks"]:
        node = graph.nodes[told["node"]]
        send = told["send"]
        task = Task(node, None if send is None else (revived(send[0] if send else rest),))
        if told["frame"] is not None and node.graph is not None:
            task.frame = load(node.graph, seed, told["frame"], rest)
        if told["writes"] is not None:
            task.writes = [_load_write(write, frame) for write in told["writes"]]
        frame.tasks.append(task)
    return frame


def revived(state: Json) -> Any:
    """A state with its messages, which stand in it like those of channels."""
    if not isinstance(state, dict) or "lc" in state:
        return from_json(state)
    return {name: from_json(value) for name, value in state.items()}


def _load_write(write: Dict[str, Json], frame: Frame) -> Dict[str, Any]:
    if "set" in write:
        name = write["set"]
        return {"set": name, "value": from_json(write["value"], frame.channels[name])}
    return {"send": write["send"], "arg": revived(write["arg"])} if "send" in write else write


# --- The rule ---


class _Configurable(Dict[str, Any]):
    """The task as a function reads it. Row and history are fetched when it reads them."""

    def __init__(self, context: Any, history: Any = None, **told: Json) -> None:
        super().__init__(told)
        self._context = context
        self._history = history

    def __missing__(self, key: str) -> Any:
        if key == "row":
            return self._context.row
        if key == "history":
            history = self._context.history
            return history if self._history is None else self._history(history)
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in ("row", "history") else super().get(key, default)


def _config(result: Json, context: Context) -> Dict[str, Any]:
    told = {name: getattr(context, name) for name in ("role", "id", "trial", "seed")}
    return {"configurable": _Configurable(context, result=result, **told)}


class GraphRule:
    """A graph as a rule: several roles in one superstep are branches of the task."""

    def __init__(self, compiled: Any) -> None:
        self.graph = Graph(compiled)
        self.places = dict(self.graph.places())

    def start(self, row: Json, context: Context) -> Any:
        walk = Walk(START, context.seed, _config(None, context), {})
        return self._go(walk, walk.begin(self.graph, row), None)

    def next(self, state: Json, result: Json, context: Context) -> Any:
        saved = state.get(GRAPH) if isinstance(state, dict) else None
        if not isinstance(state, dict) or (saved is not None and "branch" in saved):
            return self._end_branch(state, saved, result, context)
        rest = {name: value for name, value in state.items() if name != GRAPH}
        role = context.role or ""
        if saved is None:
            root = Frame(self.graph, context.seed, rest)
            root.tasks = [Task(self.graph.nodes[role], None)]
        else:
            root = load(self.graph, context.seed, saved, rest)
        ((_, task),) = leaves_of(root)
        config = _config(result, context)
        return self._go(Walk(role, context.seed, config, {id(task): config}), root, result)

    def join(self, state: Json, ended: Sequence[Any], context: Context) -> Any:
        # A missing answer ends the task: the superstep needs all answers.
        for branch in ended:
            if branch is not None and branch["done"] != "completed":
                return branch
        if None in ended:
            return None
        root = load(self.graph, context.seed, state[GRAPH], {})
        tasks = [task for _, task in leaves_of(root)]
        answers = [branch["outcome"] for branch in ended]
        answered = {
            id(task): self._config_of_branch(task, answer, index, len(tasks), context)
            for index, (task, answer) in enumerate(zip(tasks, answers))
        }
        results = _results([task.node.name for task in tasks], [a["result"] for a in answers])
        walk = Walk(START, context.seed, _config(results, context), answered)
        return self._go(walk, root, results)

    def _config_of_branch(
        self, task: Task, answer: Any, index: int, count: int, context: Context
    ) -> Dict[str, Any]:
        """The configuration as the branch itself had it. Each branch has added one hop."""

        def history(joined: Any) -> Any:
            own = len(joined) - count
            return [*joined[:own], joined[own + index]]

        told = {"result": answer["result"], "role": task.node.name, "seed": answer["seed"]}
        more = {"id": context.id, "trial": context.trial}
        return {"configurable": _Configurable(context, history, **told, **more)}

    def _end_branch(self, state: Json, saved: Any, result: Json, context: Context) -> Any:
        """Ends a branch, whose role has answered.

        The node's function runs at the join, where the others have answered, too. It also runs
        here, so that its failure names the role and ends the task at once.
        """
        if saved is not None:
            graph, node = self.places[saved["branch"]["node"]]
            rest = {name: value for name, value in state.items() if name != GRAPH}
            send = (revived(rest),) if saved["branch"]["isSend"] else None
            frame = Frame(graph, context.seed, {} if send else rest)
            node.call(input_of(frame, Task(node, send)), _config(result, context))
        return done(outcome={"result": result, "seed": context.seed})

    def _go(self, walk: Walk, root: Frame, result: Json) -> Any:
        if walk.settle(root):
            values = {
                name: channel_json(value, root.channels[name], f"state.{name}")
                for name, value in root.values().items()
            }
            return {"end": {"values": values, "result": result}}
        leaves = leaves_of(root)
        states = [state_of(leaf) for leaf in leaves]
        (frame, task), state = leaves[0], states[0]
        if len(leaves) == 1 and isinstance(state, dict):
            saved = save(root, task)
            plain = frame is root and task.send is None and len(root.tasks) == 1
            if plain and not saved["seen"] and not saved["deferred"]:
                return to(task.node.name, state)
            return to(task.node.name, {**state, GRAPH: saved})
        branches = [to(task.node.name, _noted(s, task)) for (_, task), s in zip(leaves, states)]
        return fork(branches, {GRAPH: save(root, None)})


def _noted(state: Json, task: Task) -> Json:
    """The state of a branch, which its role finds. A state that is no object stays as it is."""
    if not isinstance(state, dict):
        return state
    return {**state, GRAPH: {"branch": {"node": task.node.path, "isSend": task.send is not None}}}


def _results(names: Sequence[str], results: Sequence[Json]) -> Json:
    """The result of the one role that acted in a superstep, or those of each by its name."""
    if len(results) == 1:
        return results[0]
    named: Dict[str, List[Json]] = {}
    for name, result in zip(names, results):
        named.setdefault(name, []).append(result)
    return {name: all_[0] if len(all_) == 1 else all_ for name, all_ in named.items()}


# --- The check ---


def make(exported: Any, settings: Json, told: Mapping[str, Json]) -> Any:
    """The rule of a graph. Raises a GraphError for a graph that no task can walk."""
    path, roles = told["path"], told["roles"]
    compiled = exported
    if isinstance(exported, types.FunctionType):
        compiled = _fitting(exported, settings)
    builder = getattr(compiled, "builder", compiled)
    if not hasattr(builder, "waiting_edges"):
        raise GraphError(
            f"{path} gives a {type(compiled).__name__} and no StateGraph: return graph.compile()"
        )
    parts = list(_parts(compiled, "", False))
    faults = [*_role_faults(parts, roles), *(fault for part in parts for fault in _faults(part))]
    if faults:
        text = "; ".join(fault for fault, _ in faults)
        place = next((place for _, place in faults if place is not None), None)
        raise GraphError(f"no task can walk the graph of {path}: {text}", place)
    rule = GraphRule(compiled)
    if not told["canFork"] and not any(_is_parallel(part[0]) for part in parts):
        # Without a join, going several ways at once fails the task.
        setattr(rule, "join", None)
    return rule


Fault = Tuple[str, Optional[Dict[str, Json]]]
Part = Tuple[Any, Any, str, bool]


def _parts(compiled: Any, prefix: str, inline: bool) -> Iterator[Part]:
    """A graph and the subgraphs in it, each with the path of the nodes around it."""
    builder = getattr(compiled, "builder", compiled)
    yield builder, compiled, prefix, inline
    for name, spec in builder.nodes.items():
        inner = _subgraph(spec.runnable)
        if inner is not None:
            yield from _parts(inner, f"{prefix}{name}/", inline or _is_inline(spec))


def _is_inline(spec: Any) -> bool:
    return (getattr(spec, "metadata", None) or {}).get("inline") is True


def _is_parallel(builder: Any) -> bool:
    starts = [start for start, _ in builder.edges]
    return len(set(starts)) < len(starts) or len(builder.waiting_edges) > 0


def _role_faults(parts: Sequence[Part], roles: Sequence[str]) -> List[Fault]:
    """Faults between nodes and roles: they must be the same, except for inline nodes."""
    nodes = [
        (name, f"{prefix}{name}", spec)
        for builder, _, prefix, inline in parts
        for name, spec in builder.nodes.items()
        if not inline and not _is_inline(spec) and _subgraph(spec.runnable) is None
    ]
    named = ", ".join(roles) or "none"
    faults: List[Fault] = [
        (
            f"node {path} is not a role{'' if name == path else f' {name}'} of the recipe; "
            f"roles: {named}",
            _place(spec.runnable),
        )
        for name, path, spec in nodes
        if name not in roles
    ]
    known = {name for name, _, _ in nodes}
    faults += [
        (f"role {role} has no node, so no task comes to it", None)
        for role in roles
        if role not in known
    ]
    return faults


def _faults(part: Part) -> List[Fault]:
    builder, compiled, prefix, _ = part
    faults: List[Fault] = []
    for name, spec in builder.nodes.items():
        fault = _node_fault(spec)
        if fault is not None:
            faults.append((f"node {prefix}{name} {fault}", _place(spec.runnable)))
    for start, conditions in builder.branches.items():
        for name, spec in conditions.items():
            func = _function(spec.path)
            fault = "is not a plain function" if func is None else _call_fault(func)
            if fault is not None:
                where = _named(f"{prefix}{start}")
                faults.append((f"the condition {name} after {where} {fault}", _place(spec.path)))
    for name, channel in builder.channels.items():
        if name == "__root__":
            faults.append(("the state is a single value; give it names in a TypedDict", None))
        elif name == GRAPH:
            faults.append((f"state.{name} has a name that is taken; choose another one", None))
        elif type(channel).__name__ in _UNKEPT:
            faults.append((f"state.{prefix}{name} {_UNKEPT[type(channel).__name__]}", None))
    for name in getattr(builder, "managed", ()):
        faults.append(
            (
                f"state.{prefix}{name} is a managed value, "
                "which exists only in LangGraph's own runtime",
                None,
            )
        )
    return faults + [(fault, None) for fault in _compile_faults(compiled, prefix)]


_UNKEPT = {
    "UntrackedValue": "is never kept, and a task carries its state from host to host; "
    "use a plain channel",
    "DeltaChannel": "keeps differences, and a task carries its whole state; use a reducer",
}


def _node_fault(spec: Any) -> Optional[str]:
    if getattr(spec, "is_error_handler", False):
        return "handles errors of another node; retries of a role are roles.NAME.retries"
    if _subgraph(spec.runnable) is not None:
        return None
    func = _function(spec.runnable)
    if func is None:
        return "is not a plain function"
    fault = _call_fault(func)
    if fault is not None:
        return fault
    accepts = getattr(spec.runnable, "func_accepts", None) or ()
    if "store" in accepts:
        return "takes a store, and a task has only its state: keep there what it needs"
    return None


def _call_fault(func: Any) -> Optional[str]:
    for found in _reached_from(func):
        name = getattr(found, "__name__", "")
        called = (getattr(found, "__module__", ""), name)
        if called in (("langgraph.types", "interrupt"), ("langgraph.errors", "NodeInterrupt")):
            does = f"raises {name}" if isinstance(found, type) else f"calls {name}()"
            return f"{does}, but no person waits for a task; let a role answer instead"
        if _subgraph(found) is not None:
            return "calls a graph in its function; make the compiled graph the node itself"
    return None


def _reached_from(func: Any) -> Iterator[Any]:
    """The objects that a function names, and those that the functions of its file name."""
    seen: Set[int] = set()
    # A function, and the object whose method it is.
    open_: List[Tuple[Any, Any]] = [(func, None)]
    while open_:
        one, owner = open_.pop()
        while isinstance(one, functools.partial):
            one = one.func
        if getattr(one, "__code__", None) is None and not isinstance(one, type):
            one = getattr(one, "__call__", None)
        owner = getattr(one, "__self__", owner)
        one = getattr(one, "__func__", one)
        code = getattr(one, "__code__", None)
        if code is None or id(one) in seen:
            continue
        seen.add(id(one))
        scope = one.__globals__
        names = list(_names_in(code))
        methods = [getattr(type(owner), name, None) for name in names] if owner is not None else []
        cells = [cell for cell in one.__closure__ or () if _has_contents(cell)]
        named = [cell.cell_contents for cell in cells]
        named += [scope[name] for name in names if name in scope]
        # An import in the function.
        named += [sys.modules[name] for name in names if name in sys.modules]
        found: List[Tuple[Any, Any]] = [(method, owner) for method in methods]
        for value in named:
            if isinstance(value, types.ModuleType):
                found += [(value.__dict__.get(name), None) for name in names]
            else:
                found.append((value, None))
        for value, its in found:
            if isinstance(value, types.ModuleType) or value is None:
                continue
            yield value
            if getattr(getattr(value, "__code__", None), "co_filename", "") == code.co_filename:
                open_.append((value, its))


def _has_contents(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _names_in(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _names_in(const)


def _compile_faults(compiled: Any, prefix: str) -> List[str]:
    faults = []
    for when in ("before", "after"):
        nodes = getattr(compiled, f"interrupt_{when}_nodes", None) or ()
        names = ["every node"] if nodes == "*" else [f"node {prefix}{name}" for name in nodes]
        for name in names:
            faults.append(
                f"the graph is compiled to stop {when} {name}, and no person waits for a task"
            )
    if prefix and getattr(compiled, "checkpointer", None) is True:
        faults.append(
            f"node {prefix[:-1]} is a graph that remembers its earlier runs (checkpointer=True); "
            "keep what it needs in the state of the graph around it"
        )
    return faults


def _place(runnable: Any) -> Optional[Dict[str, Json]]:
    """The line of a node's function."""
    code = getattr(_function(runnable), "__code__", None)
    return None if code is None else {"file": code.co_filename, "line": code.co_firstlineno}
