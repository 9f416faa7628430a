"""Graphs of each kind that LangGraph for Python has, and graphs that are drawn.

As a program it plays them by LangGraph itself and prints each final state. As a file of a recipe it
is one rule for all of them: the row names its graph.
"""

from __future__ import annotations

import dataclasses
import json
import operator
import random
import sys
from typing import Annotated, Any, List, Literal, Optional

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableConfig
from langgraph.channels import EphemeralValue
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, Overwrite, Send
from pydantic import BaseModel
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    n: int
    limit: int
    item: Any
    items: list
    last: str
    trail: Annotated[list, operator.add]
    sum: Annotated[int, operator.add]


def answer_of(role: str, state: Any) -> str:
    """The answer of a role, as the test's agents give it."""
    if hasattr(state, "__dict__"):
        state = vars(state)
    if isinstance(state, dict):
        value = state.get("item")
        state = state.get("n") if value is None else value
    return f"{role}({json.dumps(state, separators=(',', ':'))})"


def result_in(config: RunnableConfig, role: str, state: Any) -> str:
    result = config["configurable"].get("result")
    return answer_of(role, state) if result is None else result


def by(name: str, more=lambda state: {}):
    def node(state: Any, config: RunnableConfig):
        return {"trail": [result_in(config, name, state)], "sum": 1, **more(state)}

    return node


def graph(*names: str, state: Any = State, **schemas: Any) -> StateGraph:
    made = StateGraph(state, **schemas)
    for name in names:
        made.add_node(name, by(name))
    return made


def edges(made: StateGraph, *pairs: Any) -> StateGraph:
    for start, end in pairs:
        made.add_edge(start, end)
    return made


INLINE = {"metadata": {"inline": True}}


def team():
    made = graph("lead", "left", "right")
    return edges(made, (START, "lead"), ("lead", "left"), ("lead", "right")).compile()


def row_of_nodes():
    return edges(graph("a", "b"), (START, "a"), ("a", "b"), ("b", END)).compile()


def two_at_once():
    return edges(graph("b", "a"), (START, "b"), (START, "a")).compile()


def diamond():
    made = graph("a", "c", "b", "d")
    pairs = (START, "a"), ("a", "c"), ("a", "b"), ("b", "d"), ("c", "d")
    return edges(made, *pairs).compile()


def uneven_diamond():
    made = graph("a", "b", "c", "c2", "d")
    pairs = (START, "a"), ("a", "b"), ("a", "c"), ("c", "c2"), ("b", "d"), ("c2", "d")
    return edges(made, *pairs).compile()


def waiting_edge():
    made = graph("a", "b", "c", "c2", "d")
    pairs = (START, "a"), ("a", "b"), ("a", "c"), ("c", "c2"), (["b", "c2"], "d")
    return edges(made, *pairs).compile()


def waiting_loop():
    made = graph("a", "b")
    made.add_node("join", by("join", lambda s: {"n": s.get("n", 0) + 1}))
    edges(made, (START, "a"), (START, "b"), (["a", "b"], "join"))
    made.add_conditional_edges("join", lambda s: ["a", "b"] if s["n"] < s["limit"] else END)
    return made.compile()


def map_reduce():
    made = graph("draw", "work", "reduce")
    made.add_conditional_edges("draw", lambda s: [Send("work", {"item": i}) for i in s["items"]])
    return edges(made, (START, "draw"), ("work", "reduce")).compile()


def plain_sends():
    made = graph()

    def work(item: Any, config: RunnableConfig):
        return {"trail": [result_in(config, "work", item)]}

    made.add_node("work", work)
    made.add_conditional_edges(START, lambda s: [Send("work", i) for i in s["items"]])
    return made.compile()


def sends_beside_edges():
    made = graph("a", "b", "work", "odd", "even")
    sends = [Send("work", {"item": 1, "n": 1}), Send("work", {"item": 2, "n": 2})]
    made.add_conditional_edges("a", lambda s: sends)
    made.add_conditional_edges(
        "work", lambda s: "odd" if s["sum"] % 2 else "even", ["odd", "even"]
    )
    return edges(made, (START, "a"), ("a", "b")).compile()


