// graph: a StateGraph of LangGraph.js as a rule. LangGraph does not run: its nodes are roles, which
// agents play on hosts. This file reads the edges, the conditions, and the functions by which a
// node turns a result into state. All of them must be pure and answer at once. A node marked
// `metadata: { inline: true }` is not a role: its function runs where the task passes by.

import { ExactNumber } from "../task/exact.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { checkGraph } from "./check-graph.ts";
import {
  done,
  END_REASONS,
  type EndReason,
  type Orchestrator,
  type Route,
  type RouteContext,
  to,
} from "./contract.ts";
import { type Compiled, outcomeOf, scoreOf, variablesOf } from "./results.ts";
import {
  type Callable,
  type Channel,
  END,
  graphOf,
  isCommand,
  isInline,
  nameOf,
  START,
  type StateGraph,
} from "./state-graph.ts";

/** A task that passes this many inline nodes between two roles is in an endless loop. */
const INLINE_MAX = 1000;
/** Channels of the state that say how the record ends, if the graph has them. */
const ENDING = { reason: "stop_reason", score: "score", outcome: "outcome" } as const;

export interface GraphOptions {
  /** The name of the graph in errors. */
  readonly path: string;
  readonly roles: readonly string[];
  readonly score: Compiled;
}

/** The checkpoints of the channels that have a value. */
type State = JsonObject;

/**
 * The rule of a graph. Fails with `module_invalid` for an export that is not a graph, and for a
 * graph that no task can walk.
 */
export function createGraph(exported: unknown, options: GraphOptions): Orchestrator<State> {
  const graph = graphOf(exported, options.path);
  checkGraph(graph, options.roles, options.path);
  const walk = new Walk(graph, options.score);
  return {
    start: (row, context) => walk.go(START, walk.updated({}, row), null, context),
    next: (state, result, context) => walk.go(context.role ?? START, state, result, context),
  };
}

class Walk {
  readonly #graph: StateGraph;
  readonly #channels: readonly (readonly [name: string, channel: Channel])[];
  readonly #score: Compiled;

