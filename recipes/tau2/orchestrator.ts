// The rules of tau2's own orchestrator as a pure function. The tool executor loads the task. Then
// user, assistant and environment take turns, one step each, until a side stops or a limit is
// reached. Then the official evaluator scores the conversation. The only content that routes is a
// stop word, of the user or of a solo agent.

import { done, type JsonObject, orchestrator, type Route, type RouteContext, to } from "matrix";
import {
  type Call,
  type Loaded,
  problemOf,
  type Side,
  SPEAKERS,
  type Spoken,
  soloMessage,
  spokenBy,
  type ToolMessage,
} from "./message.ts";
import { limitsOf, outcomeOf, type Settings, stopOf } from "./simulation.ts";
import { loadedIn, messagesOf } from "./trajectory.ts";

interface State extends JsonObject {
  readonly at: "load" | Side | "environment" | "close" | "reward";
  /** The index of the hop that loaded the task. */
  readonly from: number;
  readonly steps: number;
  /** Failed tool calls and fed-back messages of both sides. */
  readonly errors: number;
  readonly restarts: number;
  /** True before a solo agent's first message, which does not count as a step. */
  readonly opening: boolean;
  /** The side whose calls the environment runs. */
  readonly requestor: Side;
  readonly termination: string | null;
  /** The request of the role that acts next to the bridge; null when a speaker acts next. */
  readonly request: JsonObject | null;
}

const EXECUTOR = "tool-executor";
const CALCULATOR = "reward-calculator";

export default function createRules(settings: Settings) {
  const limits = limitsOf(settings);
  const { solo, maxSteps, maxErrors, maxRestarts, feedsBack } = limits;

  const load = (row: JsonObject, from: number, restarts: number): Route<State> => {
    const request = {
      op: "load",
      domain: row["domain"] ?? "",
      task_id: row["task_id"] ?? "",
      solo,
    };
    const fresh = {
      steps: 0,
      errors: 0,
      opening: false,
      requestor: "assistant",
      termination: null,
    } as const;
    return to<State>(EXECUTOR, { at: "load", from, restarts, ...fresh, request });
  };

  const afterLoad = (state: State, loaded: Loaded): Route<State> => {
    const opened = { ...state, opening: solo && loaded.messages.length === 0 };
    if (loaded.next === null) return close(opened, loaded.termination_reason ?? "");
    if (loaded.next !== "environment") return speak(opened, loaded.next);
    const last = loaded.messages.at(-1) as Spoken;
    return act(opened, last.role, last.tool_calls ?? []);
  };

  const afterSpeech = (
    state: State,
    side: Side,
    answer: Spoken,
    context: RouteContext,
  ): Route<State> => {
    const after = { ...state, opening: false, steps: state.steps + (state.opening ? 0 : 1) };
    const problem = problemOf(answer, solo);
    if (problem !== null && feedsBack)
      return go({ ...after, errors: state.errors + 1 }, side, null);
    if (problem !== null) return beginAnew(state, `the ${side}'s message ${problem}`, context);
    const spoken = solo ? soloMessage(answer) : answer;
    if (spoken.tool_calls !== null) return act(after, side, spoken.tool_calls);
    return go(after, side === "user" ? "assistant" : "user", stopOf(spoken, solo));
  };

  const afterTools = (state: State, messages: readonly ToolMessage[]): Route<State> => {
    const errors = state.errors + messages.filter(({ error }) => error).length;
    return go({ ...state, steps: state.steps + 1, errors }, state.requestor, null);
  };

  /**
   * Goes to a speaker, or ends the task. A limit overrides a stop, and the limit of errors
   * overrides that of steps.
   */
  const go = (state: State, next: Side, stop: string | null): Route<State> => {
    let reason = stop;
    if (state.steps >= maxSteps) reason = "max_steps";
    if (state.errors >= maxErrors) reason = "too_many_errors";
    return reason === null ? speak(state, next) : close(state, reason);
  };

  const speak = (state: State, side: Side): Route<State> =>
    to<State>(SPEAKERS[side], { ...state, at: side, request: null });

  const act = (state: State, requestor: Side, calls: readonly Call[]): Route<State> =>
    to<State>(EXECUTOR, {
      ...state,
      at: "environment",
      requestor,
      request: { op: "calls", calls },
    });

  /** Releases the environment before the evaluator makes environments of its own. */
  const close = (state: State, termination: string): Route<State> =>
    to<State>(EXECUTOR, { ...state, at: "close", termination, request: { op: "close" } });

  const evaluate = (state: State, { row, history }: RouteContext): Route<State> => {
    const simulation = {
      termination_reason: state.termination,
      messages: messagesOf(history, state.from, solo),
    };
    const request = {
      op: "reward",
      domain: row["domain"] ?? "",
      task_id: row["task_id"] ?? "",
      solo,
      simulation,
    };
    return to<State>(CALCULATOR, { ...state, at: "reward", request });
  };

  /**
   * Starts the simulation again, as the official runner does. The earlier messages stay in the
   * record.
   */
  const beginAnew = (
    state: State,
    problem: string,
    { row, history }: RouteContext,
  ): Route<State> => {
    if (state.restarts < maxRestarts) return load(row, history.length, state.restarts + 1);
    throw new Error(`${problem}, also after ${maxRestarts} restarts of the simulation`);
  };

  const finish = (state: State, reward: JsonObject, { row, history }: RouteContext): Route<State> =>
    done({
      reason: state.termination === "max_steps" ? "max_turns" : "stopped",
      score: reward["reward"] as number,
      outcome: outcomeOf(state, reward, { row, history }, limits),
    });

  return orchestrator<State>({
    start: (row) => load(row, 0, 0),
    next: (state, result, context) => {
      switch (state.at) {
        case "load":
          return afterLoad(state, loadedIn(context.history, state.from));
        case "environment":
          return afterTools(state, result as unknown as readonly ToolMessage[]);
        case "close":
          return evaluate(state, context);
        case "reward":
          return finish(state, result as JsonObject, context);
        default:
          return afterSpeech(state, state.at, spokenBy(state.at, result), context);
      }
    },
  });
}
