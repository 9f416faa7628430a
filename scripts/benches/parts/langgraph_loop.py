"""LangGraph for Python doing the work of scripts/bench python: TASKS dialogues of 12 steps and 6 kB by a graph without models,
TOGETHER at once. Writes each end state as a line to PATH, and prints the seconds that all took."""

import asyncio
import json
import sys
import time
from typing import List, TypedDict

from langgraph.graph import END, START, StateGraph

FILLER = "We take the numbers of the question one by one and check each step before we go on. " * 16


class State(TypedDict):
    turns: int
    history: List[dict]


def step(role, speaks):
    def run(state):
        hop = {"hop": len(state["history"]), "role": role}
        hop["result"] = {"content": f"{FILLER}The answer is (A)."} if speaks else {"speaker": "student", "answer": "A"}
        return {"turns": state["turns"] + speaks, "history": [*state["history"], hop]}

    return run


def build():
    graph = StateGraph(State)
    for role in ("student", "teacher"):
        graph.add_node(role, step(role, True))
        graph.add_edge(role, "extractor")
    graph.add_node("extractor", step("extractor", False))
    graph.add_node("matcher", step("matcher", False))
    graph.add_edge(START, "student")
    graph.add_edge("extractor", "matcher")
    graph.add_conditional_edges(
        "matcher", lambda state: END if state["turns"] == 4 else ("student", "teacher")[state["turns"] % 2]
    )
    return graph.compile()


async def main(path, tasks, together):
    graph = build()
    left = iter(range(tasks))
    with open(path, "w") as file:

        async def work():
            for task in left:
                state = await graph.ainvoke({"turns": 0, "history": []})
                file.write(json.dumps({"id": task, **state}) + "\n")

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(together)))
        print(time.perf_counter() - started)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
