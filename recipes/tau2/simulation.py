"""The messages of a tau2 simulation, its limits and its outcome, as `message.ts`, `trajectory.ts` and
`simulation.ts` have them. The arguments of a call stay the text that the model wrote, because its
numbers must reach tau2 as they were written.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

SPEAKERS = {"user": "user-simulator", "assistant": "assistant"}
SIDES = {role: side for side, role in SPEAKERS.items()}
STOP = "###STOP###"
USER_STOPS = [STOP, "###TRANSFER###", "###OUT-OF-SCOPE###"]
SOLO_STOP_TOOL = "done"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def limits_of(settings: dict) -> dict:
    malformed = settings.get("malformed", "restart")
    if malformed not in ("restart", "feed-back"):
        raise ValueError(f'malformed is {malformed!r}; it must be "restart" or "feed-back"')
    return {
        "solo": settings.get("solo", False),
        "max_steps": settings.get("max_steps", 200),
        "max_errors": settings.get("max_errors", 10),
        "restarts": settings.get("restarts", 3),
        "feeds_back": malformed == "feed-back",
    }


# --- Messages ---


def spoken_by(side: str, answer: dict) -> dict:
    """The message of a side, from its model's answer. Without calls, `tool_calls` is None."""
    calls = [
        {
            "id": call["id"],
            "name": call["function"]["name"],
            "arguments": call["function"]["arguments"],
            "requestor": side,
        }
        for call in answer.get("tool_calls") or []
    ]
    return {"role": side, "content": answer.get("content"), "tool_calls": calls or None}


def solo_message(spoken: dict) -> dict:
    """A solo agent's message as the official agent passes it on: its call of `done` is a text."""
    calls = spoken["tool_calls"] or []
    if any(call["name"] == SOLO_STOP_TOOL for call in calls):
        return {**spoken, "content": STOP, "tool_calls": None}
    return spoken


def problem_of(spoken: dict, solo: bool) -> str | None:
    """Why the official runner takes a message for an error and not for a turn."""
    content, calls = spoken["content"], spoken["tool_calls"]
    if calls is None:
        if is_blank(content):
            return "is empty"
        return "calls no tool" if solo else None
    for call in calls:
        if not is_object(call["arguments"]):
            name = call["name"] or "a tool without a name"
            return f"calls {name} with arguments that are not a JSON object"
    ends = any(call["name"] == SOLO_STOP_TOOL for call in calls)
    if solo and not ends and STOP in (content or ""):
        return "stops and calls tools at once"
    return None


def is_blank(content: str | None) -> bool:
    return content is None or content.strip() == ""


def is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def stop_of(spoken: dict, solo: bool) -> str | None:
    """Why a message without calls ends the task. An agent with a user cannot stop."""
    if spoken["role"] == "user":
        said = spoken["content"] or ""
        return "user_stop" if any(word in said for word in USER_STOPS) else None
    return "agent_stop" if solo else None


# --- The trajectory ---


def messages_of_hop(hop: dict, solo: bool) -> list:
    """The messages that a hop added to the simulation."""
    side = SIDES.get(hop["role"])
    # Only answers of the executor that are lists hold messages.
    if side is None:
        return hop["result"] if isinstance(hop["result"], list) else []
    spoken = spoken_by(side, hop["result"])
    # A malformed answer was never said.
    if problem_of(spoken, solo) is not None:
        return []
    return [solo_message(spoken) if solo and side == "assistant" else spoken]


def messages_of(history: list, begun: int, solo: bool) -> list:
    """The messages since the hop that loaded the task."""
    said = [message for hop in history[begun + 1 :] for message in messages_of_hop(hop, solo)]
    return [*history[begun]["result"]["messages"], *said]


def trajectory_of(history: list, begun: int, solo: bool) -> list:
    """The messages with times, costs and tokens, in the form of the official results file."""
    loaded = history[begun]["result"]
    begin = milliseconds(history[begun]["at"])
    before = len(loaded["messages"])
    trajectory: list = []
    last = 0

    def add(message: dict, at: int, more: dict) -> None:
        nonlocal last
        # The official loader sorts by time, so each message is later than the one before it.
        last = max(at * 1000, last + 1)
        dated = {"turn_idx": len(trajectory), "timestamp": iso_microseconds(last)}
        trajectory.append({**message, **dated, **more})

    for index, message in enumerate(loaded["messages"]):
        add(message, begin - (before - index) * 1000, {})
    for hop in history[begun + 1 :]:
        spent = {"cost": hop.get("cost", 0), "usage": usage_of(hop)} if hop["role"] in SIDES else {}
        for message in messages_of_hop(hop, solo):
            add(message, milliseconds(hop["at"]), spent)
    return trajectory


def outcome_of(course: dict, reward: dict, row: dict, history: list, limits: dict) -> dict:
    """The outcome of a record. The last hop of `history` is the reward."""
    begun, solo = course["begun"], limits["solo"]
    fed_back = {"fed_back": fed_back_in(history, begun, solo)} if limits["feeds_back"] else {}
    return {
        "domain": row.get("domain"),
        "task_id": row.get("task_id"),
        "solo": solo,
        "termination_reason": course["termination"],
        "steps": course["steps"],
        "errors": course["errors"],
        "restarts": course["restarts"],
        "max_steps": limits["max_steps"],
        "max_errors": limits["max_errors"],
        **fed_back,
        "usage": {side: spent_by(history, side) for side in ("assistant", "user")},
        "reward_info": reward,
        "messages": trajectory_of(history[:-1], begun, solo),
    }


def fed_back_in(history: list, begun: int, solo: bool) -> int:
    """The number of malformed answers that were fed back to their model."""
    spoken = [
        spoken_by(SIDES[hop["role"]], hop["result"])
        for hop in history[begun + 1 :]
        if hop["role"] in SIDES
    ]
    return sum(problem_of(message, solo) is not None for message in spoken)


def spent_by(history: list, side: str) -> dict:
    """Usage of the model of one side over the whole task."""
    spent = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0}
    for hop in history:
        if hop["role"] != SPEAKERS[side] or "usage" not in hop:
            continue
        for name in ("requests", "prompt_tokens", "completion_tokens"):
            spent[name] += hop["usage"][name]
        spent["cost"] += hop.get("cost", 0)
    return spent


def usage_of(hop: dict) -> dict | None:
    usage = hop.get("usage")
    if usage is None:
        return None
    return {name: usage[name] for name in ("completion_tokens", "prompt_tokens")}


def milliseconds(at: str) -> int:
    return (datetime.fromisoformat(at.replace("Z", "+00:00")) - EPOCH) // timedelta(milliseconds=1)


def iso_microseconds(microseconds: int) -> str:
    """A time in the form of the official file: six digits of a second, and no zone."""
    time = EPOCH + timedelta(microseconds=microseconds)
    return time.replace(tzinfo=None).isoformat(timespec="microseconds")
