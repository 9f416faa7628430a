// Tau2 as the paper's graph. Speakers, tools and reward are nodes, and edges route by the state
// alone. The function of a node turns the answer of its role into an update of the state. The graph
// makes the same trajectories as orchestrator.ts.

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import type { Hop, Json, JsonObject } from "matrix";
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
import {
  type Course,
  type Limits,
  limitsOf,
  outcomeOf,
  type Settings,
  stopOf,
} from "./simulation.ts";
import { messagesOf } from "./trajectory.ts";

const Simulation = Annotation.Root({
  from: Annotation<number>,
  steps: Annotation<number>,
  errors: Annotation<number>,
  restarts: Annotation<number>,
  /** True before a solo agent's first message, which does not count as a step. */
  opening: Annotation<boolean>,
  /** The side that speaks next, or once the tools have answered. */
  turn: Annotation<Side>,
  termination: Annotation<string | null>,
  /** The next request to the bridge; null when a side speaks next. */
  request: Annotation<Request | null>,
  // These three become the end of the record.
  stop_reason: Annotation<string>,
  score: Annotation<number>,
  outcome: Annotation<JsonObject>,
});
type State = typeof Simulation.State;
type Update = Partial<State>;
type Request = {
  readonly op: "load" | "calls" | "close" | "reward";
  readonly [key: string]: unknown;
};

/** The answer of a role, with the row and the history of its task. */
interface Answered {
  readonly result: Json;
  readonly row: JsonObject;
  readonly history: readonly Hop[];
}

export function build(settings: Settings) {
  const limits = limitsOf(settings);
  const speaks =
    (side: Side) =>
    (state: State, { configurable }: Config) =>
      afterSpeech(state, side, answered(configurable), limits);
  return (
    new StateGraph(Simulation)
      // An inline node prepares the state before the first step.
      .addNode(
        "begin",
        (_: State, { configurable }: Config) => load(answered(configurable).row, 0, 0, limits),
        {
          metadata: { inline: true },
        },
      )
      .addNode("tool-executor", (state: State, { configurable }: Config) =>
        afterTools(state, answered(configurable), limits),
      )
      .addNode("user-simulator", speaks("user"))
      .addNode("assistant", speaks("assistant"))
      .addNode("reward-calculator", (state: State, { configurable }: Config) =>
        afterReward(state, answered(configurable), limits),
      )
      .addEdge(START, "begin")
      .addEdge("begin", "tool-executor")
      .addConditionalEdges("user-simulator", whoActs)
      .addConditionalEdges("assistant", whoActs)
      .addConditionalEdges("tool-executor", whoActs)
      .addEdge("reward-calculator", END)
      .compile()
  );
}

function whoActs({ request, turn }: State) {
  if (request === null) return SPEAKERS[turn] as "user-simulator" | "assistant";
  return request.op === "reward" ? "reward-calculator" : "tool-executor";
}

interface Config {
  readonly configurable?: Record<string, unknown>;
}

function answered(configurable: Config["configurable"]): Answered {
  return configurable as unknown as Answered;
}

function load(
  { domain = "", task_id = "" }: JsonObject,
  from: number,
  restarts: number,
  { solo }: Limits,
): Update {
  const request: Request = { op: "load", domain, task_id, solo };
  return {
    from,
    restarts,
    steps: 0,
    errors: 0,
    opening: false,
    turn: "assistant",
    termination: null,
    request,
  };
}

/** The update after the executor has loaded the task, run calls, or released the environment. */
function afterTools(state: State, { result, row, history }: Answered, limits: Limits): Update {
  if (state.request?.op === "load") return afterLoad(result as unknown as Loaded, limits);
  if (state.request?.op === "close") return { request: rewardRequest(state, row, history, limits) };
  const failed = (result as unknown as readonly ToolMessage[]).filter(({ error }) => error).length;
  return go(
    { ...state, steps: state.steps + 1, errors: state.errors + failed },
    state.turn,
    null,
    limits,
  );
}

function afterLoad(loaded: Loaded, { solo }: Limits): Update {
  const opening = solo && loaded.messages.length === 0;
  if (loaded.next === null) return { opening, ...close(loaded.termination_reason ?? "") };
  if (loaded.next !== "environment") return { opening, turn: loaded.next, request: null };
  const last = loaded.messages.at(-1) as Spoken;
  return { opening, ...act(last.role, last.tool_calls ?? []) };
}

function afterSpeech(
  state: State,
  side: Side,
  { result, row, history }: Answered,
  limits: Limits,
): Update {
  const said = spokenBy(side, result);
  const problem = problemOf(said, limits.solo);
  const steps = state.steps + (state.opening ? 0 : 1);
  if (problem !== null) {
    if (limits.feedsBack)
      return {
        opening: false,
        ...go({ ...state, steps, errors: state.errors + 1 }, side, null, limits),
      };
    if (state.restarts < limits.maxRestarts)
      return load(row, history.length, state.restarts + 1, limits);
    throw new Error(
      `the ${side}'s message ${problem}, also after ${limits.maxRestarts} restarts of the simulation`,
    );
  }
  const spoken = limits.solo ? soloMessage(said) : said;
  if (spoken.tool_calls !== null) return { opening: false, steps, ...act(side, spoken.tool_calls) };
  return {
    opening: false,
    ...go(
      { ...state, steps },
      side === "user" ? "assistant" : "user",
      stopOf(spoken, limits.solo),
      limits,
    ),
  };
}

/**
 * Goes to a speaker, or ends the simulation. A limit overrides a stop, and the limit of errors
 * overrides that of steps.
 */
function go(
  { steps, errors }: State,
  turn: Side,
  stop: string | null,
  { maxSteps, maxErrors }: Limits,
): Update {
  let reason = stop;
  if (steps >= maxSteps) reason = "max_steps";
  if (errors >= maxErrors) reason = "too_many_errors";
  return { steps, errors, ...(reason === null ? { turn, request: null } : close(reason)) };
}

function act(turn: Side, calls: readonly Call[]): Update {
  return { turn, request: { op: "calls", calls } };
}

/** Releases the environment before the evaluator makes environments of its own. */
function close(termination: string): Update {
  return { termination, request: { op: "close" } };
}

function rewardRequest(
  { from, termination }: State,
  row: JsonObject,
  history: readonly Hop[],
  { solo }: Limits,
): Request {
  const { domain = "", task_id = "" } = row;
  const simulation = { termination_reason: termination, messages: messagesOf(history, from, solo) };
  return { op: "reward", domain, task_id, solo, simulation };
}

function afterReward(state: State, { result, row, history }: Answered, limits: Limits): Update {
  const reward = result as JsonObject;
  return {
    stop_reason: state.termination === "max_steps" ? "max_turns" : "stopped",
    score: reward["reward"] as number,
    outcome: outcomeOf(state as Course, reward, { row, history }, limits),
  };
}
