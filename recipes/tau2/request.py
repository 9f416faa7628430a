"""The request to each side's model: the official system prompt and the messages that this side may
see. A side sees its own messages, the other side's text, and the results of its own calls. For the
user's model the roles are flipped. It makes the same requests as `request.ts`.
"""

from matrix_agent import request
from simulation import SIDES, SPEAKERS, is_blank, messages_of_hop, problem_of, spoken_by


@request
def ask(task):
    begun, history = task["state"]["begun"], task["history"]
    side = "user" if task["role"] == SPEAKERS["user"] else "assistant"
    loaded = history[begun]["result"]
    # In a solo task there is no user, so the agent must call a tool.
    solo = loaded["system"]["user"] is None
    messages = [{"role": "system", "content": loaded["system"][side] or ""}]
    for message in loaded["messages"]:
        messages += seen_by(side, message)
    for hop in history[begun + 1 :]:
        error = fed_back(side, hop, solo)
        if error is not None:
            messages += error
            continue
        for message in messages_of_hop(hop, solo):
            messages += seen_by(side, message)
    tools = loaded["user_tools" if side == "user" else "tools"]
    if not tools:
        return {"messages": messages}
    choice = "required" if solo else "auto"
    return {"messages": messages, "tools": tools, "sampling": {"tool_choice": choice}}


def fed_back(side, hop, solo):
    """A malformed answer of this side with its error; None for any other hop."""
    if SIDES.get(hop["role"]) != side:
        return None
    spoken = spoken_by(side, hop["result"])
    problem = problem_of(spoken, solo)
    if problem is None:
        return None
    content = f"Error: your message {problem}. Nothing of it was done."
    # The calls are written as text, because servers refuse arguments that are not JSON.
    calls = [f"{call['name']}({call['arguments']})" for call in spoken["tool_calls"] or []]
    said = ([] if is_blank(spoken["content"]) else [spoken["content"]]) + calls
    own = [{"role": "assistant", "content": "\n".join(said)}] if said else []
    return [*own, {"role": "user", "content": content}]


def seen_by(side, message):
    if message["role"] == "tool":
        if message["requestor"] != side:
            return []
        content = message["content"]
        return [{"role": "tool", "content": content, "tool_call_id": message["id"]}]
    calls = message["tool_calls"]
    if message["role"] != side:
        return [{"role": "user", "content": message["content"]}] if calls is None else []
    own = {"role": "assistant", "content": message["content"]}
    if calls is not None:
        own["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in calls
        ]
    return [own]
