// A StateGraph of LangGraph.js as a rule. LangGraph does not run: its nodes are roles, which agents
// play on hosts. The functions of the graph turn results into state and choose the way. All of them
// must be pure and answer at once. A node marked `metadata: { inline: true }` is not a role: its
// function runs where the task passes by. When several roles act in one superstep, each acts in a
// branch of the task, and the superstep ends at the join.

import type { Json, JsonObject } from "../../task/json.ts";
import { isJsonObject } from "../../task/json.ts";
import { isUnanswered } from "../../task/task.ts";
import {
  type Done,
  done,
  fork,
  type Orchestrator,
  type Route,
  type RouteContext,
  to,
} from "../contract.ts";
import type { Compiled } from "../results.ts";
import { checkGraph, isParallel } from "./check.ts";
import { endOf } from "./end.ts";
import { Frame, type Surroundings, type Task } from "./frame.ts";
import { asJson, type MessageClasses } from "./messages.ts";
import { GRAPH, type Leaf, leavesOf, load, revived, saveAll, saveLone, stateOf } from "./saved.ts";
import { type Place, placesIn, type Shape, shapeOf } from "./shape.ts";
import { graphOf, START } from "./state-graph.ts";
import { run, Walk } from "./walk.ts";

export interface GraphOptions {
  /** The name of the graph in errors. */
  readonly path: string;
  readonly roles: readonly string[];
  readonly score: Compiled;
  readonly classes: MessageClasses;
  /** False where a task may not go several ways at once. */
  readonly canFork: boolean;
}

/** An answer of a role, with what the functions of its node read of the task. */
interface Answer extends Pick<RouteContext, "row" | "id" | "trial" | "seed" | "role" | "history"> {
  readonly result: Json;
}

/**
 * The rule of a graph. Fails with `module_invalid` for an export that is not a graph, and for a
 * graph that no task can walk.
 */
export function createGraph(exported: unknown, options: GraphOptions): Orchestrator {
  const graph = graphOf(exported, options.path);
  checkGraph(exported, options);
  const rule = new GraphRule(shapeOf(graph), options);
  return {
    start: (row, context) => rule.start(row, context),
    next: (state, result, context) => rule.next(state, result, context),
    // Without a join, going several ways at once fails the task.
    ...((options.canFork || isParallel(graph)) && {
      join: (state: Json, ended: readonly (Done | null)[], context: RouteContext) =>
        rule.join(state, ended, context),
    }),
  };
}

class GraphRule {
  readonly #shape: Shape;
  readonly #score: Compiled;
  readonly #classes: MessageClasses;
  readonly #places: ReadonlyMap<string, Place>;

  constructor(shape: Shape, { score, classes }: GraphOptions) {
    this.#shape = shape;
    this.#places = new Map(placesIn(shape));
    this.#score = score;
    this.#classes = classes;
  }

  start(row: JsonObject, context: RouteContext): Route {
    const walk = this.#walk(context, configOf(answerOf(null, context)), new Map());
    return this.#go(walk, walk.begin(this.#shape, row), null, context);
  }

  next(state: Json, result: Json, context: RouteContext): Route {
    if (!isJsonObject(state) || branchIn(state) !== null)
      return this.#endBranch(state, result, context);
    const root = load(this.#shape, this.#around(context), state, context.role);
    const [leaf] = leavesOf(root) as [Leaf];
    const config = configOf(answerOf(result, context));
    const walk = this.#walk(context, config, new Map([[leaf.task, config]]));
    return this.#go(walk, root, result, context);
  }

  join(state: Json, ended: readonly (Done | null)[], context: RouteContext): Route | null {
    // A missing answer ends the task: the superstep needs all answers.
    const unanswered = ended.find((branch) => branch !== null && isUnanswered(branch.done));
    if (unanswered != null) return unanswered;
    if (ended.includes(null)) return null;
    const root = load(this.#shape, this.#around(context), state, null);
    const answers = leavesOf(root).map(
      (leaf, index) => [leaf.task, answerOfBranch(leaf.task, ended, index, context)] as const,
    );
    const results = resultsOf(answers);
    const answered = new Map(answers.map(([task, answer]) => [task, configOf(answer)]));
    const walk = this.#walk(context, configOf(answerOf(results, context)), answered);
    return this.#go(walk, root, results, context);
  }

  #walk(context: RouteContext, config: unknown, answered: ReadonlyMap<Task, unknown>): Walk {
    const around = this.#around(context);
    return new Walk({
      from: context.role ?? START,
      open: (shape) => new Frame(shape, around),
      config,
      answered,
    });
  }

  #around({ seed }: RouteContext): Surroundings {
    return { classes: this.#classes, seed };
  }

  #go(walk: Walk, root: Frame, result: Json, context: RouteContext): Route {
    if (walk.settle(root)) return this.#end(root, result, context);
    const leaves = leavesOf(root);
    const [first] = leaves;
    const lone = leaves.length === 1 && first !== undefined ? saveLone(root, first) : null;
    if (first !== undefined && lone !== null) return to<Json>(first.task.node.name, lone);
    return fork<Json>(
      leaves.map((leaf) => to<Json>(leaf.task.node.name, branchState(leaf))),
      saveAll(root),
    );
  }