  constructor(graph: StateGraph, score: Compiled) {
    this.#graph = graph;
    this.#channels = Object.entries(graph.channels).filter(
      (entry): entry is [string, Channel] => "fromCheckpoint" in entry[1],
    );
    this.#score = score;
  }

  /**
   * Goes from the start, or from a node whose role has answered, through inline nodes to the next
   * role or the end.
   */
  go(from: string, before: State, result: Json, context: RouteContext): Route<State> {
    let [node, state] = [from, before];
    for (let passed = 0; passed < INLINE_MAX; passed++) {
      const [after, targets] = this.#pass(node, state, result, context);
      const next = oneOf(targets, node);
      if (next === null) return this.#end(after, result, context);
      if (!isInline(this.#graph.nodes[next])) return to<State>(next, after);
      [node, state] = [next, after];
    }
    throw new Error(
      `after ${nameOf(from)} inline nodes form an endless loop, and ${node} is one of them`,
    );
  }

  /**
   * Runs a node's function. Answers the state after it, and where its command or its edges lead.
   */
  #pass(
    node: string,
    before: State,
    result: Json,
    context: RouteContext,
  ): readonly [after: State, targets: readonly unknown[]] {
    const config = configOf(result, context);
    const answer = call(
      this.#graph.nodes[node]?.runnable,
      `node ${node}`,
      this.#valuesOf(before),
      config,
    );
    const { update, goto } = isCommand(answer) ? answer : { update: answer };
    const state = this.updated(before, update);
    const targets = [goto ?? []].flat();
    return [state, targets.length > 0 ? targets : this.#targetsOf(node, state, config)];
  }

  /** The ends of a node's plain and conditional edges. */
  #targetsOf(node: string, state: State, config: unknown): readonly unknown[] {
    const targets: unknown[] = [...this.#graph.edges]
      .filter(([from]) => from === node)
      .map(([, to]) => to);
    for (const [name, { path, ends }] of Object.entries(this.#graph.branches[node] ?? {})) {
      const answer = call(
        path,
        `the condition ${name} after ${node}`,
        this.#valuesOf(state),
        config,
      );
      for (const one of [answer].flat()) targets.push(ends === undefined ? one : ends[String(one)]);
    }
    return targets;
  }

  /** The state after an update, which need not name every channel. */
  updated(before: State, update: unknown): State {
    if (update === undefined || update === null) return before;
    if (!isJsonObject(update))
      throw new Error(
        `an update of the state is an object of its channels, not ${JSON.stringify(update)}`,
      );
    const after: Record<string, Json> = {};
    for (const [name, channel] of this.#channels) {
      const current = channel.fromCheckpoint(before[name]);
      if (update[name] !== undefined) current.update([update[name]]);
      if (current.isAvailable()) after[name] = asJson(current.checkpoint(), name);
    }
    return after;
  }

  #end(state: State, result: Json, context: RouteContext): Route<State> {
    const values = this.#valuesOf(state);
    const {
      [ENDING.reason]: reason = "completed",
      [ENDING.outcome]: told = null,
      [ENDING.score]: stated,
    } = values;
    if (!isEndReason(reason))
      throw new Error(
        `${ENDING.reason} is ${JSON.stringify(reason)}; allowed: ${END_REASONS.join(", ")}`,
      );
    const outcome = isJsonObject(told) ? told : outcomeOf(result);
    const score = scoreOf(this.#score, stated === undefined ? outcome : { score: stated }, () =>
      variablesOf(context, result, values),
    );
    return done({ reason, outcome, score });
  }

  #valuesOf(state: State): JsonObject {
    const values: Record<string, Json> = {};
    for (const [name, channel] of this.#channels) {
      const current = channel.fromCheckpoint(state[name]);
      if (current.isAvailable()) values[name] = current.get() as Json;
    }
    return values;
  }
}

/** The one place that the edges lead to; null at the end. */
function oneOf(targets: readonly unknown[], node: string): string | null {
  const open = [...new Set(targets)].filter((target) => target !== END);
  if (open.length === 0) return null;
  if (open.length > 1)
    throw new Error(`${nameOf(node)} leads to ${open.join(" and ")}; a task goes to one at a time`);
  const [next] = open;
  if (typeof next === "string") return next;
  throw new Error(
    `${nameOf(node)} leads to ${JSON.stringify(next)}, which is not the name of a node`,
  );
}

function isEndReason(value: Json): value is EndReason {
  return END_REASONS.some((reason) => reason === value);
}

/**
 * The second argument of the graph's functions. Result, row and history stand where LangGraph keeps
 * a user's settings.
 */
function configOf(result: Json, context: RouteContext): unknown {
  const { role, id, trial, seed } = context;
  return {
    configurable: {
      ...{ result, role, id, trial, seed },
      // Row and history are read from their bytes only when a function asks for them.
      get row() {
        return context.row;
      },
      get history() {
        return context.history;
      },
    },
  };
}

function call(
  callable: Callable | undefined,
  what: string,
  state: JsonObject,
  config: unknown,
): unknown {
  const answer = callable?.func?.(state, config);
  if (answer instanceof Promise)
    throw new Error(`${what} returned a promise; it must be pure and answer at once`);
  return answer;
}

/**
 * The value itself. Throws for an object of a class, which would arrive on another host as a plain
 * object.
 */
function asJson(value: unknown, path: string): Json {
  const isObject = typeof value === "object" && value !== null;
  if (
    isObject &&
    !Array.isArray(value) &&
    !(value instanceof ExactNumber) &&
    ![Object.prototype, null].includes(Object.getPrototypeOf(value))
  )
    throw new Error(
      `state.${path} is a ${value.constructor?.name ?? "object"}, which JSON cannot carry`,
    );
  if (isObject) for (const [key, part] of Object.entries(value)) asJson(part, `${path}.${key}`);
  return value as Json;
}
