"""Prints what the official code makes of a results file: new rewards, metrics, and the verification
of the leaderboard."""

import json
import os
import sys

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
stdout = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from loguru import logger

logger.remove()

from pathlib import Path

from tau2.data_model.simulation import Results
from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation
from tau2.metrics.agent_metrics import compute_metrics
from tau2.scripts.leaderboard.verify_trajectories import VerificationMode, verify_trajectories

path = sys.argv[1]
results = Results.load(Path(path))
domain = results.info.environment_info.domain_name
tasks = {task.id: task for task in results.tasks}
differing = []
for simulation in results.simulations:
    recorded, solo = (
        simulation.reward_info,
        results.info.agent_info.implementation == "llm_agent_solo",
    )
    again = evaluate_simulation(
        simulation, tasks[simulation.task_id], EvaluationType.ALL, solo, domain
    )
    if again.model_dump() != recorded.model_dump():
        differing.append(simulation.id)
verified = True
try:
    verify_trajectories([path], VerificationMode.PUBLIC)
except SystemExit:
    verified = False
metrics = compute_metrics(results)
json.dump(
    {
        "domain": domain,
        "policy": results.info.environment_info.policy,
        "trials": results.info.num_trials,
        "tasks": len(results.tasks),
        "simulations": len(results.simulations),
        "differing": differing,
        "verified": verified,
        "avg_reward": metrics.avg_reward,
        "pass": [float(value) for value in metrics.pass_hat_ks.values()],
        "arguments": [
            json.dumps(call.arguments)
            for simulation in results.simulations
            for message in simulation.messages
            for call in getattr(message, "tool_calls", None) or []
        ],
    },
    stdout,
)
stdout.flush()
