#!/usr/bin/env python3
"""Writes the files of recipes/tau2 that come from tau2: task lists, and a script of gold replays.
Run it where tau2 is installed:

    python3 sandboxes/tau2/recipe_files.py recipes/tau2 [--full]

tasks.jsonl
    One row for each task: id ("DOMAIN/TASK"), domain, task_id, splits, solo (true when the task can
    be done without a user). Telecom has its base and small splits; --full adds the 2,151 others.
gold.jsonl
    Replies of both speakers for models of kind "scripted", for tasks of the base splits. Each
    speaker makes its own reference actions; then the agent says what must be communicated, and the
    user stops.
"""

import json
import sys
from pathlib import Path

import bridge

# Splits whose tasks are listed, by domain. Tasks of the first one have gold replays. Mock has none.
DOMAINS = {
    "mock": [None],
    "airline": ["base"],
    "retail": ["base"],
    "telecom": ["base", "small"],
    "telecom-workflow": ["base", "small"],
}
ROLES = {"assistant": "assistant", "user": "user-simulator"}


def main(folder: Path, full: bool) -> None:
    bridge.import_tau2()
    tau2 = bridge.Bridge()
    with open(folder / "tasks.jsonl", "w") as rows, open(folder / "gold.jsonl", "w") as scripts:
        for domain, splits in DOMAINS.items():
            for index, split in enumerate(
                [*splits, "full"] if full and "telecom" in domain else splits
            ):
                for task in tau2.tasks({"domain": domain, "split": split}):
                    if split == "full" and set(task["splits"]) & set(splits):
                        continue
                    row = {"id": f"{domain}/{task['id']}", "domain": domain, "task_id": task["id"]}
                    write(rows, {**row, "splits": task["splits"], "solo": task["solo"]})
                    # telecom-workflow is telecom with another policy.
                    if index == 0 and domain != "telecom-workflow":
                        write(
                            scripts,
                            {"id": row["id"], "replies": gold(tau2.task(domain, task["id"]))},
                        )


def write(file, line: dict) -> None:
    file.write(json.dumps(line) + "\n")


def gold(task) -> dict:
    """Replies of each role, in the order in which the official rules let the roles speak."""
    replies = {role: [] for role in ROLES.values()}
    criteria = task.evaluation_criteria
    actions = (criteria.actions or []) if criteria else []
    informed = (criteria.communicate_info or []) if criteria else []
    speaker, _ = bridge.next_speaker(bridge.history_of(task), bridge.LLMAgent, False)
    for index, action in enumerate(actions):
        if action.requestor != speaker:
            replies[ROLES[speaker]].append("Please go on.")
            speaker = action.requestor
        call = {"name": action.name, "arguments": json.dumps(action.arguments)}
        replies[ROLES[speaker]].append(
            {
                "content": None,
                "tool_calls": [{"id": f"call_{index}", "type": "function", "function": call}],
            }
        )
    if speaker == "user":
        replies[ROLES[speaker]].append("Please go on.")
    replies["assistant"].append("; ".join(informed) or "That is all done.")
    replies["user-simulator"].append("###STOP###")
    return replies


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--full" in sys.argv)
