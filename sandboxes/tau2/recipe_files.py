#!/usr/bin/env python3
"""Writes what recipes/tau2 holds of the environment: the task lists, and a script of gold replays. Run where tau2 is installed:

    python3 sandboxes/tau2/recipe_files.py recipes/tau2

tasks.jsonl   one row a task: id ("DOMAIN/TASK"), domain, task_id, splits
gold.jsonl    what both speakers say so that the task's reference actions happen, each by whom it is meant for; then the agent
              says what must be communicated, and the user stops. For models of kind "scripted".
"""

import json
import sys
from pathlib import Path

import bridge

DOMAINS = ("mock", "airline", "retail", "telecom")


def main(folder: Path) -> None:
    bridge.import_tau2()
    tau2 = bridge.Bridge()
    with open(folder / "tasks.jsonl", "w") as rows, open(folder / "gold.jsonl", "w") as scripts:
        for domain in DOMAINS:
            # Mock has no splits; telecom has far more tasks than its base split.
            base = None if domain == "mock" else "base"
            for task in tau2.tasks({"domain": domain, "split": base}):
                row_id = f"{domain}/{task['id']}"
                row = {"id": row_id, "domain": domain, "task_id": task["id"], "splits": task["splits"]}
                rows.write(json.dumps(row) + "\n")
                scripts.write(json.dumps({"id": row_id, "replies": gold(tau2.task(domain, task["id"]))}) + "\n")


def gold(task) -> dict:
    """The replies of each role, in the order in which the official rules let them speak."""
    replies = {"assistant": [], "user-simulator": []}
    criteria = task.evaluation_criteria
    actions = list(criteria.actions or []) if criteria else []
    speaker, _ = bridge.next_speaker(bridge.history_of(task), bridge.LLMAgent, False)
    at = {"user": "user-simulator", "assistant": "assistant"}[speaker]
    for index, action in enumerate(actions):
        wanted = "user-simulator" if action.requestor == "user" else "assistant"
        if at != wanted:
            replies[at].append("Please go on.")
            at = wanted
        call = {"name": action.name, "arguments": json.dumps(action.arguments)}
        replies[at].append({"content": None, "tool_calls": [{"id": f"call_{index}", "type": "function", "function": call}]})
    said = "; ".join((criteria.communicate_info or []) if criteria else []) or "That is all done."
    if at == "user-simulator":
        replies[at].append("Please go on.")
    replies["assistant"].append(said)
    replies["user-simulator"].append("###STOP###")
    return replies


if __name__ == "__main__":
    main(Path(sys.argv[1]))
