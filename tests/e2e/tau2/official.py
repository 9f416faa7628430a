"""The official orchestrator and evaluator with scripted speakers: the other side of the differential test.

Cases come as JSON lines on stdin, and outcomes go as JSON lines to stdout. Only the function that
asks a model is replaced; it also notes the requests of each side.
"""

import json
import os
import sys
from copy import deepcopy
from functools import cache

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
stdout = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from loguru import logger

logger.remove()

from tau2.agent import llm_agent
from tau2.agent.llm_agent import LLMAgent, LLMSoloAgent
from tau2.data_model.message import AssistantMessage, ToolCall
from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation
from tau2.orchestrator.orchestrator import Orchestrator
from tau2.registry import registry
from tau2.user import user_simulator
from tau2.user.user_simulator import DummyUser, UserSimulator
from tau2.utils.llm_utils import to_litellm_messages


def speaker(side, replies, requests):
    left = list(replies)

    def generate(model, messages, tools=None, tool_choice=None, **_):
        schemas = [tool.openai_schema for tool in tools] if tools else None
        sent = [
            {name: value for name, value in message.items() if value is not None}
            for message in to_litellm_messages(messages)
        ]
        requests.append(
            {
                "side": side,
                "messages": sent,
                "tools": schemas,
                "tool_choice": tool_choice or ("auto" if schemas else None),
            }
        )
        reply = left.pop(0)
        reply = {"content": reply} if isinstance(reply, str) else reply
        # This is how the official function reads an answer.
        calls = [
            ToolCall(
                id=call["id"],
                name=call["function"]["name"],
                arguments=json.loads(call["function"]["arguments"]),
            )
            for call in reply.get("tool_calls") or []
        ]
        return AssistantMessage(
            role="assistant",
            content=reply.get("content"),
            tool_calls=calls or None,
            cost=0.0,
            usage=None,
        )

    return generate


@cache
def tasks_of(domain):
    return {task.id: task for task in registry.get_tasks_loader(domain)(None)}


def run(case):
    domain, solo, requests = case["domain"], case["solo"], []
    task = deepcopy(tasks_of(domain)[case["task_id"]])
    llm_agent.generate = speaker("assistant", case["replies"]["assistant"], requests)
    user_simulator.generate = speaker("user", case["replies"]["user-simulator"], requests)
    environment = registry.get_env_constructor(domain)(solo_mode=solo)
    try:
        user_tools = environment.get_user_tools()
    except Exception:
        user_tools = None
    if solo:
        agent = LLMSoloAgent(
            environment.get_tools() + (user_tools or []),
            environment.get_policy(),
            task,
            llm="scripted",
        )
    else:
        agent = LLMAgent(environment.get_tools(), environment.get_policy(), llm="scripted")
    user = (DummyUser if solo else UserSimulator)(
        tools=user_tools, instructions=str(task.user_scenario), llm="scripted"
    )
    limits = {"max_steps": case["max_steps"], "max_errors": case["max_errors"]}
    orchestrator = Orchestrator(domain, agent, user, environment, task, solo_mode=solo, **limits)
    try:
        simulation = orchestrator.run()
        reward = evaluate_simulation(simulation, task, EvaluationType.ALL, solo, domain)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "termination_reason": simulation.termination_reason.value,
        "steps": orchestrator.step_count,
        "errors": orchestrator.num_errors,
        "messages": [plain(message) for message in simulation.messages],
        "reward_info": reward.model_dump(mode="json"),
        "requests": requests,
    }


def plain(message):
    """The message without ids of runs, times and costs, and with arguments as text."""
    kept = {
        name: getattr(message, name)
        for name in ("role", "content", "id", "requestor", "error")
        if hasattr(message, name)
    }
    if message.role == "tool":
        return kept
    calls = message.tool_calls
    if calls is not None:
        calls = [{**call.model_dump(), "arguments": json.dumps(call.arguments)} for call in calls]
    return {**kept, "tool_calls": calls}


def written(text):
    """Arguments as Python writes them, so that two texts can be compared; null when it cannot."""
    try:
        return json.dumps(json.loads(text))
    except (ValueError, RecursionError):
        return None


for line in sys.stdin:
    case = json.loads(line)
    outcome = [written(text) for text in case["texts"]] if "texts" in case else run(case)
    stdout.write(json.dumps(outcome) + "\n")
    stdout.flush()
