"""The competitors in `scripts/bench tau2`, which run the gold scripts of recipes/tau2: the floor (environment and evaluator
calls without a runner) and tau2's own runner. With a URL, the runner asks the model served there through its own client,
litellm; without one, the script replaces that client. Prints the seconds from the first task to the last, without start-up.

    tau2_others.py floor DOMAIN PROCESSES TASKS TRIALS
    tau2_others.py runner DOMAIN CONCURRENCY TASKS TRIALS [URL]
    tau2_others.py prompts DOMAIN        prints the system prompt of the user's model for each task, by which the served model
                                         finds the task
"""

import json
import os
import sys
import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
stdout = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from loguru import logger

logger.remove()

from tau2.agent import llm_agent
from tau2.data_model.message import AssistantMessage, ToolCall, UserMessage
from tau2.data_model.simulation import SimulationRun
from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation
from tau2.registry import registry
from tau2.user import user_simulator

GOLD = Path(__file__).resolve().parents[2] / "recipes/tau2/gold.jsonl"


def scripts_of(domain, count):
    lines = [json.loads(line) for line in open(GOLD)]
    chosen = [line for line in lines if line["id"].startswith(f"{domain}/")][:count]
    return {line["id"].split("/", 1)[1]: line["replies"] for line in chosen}


def message_of(reply):
    reply = {"content": reply} if isinstance(reply, str) else reply
    calls = [
        ToolCall(id=call["id"], name=call["function"]["name"], arguments=json.loads(call["function"]["arguments"]))
        for call in reply.get("tool_calls") or []
    ]
    return AssistantMessage(role="assistant", content=reply["content"], tool_calls=calls or None, cost=0.0, usage=None)


def bare(job):
    """The work that every runner has to do: one environment, its calls, the evaluation."""
    domain, task, replies = job
    environment = registry.get_env_constructor(domain)()
    initial = task.initial_state
    environment.set_state(
        initialization_data=initial.initialization_data if initial else None,
        initialization_actions=initial.initialization_actions if initial else None,
        message_history=(initial.message_history or []) if initial else [],
    )
    messages, left = [], {side: list(texts) for side, texts in replies.items()}
    side = "user-simulator"
    while True:
        message = message_of(left[side].pop(0))
        if side == "user-simulator":
            calls = [call.model_copy(update={"requestor": "user"}) for call in message.tool_calls or []]
            message = UserMessage(role="user", content=message.content, tool_calls=calls or None)
        messages.append(message)
        if message.is_tool_call():
            messages.extend(environment.get_response(call) for call in message.tool_calls)
        elif "###STOP###" in message.content:
            break
        else:
            side = "assistant" if side == "user-simulator" else "user-simulator"
    run = {"id": "floor", "task_id": task.id, "start_time": "", "end_time": "", "duration": 0.0, "termination_reason": "user_stop"}
    return evaluate_simulation(SimulationRun(**run, messages=messages), task, EvaluationType.ALL, False, domain).reward


def floor(domain, processes, count, trials):
    scripts = scripts_of(domain, count)
    jobs = [(domain, task, scripts[task.id]) for task in registry.get_tasks_loader(domain)("base") if task.id in scripts]
    with get_context("fork").Pool(processes) as pool:
        pool.map(abs, range(processes))
        began = time.perf_counter()
        rewards = pool.map(bare, jobs * trials, chunksize=1)
    assert all(reward == 1 for reward in rewards)
    return time.perf_counter() - began


def runner(domain, concurrency, count, trials, url):
    from tau2 import run

    scripts = scripts_of(domain, count)
    if url is None:
        replace_model(run, scripts)
    model = {"api_base": url, "api_key": "none", "temperature": 0.0} if url else {}
    tasks = [task for task in registry.get_tasks_loader(domain)("base") if task.id in scripts]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        results = run.run_tasks(
            *(domain, tasks, "llm_agent", "user_simulator"),
            **{"llm_agent": "openai/gold", "llm_user": "openai/gold", "llm_args_agent": model, "llm_args_user": model},
            **{"num_trials": trials, "max_steps": 200, "save_to": f"{folder}/results.json"},
            **{"max_concurrency": concurrency, "console_display": False, "log_level": "ERROR"},
        )
        seconds = time.perf_counter() - began
    assert len(results.simulations) == len(tasks) * trials
    assert all(simulation.reward_info.reward == 1 for simulation in results.simulations)
    return seconds


def replace_model(run, scripts):
    local = threading.local()
    run_task = run.run_task

    def run_scripted(task, **rest):
        local.left = {side: list(texts) for side, texts in scripts[task.id].items()}
        return run_task(task=task, **rest)

    run.run_task = run_scripted
    llm_agent.generate = lambda **_: message_of(local.left["assistant"].pop(0))
    user_simulator.generate = lambda **_: message_of(local.left["user-simulator"].pop(0))


def prompts(domain):
    environment = registry.get_env_constructor(domain)()
    try:
        tools = environment.get_user_tools()
    except Exception:
        tools = None
    tasks = registry.get_tasks_loader(domain)("base")
    return {
        user_simulator.UserSimulator(tools=tools, instructions=str(task.user_scenario), llm="gold").system_prompt: f"{domain}/{task.id}"
        for task in tasks
    }


mode, domain, *rest = sys.argv[1:]
if mode == "prompts":
    answer = prompts(domain)
elif mode == "floor":
    answer = floor(domain, *map(int, rest))
else:
    answer = runner(domain, *map(int, rest[:3]), rest[3] if len(rest) > 3 else None)
print(json.dumps(answer), file=stdout, flush=True)