def mapped_conditions():
    made = graph("a", "b", "c", "d")
    made.add_conditional_edges(
        "a", lambda s: ["x", "y"] if s["n"] > 1 else "x", {"x": "b", "y": "c"}
    )

    def literal(state: State) -> Literal["d", "__end__"]:
        return "d" if state["sum"] > 1 else END

    made.add_conditional_edges("b", literal)
    return edges(made, (START, "a"), ("c", "d")).compile()


def own_updates():
    made = graph("a", "b", "many", "few")
    made.add_conditional_edges(
        "a", lambda s: "few" if s["sum"] == 1 and len(s["trail"]) == 1 else "many"
    )
    return edges(made, (START, "a"), (START, "b")).compile()


def loop():
    made = graph("b", "c")
    made.add_node("a", by("a", lambda s: {"n": s.get("n", 0) + 1}))
    made.add_conditional_edges("a", lambda s: ["b", "c"] if s["n"] <= s["limit"] else END)
    return edges(made, (START, "a"), ("b", "a"), ("c", "a")).compile()


def subgraph():
    made = graph("a", "z")
    made.add_node("team", team())
    return edges(made, (START, "a"), ("a", "team"), ("team", "z")).compile()


def subgraph_beside():
    made = graph("a", "z")
    made.add_node("team", team())
    return edges(made, (START, "a"), (START, "team"), (["a", "team"], "z")).compile()


class Trail(TypedDict):
    trail: Annotated[list, operator.add]


def two_subgraphs():
    def closed(name: str, turns: int):
        made = StateGraph(State, output_schema=Trail)
        made.add_node(name, by(name, lambda s: {"n": s.get("n", 0) + 1}))
        made.add_conditional_edges(name, lambda s: name if s["n"] < turns else END)
        return edges(made, (START, name)).compile()

    made = graph("a", "z")
    made.add_node("short", closed("s", 2))
    made.add_node("long", closed("l", 4))
    pairs = (START, "short"), (START, "long"), (START, "a"), (["short", "long", "a"], "z")
    return edges(made, *pairs).compile()


class Inner(TypedDict):
    topic: str
    found: list


class Outer(TypedDict):
    topic: str
    found: Annotated[list, operator.add]


class Found(TypedDict):
    found: Annotated[list, operator.add]


def nested():
    def find(state: Inner, config: RunnableConfig):
        said = result_in(config, "find", {"n": None})
        return {"found": [f"{state['topic']} {said}"]}

    def check(state: Outer, config: RunnableConfig):
        return {"found": [result_in(config, "check", {})]}

    inner = StateGraph(Inner)
    inner.add_node("find", find)
    middle = StateGraph(Outer, output_schema=Found)
    middle.add_node("inner", edges(inner, (START, "find")).compile())
    middle.add_node("check", check)
    made = StateGraph(Outer)
    made.add_node("middle", edges(middle, (START, "inner"), ("inner", "check")).compile())
    made.add_conditional_edges(
        START, lambda s: [Send("middle", {"topic": f"{s['topic']} {i}"}) for i in (1, 2)]
    )
    return made.compile()


def commands():
    def a(state: State, config: RunnableConfig):
        update = {"trail": [result_in(config, "a", state)], "n": state.get("n", 0) + 1}
        goto = ["b", Send("c", {"item": "sent"})] if state.get("n") == 7 else "d"
        return Command(update=update, goto=goto)

    made = graph("b", "c", "d", "e")
    made.add_node("a", a, destinations=("b", "c", "d"))
    return edges(made, (START, "a"), ("a", "e")).compile()


def lists_of_commands():
    def a(state: State):
        return [
            Command(update={"trail": ["one"]}, goto="b"),
            {"trail": ["two"], "sum": 5},
            Command(goto=["c", END]),
        ]

    made = graph("b", "c")
    made.add_node("a", a, destinations=("b", "c"))
    return edges(made, (START, "a")).compile()


def to_parent():
    def leave(state: State, config: RunnableConfig):
        update = {"trail": [result_in(config, "leave", state)]}
        return Command(graph=Command.PARENT, update=update, goto="b")

    inner = graph("after")
    inner.add_node("leave", leave)
    edges(inner, (START, "leave"), ("leave", "after"))
    made = graph("a", "b")
    made.add_node("inner", inner.compile(), destinations=("b",))
    return edges(made, (START, "inner"), ("inner", "a")).compile()


def deferred():
    made = graph("a", "b", "b2", "b3")
    made.add_node("z", by("z"), defer=True)
    pairs = (START, "a"), ("a", "z"), (START, "b"), ("b", "b2"), ("b2", "b3"), ("b3", "z")
    return edges(made, *pairs).compile()


