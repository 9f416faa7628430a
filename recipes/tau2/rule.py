"""The rules of tau2's own orchestrator in the style of the Matrix paper: `update` sets the next agent,
and the attributes are the state. The tool executor loads the task. Then user, assistant and
environment take turns until a side stops or a limit is reached. Then the official evaluator scores
the conversation. It makes the same records as `orchestrator.ts`.
"""

from matrix_agent import done, orchestrator
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


@orchestrator
class Tau2:
    def __init__(self, settings):
        self.limits = limits_of(settings)

    def start(self, row, context):
        self.load(row, begun=0, restarts=0)

    async def update(self, result, context, logger):
        if self.at == "load":
            self.after_load(context.history[self.begun]["result"])
        elif self.at == "environment":
            self.steps += 1
            self.errors += sum(message["error"] for message in result)
            self.go(self.requestor, None)
        elif self.at == "close":
            self.evaluate(context)
        elif self.at == "reward":
            return self.finish(result, context)
        else:
            self.after_speech(self.at, spoken_by(self.at, result), context)
        return self

    def load(self, row, begun, restarts):
        self.begun = begun  # the index of the hop that loads the task
        self.restarts = restarts
        self.steps = 0
        self.errors = 0
        self.opening = False  # a solo agent's first message does not count as a step
        self.requestor = "assistant"
        self.termination = None
        self.act("load", {"op": "load", **self.task_of(row)})

    def after_load(self, loaded):
        self.opening = self.limits["solo"] and loaded["messages"] == []
        if loaded["next"] is None:
            self.close(loaded["termination_reason"] or "")
        elif loaded["next"] != "environment":
            self.speak(loaded["next"])
        else:
            last = loaded["messages"][-1]
            self.call(last["role"], last["tool_calls"] or [])

    def after_speech(self, side, answer, context):
        solo = self.limits["solo"]
        problem = problem_of(answer, solo)
        if problem is not None and not self.limits["feeds_back"]:
            return self.begin_anew(f"the {side}'s message {problem}", context)
        self.steps += 0 if self.opening else 1
        self.opening = False
        if problem is not None:
            self.errors += 1
            return self.go(side, None)
        spoken = solo_message(answer) if solo else answer
        if spoken["tool_calls"] is not None:
            return self.call(side, spoken["tool_calls"])
        self.go("assistant" if side == "user" else "user", stop_of(spoken, solo))

    def go(self, side, stop):
        """Goes to a speaker, or ends the task. A limit overrides a stop."""
        if self.errors >= self.limits["max_errors"]:
            self.close("too_many_errors")
        elif self.steps >= self.limits["max_steps"]:
            self.close("max_steps")
        elif stop is not None:
            self.close(stop)
        else:
            self.speak(side)

    def speak(self, side):
        self.at = side
        self.request = None
        self._current_agent = SPEAKERS[side]

    def call(self, side, calls):
        self.requestor = side
        self.act("environment", {"op": "calls", "calls": calls})

    def close(self, termination):
        """Releases the environment before the evaluator makes environments of its own."""
        self.termination = termination
        self.act("close", {"op": "close"})

    def act(self, at, request):
        self.at = at
        self.request = request  # what the bridge is asked
        self._current_agent = "tool-executor"

    def evaluate(self, context):
        messages = messages_of(context.history, self.begun, self.limits["solo"])
        simulation = {"termination_reason": self.termination, "messages": messages}
        self.act("reward", {"op": "reward", **self.task_of(context.row), "simulation": simulation})
        self._current_agent = "reward-calculator"

    def begin_anew(self, problem, context):
        """Starts the simulation again, as the official runner does."""
        most = self.limits["restarts"]
        if self.restarts >= most:
            raise RuntimeError(f"{problem}, also after {most} restarts of the simulation")
        self.load(context.row, begun=len(context.history), restarts=self.restarts + 1)

    def finish(self, reward, context):
        return done(
            "max_turns" if self.termination == "max_steps" else "stopped",
            score=reward["reward"],
            outcome=outcome_of(vars(self), reward, context.row, context.history, self.limits),
        )

    def task_of(self, row):
        solo = self.limits["solo"]
        return {"domain": row.get("domain", ""), "task_id": row.get("task_id", ""), "solo": solo}