  /**
   * Ends a branch, whose role has answered. The node's function runs at the join, where the others
   * have answered, too. It also runs here, so that its failure names the role and ends the task at
   * once.
   */
  #endBranch(state: Json, result: Json, context: RouteContext): Route {
    const branch = branchIn(state);
    const place = branch === null ? undefined : this.#places.get(branch.node);
    if (branch !== null && place !== undefined) {
      const { [GRAPH]: _, ...values } = state as JsonObject;
      const around = this.#around(context);
      const kept = { values, seen: new Map(), deferred: [] };
      const input = branch.isSend
        ? revived(values, around)
        : new Frame(place.shape, around, kept).values(place.node.inputs);
      run(place.node, input, configOf(answerOf(result, context)));
    }
    return done({ outcome: { result, seed: context.seed } });
  }

  #end(root: Frame, result: Json, context: RouteContext): Route {
    const values: Record<string, Json> = {};
    for (const [name, value] of Object.entries(root.values())) values[name] = asJson(value, name);
    return endOf(values, result, this.#score, context);
  }
}

/** The note in the state of a branch. */
interface Branch extends JsonObject {
  /** The path of the node. */
  readonly node: string;
  readonly isSend: boolean;
}

/** The state of a branch, which its role finds. A state that is no object stays as it is. */
function branchState(leaf: Leaf): Json {
  const state = stateOf(leaf);
  const { node, send } = leaf.task;
  const branch: Branch = { node: node.path, isSend: send !== null };
  return isJsonObject(state) ? { ...state, [GRAPH]: { branch } } : state;
}

function branchIn(state: Json): Branch | null {
  if (!isJsonObject(state)) return null;
  const { [GRAPH]: note } = state;
  return isJsonObject(note) && "branch" in note ? (note["branch"] as Branch) : null;
}

function answerOf(result: Json, context: RouteContext): Answer {
  const { id, trial, seed, role } = context;
  return {
    ...{ result, role, id, trial, seed },
    // Row and history are read from their bytes only when a function asks for them.
    get row() {
      return context.row;
    },
    get history() {
      return context.history;
    },
  };
}

/** The answer of a branch as its role's `next` has seen it. */
function answerOfBranch(
  { node }: Task,
  ended: readonly (Done | null)[],
  index: number,
  context: RouteContext,
): Answer {
  const { result = null, seed } = ended[index]?.outcome ?? {};
  const { id, trial } = context;
  return {
    ...{ result, role: node.name, id, trial, seed: seed as number },
    get row() {
      return context.row;
    },
    get history() {
      // Each branch has added one hop.
      const own = context.history.length - ended.length;
      return [...context.history.slice(0, own), ...context.history.slice(own + index).slice(0, 1)];
    },
  };
}

/** The result of the one role that acted in a superstep, or the results of each by its name. */
function resultsOf(answers: readonly (readonly [task: Task, answer: Answer])[]): Json {
  const [only] = answers;
  if (answers.length === 1 && only !== undefined) return only[1].result;
  const byName = new Map<string, Json[]>();
  for (const [{ node }, { result }] of answers)
    byName.set(node.name, [...(byName.get(node.name) ?? []), result]);
  return Object.fromEntries(
    [...byName].map(([name, all]) => [name, all.length === 1 ? (all[0] ?? null) : all]),
  );
}

/**
 * The second argument of the graph's functions. Result, row and history stand where LangGraph keeps
 * a user's settings.
 */
function configOf(answer: Answer): unknown {
  return { configurable: answer };
}