def deferred_wait():
    made = graph("a", "b", "work")
    made.add_node("z", by("z"), defer=True)
    made.add_conditional_edges("b", lambda s: [Send("work", {"item": 1})])
    return edges(made, (START, "a"), (START, "b"), (["a", "b"], "z")).compile()


def inline_nodes():
    inner = graph("c")
    inner.add_node("add", lambda s: {"trail": ["inner add"], "sum": 10}, **INLINE)
    edges(inner, (START, "add"), ("add", "c"))
    made = graph("a", "b")
    made.add_node("note", lambda s: {"trail": [f"note {s['n']}"]}, **INLINE)
    made.add_node("inner", inner.compile())
    return edges(
        made, (START, "note"), (START, "a"), (START, "inner"), ("note", "b")
    ).compile()


def messages():
    def c(state: MessagesState):
        kinds = ",".join(message.type for message in state["messages"])
        removed = RemoveMessage(id=state["messages"][0].id)
        text = f"of {len(state['messages'])} {kinds}"
        return {"messages": [removed, AIMessage(text, id="7", response_metadata={"a": [1]})]}

    made = StateGraph(MessagesState)
    two = [HumanMessage("hi"), {"role": "user", "content": "ho", "id": "8"}]
    made.add_node("a", lambda s: {"messages": list(two)})
    made.add_node("b", lambda s: {"messages": [AIMessage("kept", id="7")]})
    made.add_node("c", c)
    made.add_conditional_edges("a", lambda s: "c" if len(s["messages"]) > 5 else END)
    return edges(made, (START, "a"), (START, "b"), (["a", "b"], "c")).compile()


def same_message():
    made = StateGraph(MessagesState)
    for name in ("a", "b"):
        made.add_node(name, lambda s: {"messages": [HumanMessage("hi")]})
        made.add_conditional_edges(name, lambda s: END)
    return edges(made, (START, "a"), (START, "b")).compile()


class Private(TypedDict):
    secret: str
    n: int


def private_channels():
    def b(state: Private):
        return {"trail": [",".join(sorted(state))]}

    made = graph("c")
    made.add_node("a", lambda s: {"trail": [f"a {s['n']}"], "secret": f"s{s['n']}"})
    made.add_node("b", b)
    return edges(made, (START, "a"), ("a", "b"), ("a", "c")).compile()


class OnlyN(TypedDict):
    n: int


def input_and_output():
    made = StateGraph(State, input_schema=OnlyN)
    made.add_node("a", by("a", lambda s: {"last": f"{s.get('last', 'none')}!"}), input_schema=State)
    return edges(made, (START, "a")).compile()


def overwrite():
    made = graph("b", "z")
    made.add_node("a", lambda s: {"trail": Overwrite(["new"]), "sum": 2})
    return edges(made, (START, "a"), (START, "b"), ("a", "z")).compile()


def no_reducer():
    made = graph()
    made.add_node("a", by("a", lambda s: {"last": "a"}))
    made.add_node("b", by("b", lambda s: {"last": "b"}))
    return edges(made, (START, "a"), (START, "b")).compile()


class Model(BaseModel):
    n: int = 3
    words: List[str] = []
    trail: Annotated[List[str], operator.add] = []


def pydantic_state():
    def a(state: Model):
        return Model(n=state.n + 1, trail=[f"a {state.n}", str(state.words)])

    made = StateGraph(Model)
    made.add_node("a", a)
    made.add_node("b", lambda s: {"trail": [f"b {s.n}"], "words": ["w"]})
    made.add_conditional_edges("a", lambda s: "b" if s.n > 3 else END)
    made.add_conditional_edges("b", lambda s: "a" if s.n < 6 else END)
    return edges(made, (START, "a")).compile()


@dataclasses.dataclass
class Data:
    n: int = 1
    trail: Annotated[list, operator.add] = dataclasses.field(default_factory=list)


def dataclass_state():
    made = StateGraph(Data)
    made.add_node("a", lambda s: {"n": s.n + 1, "trail": [f"a {s.n}"]})
    made.add_node("b", lambda s: Data(n=9, trail=[f"b {s.n}"]))
    return edges(made, (START, "a"), ("a", "b")).compile()


