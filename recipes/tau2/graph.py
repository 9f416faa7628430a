"""Tau2 as the graph of the Matrix paper, with LangGraph for Python. Speakers, tools and reward are
nodes, and edges route by the state alone. The function of a node turns the answer of its role into
an update of the state. The graph makes the same records as `graph.ts` and `orchestrator.ts`.
"""

from __future__ import annotations

from typing import Any, Optional

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, StateGraph
from simulation import (
    SPEAKERS,
    limits_of,
    messages_of,
    outcome_of,
    problem_of,
    solo_message,
    spoken_by,
    stop_of,
)
from typing_extensions import TypedDict


class Tau2State(TypedDict, total=False):
    begun: int  # the index of the hop that loads the task
    steps: int
    errors: int
    restarts: int
    opening: bool  # before a solo agent's first message, which does not count as a step
    turn: str  # the side that speaks next, or once the tools have answered
    termination: Optional[str]
    request: Optional[dict]  # what the bridge is asked next; None when a side speaks
    # These three become the end of the record.
    stop_reason: str
    score: float
    outcome: dict


def build_tau2_graph(settings: dict) -> Any:
    limits = limits_of(settings)
    solo = limits["solo"]

    def begin(state: Tau2State, config: RunnableConfig):
        return load(task_in(config).row, 0, 0)

    def speaks(side: str):
        return lambda state, config: after_speech(state, side, task_in(config))

    def load(row: dict, begun: int, restarts: int):
        return {
            "begun": begun,
            "restarts": restarts,
            "steps": 0,
            "errors": 0,
            "opening": False,
            "turn": "assistant",
            "termination": None,
            "request": {"op": "load", **task_of(row)},
        }

    def after_tools(state: Tau2State, config: RunnableConfig):
        """The update after the executor has loaded the task, run calls, or released its tools."""
        task = task_in(config)
        asked = state["request"]["op"]
        if asked == "load":
            return after_load(task.result)
        if asked == "close":
            return {"request": reward_request(state, task)}
        failed = sum(message["error"] for message in task.result)
        counts = {"steps": state["steps"] + 1, "errors": state["errors"] + failed}
        return go(counts, state["turn"], None)

    def after_load(loaded: dict):
        opening = {"opening": solo and loaded["messages"] == []}
        if loaded["next"] is None:
            return {**opening, **close(loaded["termination_reason"] or "")}
        if loaded["next"] != "environment":
            return {**opening, "turn": loaded["next"], "request": None}
        last = loaded["messages"][-1]
        return {**opening, **call(last["role"], last["tool_calls"] or [])}

    def after_speech(state: Tau2State, side: str, task: Answered):
        answer = spoken_by(side, task.result)
        problem = problem_of(answer, solo)
        if problem is not None and not limits["feeds_back"]:
            return begin_anew(state, f"the {side}'s message {problem}", task)
        steps = state["steps"] + (0 if state["opening"] else 1)
        counts = {"steps": steps, "errors": state["errors"]}
        heard = {"opening": False}
        if problem is not None:
            return {**heard, **go({**counts, "errors": state["errors"] + 1}, side, None)}
        spoken = solo_message(answer) if solo else answer
        if spoken["tool_calls"] is not None:
            return {**heard, "steps": steps, **call(side, spoken["tool_calls"])}
        other = "assistant" if side == "user" else "user"
        return {**heard, **go(counts, other, stop_of(spoken, solo))}

    def begin_anew(state: Tau2State, problem: str, task: Answered):
        """Starts the simulation again, as the official runner does."""
        most = limits["restarts"]
        if state["restarts"] >= most:
            raise RuntimeError(f"{problem}, also after {most} restarts of the simulation")
        return load(task.row, len(task.history), state["restarts"] + 1)

    def go(counts: dict, side: str, stop: Optional[str]):
        """Goes to a speaker, or ends the simulation. A limit overrides a stop."""
        if counts["errors"] >= limits["max_errors"]:
            stop = "too_many_errors"
        elif counts["steps"] >= limits["max_steps"]:
            stop = "max_steps"
        return {**counts, **({"turn": side, "request": None} if stop is None else close(stop))}

    def call(side: str, calls: list):
        return {"turn": side, "request": {"op": "calls", "calls": calls}}

    def close(termination: str):
        """Releases the environment before the evaluator makes environments of its own."""
        return {"termination": termination, "request": {"op": "close"}}

    def reward_request(state: Tau2State, task: Answered):
        messages = messages_of(task.history, state["begun"], solo)
        simulation = {"termination_reason": state["termination"], "messages": messages}
        return {"op": "reward", **task_of(task.row), "simulation": simulation}

    def after_reward(state: Tau2State, config: RunnableConfig):
        task = task_in(config)
        return {
            "stop_reason": "max_turns" if state["termination"] == "max_steps" else "stopped",
            "score": task.result["reward"],
            "outcome": outcome_of(state, task.result, task.row, task.history, limits),
        }

    def task_of(row: dict):
        return {"domain": row.get("domain", ""), "task_id": row.get("task_id", ""), "solo": solo}

    graph = StateGraph(Tau2State)
    # An inline node prepares the state before the first step.
    graph.add_node("begin", begin, metadata={"inline": True})
    graph.add_node("tool-executor", after_tools)
    graph.add_node("user-simulator", speaks("user"))
    graph.add_node("assistant", speaks("assistant"))
    graph.add_node("reward-calculator", after_reward)
    graph.set_entry_point("begin")
    graph.add_edge("begin", "tool-executor")
    for role in ("user-simulator", "assistant", "tool-executor"):
        graph.add_conditional_edges(
            role,
            lambda s: (
                SPEAKERS[s["turn"]]
                if s["request"] is None
                else "reward-calculator"
                if s["request"]["op"] == "reward"
                else "tool-executor"
            ),
        )
    graph.add_edge("reward-calculator", END)
    return graph.compile()


class Answered:
    """The answer of a role, with the row and the history of its task."""

    def __init__(self, told: Any) -> None:
        self.told = told

    @property
    def result(self) -> Any:
        return self.told["result"]

    @property
    def row(self) -> dict:
        return self.told["row"]

    @property
    def history(self) -> list:
        return self.told["history"]


def task_in(config: RunnableConfig) -> Answered:
    return Answered(config["configurable"])