class Sets(TypedDict):
    tags: Annotated[set, operator.or_]
    pair: Annotated[tuple, operator.add]
    gone: Annotated[str, EphemeralValue]
    trail: Annotated[list, operator.add]


def sets_and_tuples():
    def c(state: Sets):
        seen = [sorted(state["tags"]), state.get("gone"), isinstance(state["pair"], tuple)]
        return {"trail": [seen], "tags": {"c"}}

    made = StateGraph(Sets)
    made.add_node("a", lambda s: {"tags": {"a", "x"}, "pair": (1,), "gone": "here"})
    made.add_node("b", lambda s: {"tags": {"b", "x"}, "pair": (2, 3)})
    made.add_node("c", c)
    made.add_node("d", c)
    return edges(made, (START, "a"), (START, "b"), (["a", "b"], "c"), ("c", "d")).compile()


def extra_keys():
    """A condition sees what its node has said besides the state."""
    made = graph("b", "c")
    made.add_node("a", lambda s: {"trail": ["a"], "unknown": "b"})
    made.add_conditional_edges("a", lambda s: s.get("unknown", "c"))
    return edges(made, (START, "a")).compile()


def coroutines():
    async def a(state: State, config: RunnableConfig):
        return {"trail": ["a"]}

    made = graph("b")
    made.add_node("a", a)
    return edges(made, (START, "a"), (START, "b")).compile()


def nothing():
    made = graph("a")
    made.add_conditional_edges(START, lambda s: "a" if s["n"] > 0 else END)
    return made.compile()


GRAPHS = {
    row_of_nodes: [{}],
    two_at_once: [{}],
    diamond: [{}],
    uneven_diamond: [{}],
    waiting_edge: [{}],
    waiting_loop: [{"limit": 3}, {"limit": 0}],
    map_reduce: [{"items": ["x", "y", "z"]}, {"items": ["one"]}, {"items": []}],
    plain_sends: [{"items": [1, "two", [3], None]}, {"items": [5]}],
    sends_beside_edges: [{}],
    mapped_conditions: [{"n": 1}, {"n": 2}],
    own_updates: [{}],
    loop: [{"limit": 0}, {"limit": 2}],
    subgraph: [{}],
    subgraph_beside: [{}],
    two_subgraphs: [{"n": 0}],
    nested: [{"topic": "tea"}],
    commands: [{"n": 7}, {"n": 1}],
    lists_of_commands: [{}],
    to_parent: [{}],
    deferred: [{}],
    deferred_wait: [{}],
    inline_nodes: [{"n": 1}],
    messages: [
        {"messages": [{"role": "user", "content": "first"}]},
        {"messages": [{"role": "user", "content": "first", "id": "9"}]},
        {"messages": []},
    ],
    same_message: [{}],
    private_channels: [{"n": 3, "item": "seen by c"}],
    input_and_output: [{"n": 3, "last": "not an input"}],
    overwrite: [{"trail": ["old"]}],
    no_reducer: [{}],
    pydantic_state: [{}, {"n": 2, "words": ["x"]}],
    dataclass_state: [{}, {"n": 4}],
    sets_and_tuples: [{}],
    extra_keys: [{}],
    coroutines: [{}],
    nothing: [{"n": 0}, {"n": 1}],
}


# --- Graphs that are drawn ---

STEPS_MAX = 8


class Drawn(TypedDict):
    n: Annotated[int, operator.add]
    item: Any
    trail: Annotated[list, lambda all_, more: (all_ + more)[:100]]


def draw(seed: int):
    return Drawer(random.Random(seed)).graph("", 0)


class Drawer:
    """Draws graphs whose functions follow from a state that counts, so that each graph ends."""

    def __init__(self, drawn: random.Random) -> None:
        self.drawn = drawn

    def graph(self, prefix: str, depth: int):
        count = self.drawn.randint(1, 5 if depth == 0 else 3)
        names = [f"{prefix}{index}" for index in range(count)]
        made = StateGraph(Drawn)
        for name in names:
            self.add_node(made, name, names, depth)
        for name in [START, *names]:
            self.add_ways(made, name, names)
        if len(names) > 2 and self.chance(0.5):
            first, second, third = sorted(self.drawn.sample(names, 3))
            made.add_edge([first, second], third)
        for name in names:
            made.add_edge(START if name == names[0] or self.chance(0.5) else names[0], name)
        return made.compile()

    def add_node(self, made: StateGraph, name: str, names: List[str], depth: int) -> None:
        if depth < 2 and self.chance(0.15):
            made.add_node(name, self.graph(f"{name}_", depth + 1))
            return
        inline, commanded = self.chance(0.15), self.chance(0.2)
        ways = self.ways(names)

        def act(state: Any, config: RunnableConfig):
            said = f"{name} {state.get('n')}" if inline else result_in(config, name, state)
            update = {"trail": [said], "n": 1}
            return Command(update=update, goto=ways(state)) if commanded else update

        made.add_node(
            name,
            act,
            destinations=tuple(names),
            defer=self.chance(0.15),
            metadata={"inline": inline},
        )

    def add_ways(self, made: StateGraph, start: str, names: List[str]) -> None:
        further = names[names.index(start) + 1 :] if start in names else names
        if further and self.chance(0.3):
            made.add_edge(start, self.drawn.choice(further))
        if self.chance(0.6):
            made.add_conditional_edges(start, self.ways(names), [*names, END])

    def ways(self, names: List[str]):
        choices = [
            [
                (self.drawn.choice(names), index if self.chance(0.3) else None)
                for index in range(self.drawn.randrange(3))
            ]
            for _ in range(3)
        ]

        def choose(state: Any):
            n, trail = state.get("n", 0), state.get("trail", [])
            if n > STEPS_MAX or len(trail) > STEPS_MAX:
                return [END]
            return [
                name if item is None else Send(name, {"item": item, "n": n + 1, "trail": []})
                for name, item in choices[(n + len(trail)) % 3]
            ]

        return choose

    def chance(self, probability: float) -> bool:
        return self.drawn.random() < probability


# --- Playing them ---


def plain(value: Any) -> Any:
    """A state as JSON, without the ids that are drawn."""
    if isinstance(value, BaseMessage):
        told = value.model_dump(mode="json", exclude={"type"})
        if len(told.get("id") or "") > 20:
            told.pop("id")
        name = type(value).__name__
        return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": told}
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(part) for part in value)
    return [plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def invoke(compiled: Any, row: Any) -> Any:
    import asyncio

    try:
        state = asyncio.run(compiled.ainvoke(row, {"recursion_limit": 200}))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if isinstance(state, BaseModel):
        state = state.model_dump()
    return plain(state)


def roles_of(compiled: Any) -> List[str]:
    roles: List[str] = []
    for name, spec in compiled.builder.nodes.items():
        if (spec.metadata or {}).get("inline") is True:
            continue
        inner = spec.runnable
        roles += roles_of(inner) if hasattr(inner, "builder") else [name]
    return sorted(set(roles))


def main(seed: int, count: int) -> None:
    for build, rows in GRAPHS.items():
        for row in rows:
            compiled = build()
            told = {"graph": build.__name__, **row}
            outputs = [name for name in compiled.output_channels]
            state = invoke(compiled, row)
            print(json.dumps({"row": told, "roles": roles_of(compiled), "outputs": outputs, "state": state}))
    for number in range(seed, seed + count):
        compiled = draw(number)
        told = {"graph": "draw", "number": number, "n": 0}
        roles, outputs = roles_of(compiled), list(compiled.output_channels)
        state = invoke(compiled, {"n": 0})
        print(json.dumps({"row": told, "roles": roles, "outputs": outputs, "state": state}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
else:
    import matrix_graph
    from matrix_agent import orchestrator

    BUILDERS = {build.__name__: build for build in GRAPHS}

    @orchestrator
    class All:
        """The rule of whichever graph a row names."""

        def __init__(self) -> None:
            self.made: dict = {}

        def rule(self, row: Any) -> Any:
            key = (row["graph"], row.get("number"))
            if key not in self.made:
                compiled = draw(key[1]) if key[0] == "draw" else BUILDERS[key[0]]()
                told = {"path": key[0], "roles": roles_of(compiled), "canFork": True}
                self.made[key] = matrix_graph.make(compiled, {}, told)
            return self.made[key]

        def start(self, row: Any, context: Any) -> Any:
            own = {k: v for k, v in row.items() if k not in ("graph", "number")}
            return self.rule(row).start(own, context)

        def next(self, state: Any, result: Any, context: Any) -> Any:
            return self.rule(context.row).next(state, result, context)

        def join(self, state: Any, ended: Any, context: Any) -> Any:
            return self.rule(context.row).join(state, ended, context)
