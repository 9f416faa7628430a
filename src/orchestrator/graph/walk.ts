// One decision of a graph: the functions of its nodes and conditions run, superstep after
// superstep, until roles must answer or the graph has ended.

import { type Frame, type Task, taskOf, type Write } from "./frame.ts";
import type { NodeShape, Shape } from "./shape.ts";
import {
  type Callable,
  type Command,
  END,
  isCommand,
  isSend,
  nameOf,
  PARENT,
  type Send,
} from "./state-graph.ts";

/** A task that passes more supersteps than this between two roles is in an endless loop. */
const SUPERSTEPS_MAX = 1000;

export interface WalkOptions {
  /** The node that the walk begins after, for errors. */
  readonly from: string;
  /** A new frame of a graph, before its start has run. */
  readonly open: (shape: Shape) => Frame;
  /** The second argument of functions that no role stands behind. */
  readonly config: unknown;
  /** The second argument of the function of each role that has answered. */
  readonly answered: ReadonlyMap<Task, unknown>;
}

export class Walk {
  readonly #options: WalkOptions;
  #passed = 0;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /** Begins a graph with its input. */
  begin(shape: Shape, input: unknown): Frame {
    const frame = this.#options.open(shape);
    const task = taskOf(shape.start, { arg: input });
    frame.tasks = [task];
    task.writes = this.#writesOf(frame, task, input, this.#options.config);
    return frame;
  }

  /** Goes on until roles must answer. True at the end of the graph. */
  settle(frame: Frame): boolean {
    for (;;) {
      for (const task of frame.tasks) this.#attempt(frame, task);
      if (frame.tasks.some(({ writes }) => writes === null)) return false;
      this.#count(frame);
      if (!frame.advance()) return true;
    }
  }

  #count(frame: Frame): void {
    if (++this.#passed <= SUPERSTEPS_MAX) return;
    const { from } = this.#options;
    const node = frame.tasks[0]?.node.path;
    throw new Error(
      `after ${nameOf(from)} inline nodes form an endless loop, and ${node} is one of them`,
    );
  }

  /** Runs a node as far as it comes. */
  #attempt(frame: Frame, task: Task): void {
    if (task.writes !== null) return;
    const { node } = task;
    if (node.graph !== null) {
      task.writes = this.#attemptGraph(frame, task, node.graph);
      return;
    }
    const { answered, config: own } = this.#options;
    if (node.kind === "role" && !answered.has(task)) return;
    const config = node.kind === "role" ? answered.get(task) : own;
    task.writes = this.#writesOf(frame, task, run(node, inputOf(frame, task), config), config);
  }

  #attemptGraph(frame: Frame, task: Task, shape: Shape): readonly Write[] | null {
    const { config } = this.#options;
    try {
      task.frame ??= this.begin(shape, inputOf(frame, task));
      if (!this.settle(task.frame)) return null;
      return this.#writesOf(frame, task, task.frame.values(shape.outputs), config);
    } catch (thrown) {
      // A command to the graph around ends the subgraph in the middle of its superstep.
      if (!(thrown instanceof ToParent)) throw thrown;
      return this.#writesOf(frame, task, { ...thrown.command, graph: undefined }, config);
    } finally {
      if (task.frame?.tasks.length === 0) task.frame = null;
    }
  }

  #writesOf(frame: Frame, task: Task, answer: unknown, config: unknown): readonly Write[] {
    const { node } = task;
    const commands = [answer].flat().filter(isCommand);
    for (const command of commands) checkTarget(command, node);
    const writes: Write[] = updatesOf(answer)
      .filter(([name]) => node.outputs.has(name))
      .map(([set, value]) => ({ set, value }));
    const targets: unknown[] = [
      ...(isSend(answer) ? [answer] : commands.flatMap(({ goto }) => [goto ?? []].flat())),
      ...node.edges,
    ];
    const ways = targets.flatMap((target) => wayTo(target, node, frame.shape));
    writes.push(...ways, ...node.waits.map((seen) => ({ seen })));
    for (const [name, { path, ends }] of node.conditions) {
      const what = `the condition ${name} after ${nameOf(node.path)}`;
      const told = call(path, what, frame.valuesAfter(task, writes), config);
      for (const one of [told].flat()) {
        const target = isSend(one) || ends === undefined ? one : ends[String(one)];
        writes.push(...wayTo(target, node, frame.shape));
      }
    }
    return writes;
  }
}

/** The first argument of a node's function. */
export function inputOf(frame: Frame, { node, send }: Task): unknown {
  return send === null ? frame.values(node.inputs) : send.arg;
}

/** Calls the function of a node. */
export function run({ runnable, path }: NodeShape, input: unknown, config: unknown): unknown {
  return call(runnable, `node ${path}`, input, config);
}

function call(callable: Callable, what: string, input: unknown, config: unknown): unknown {
  const answer = callable.func?.(input, config);
  if (answer instanceof Promise)
    throw new Error(`${what} returned a promise; it must be pure and answer at once`);
  return answer;
}

/** A command that leaves its graph for the one around it. */
class ToParent extends Error {
  readonly command: Command;

  constructor(command: Command, path: string) {
    super(`node ${path} commands a parent graph, but its graph has no parent`);
    this.command = command;
  }
}

function checkTarget(command: Command, { path }: NodeShape): void {
  if (command.graph === undefined || command.graph === null) return;
  if (command.graph === PARENT) throw new ToParent(command, path);
  throw new Error(`node ${path} commands the graph ${String(command.graph)}; only PARENT is known`);
}

function updatesOf(answer: unknown): readonly (readonly [name: string, value: unknown])[] {
  // LangGraph takes every such answer for no update.
  if (!answer || isSend(answer)) return [];
  if (isCommand(answer)) return tuplesOf(answer.update);
  if (Array.isArray(answer) && answer.some(isCommand)) return answer.flatMap(updatesOf);
  if (typeof answer === "object" && !Array.isArray(answer)) return Object.entries(answer);
  throw new Error(
    `an update of the state is an object of its channels, not ${JSON.stringify(answer)}`,
  );
}

function tuplesOf(update: unknown): readonly (readonly [name: string, value: unknown])[] {
  if (typeof update !== "object" || update === null) return [];
  return Array.isArray(update) ? update : Object.entries(update);
}

function wayTo(target: unknown, from: NodeShape, { nodes }: Shape): readonly Write[] {
  if (target === END) return [];
  if (isSend(target)) {
    knownIn(nodes, target.node, from);
    return [sendTo(target)];
  }
  return [{ go: knownIn(nodes, target, from) }];
}

function sendTo({ node, args }: Send): Write {
  return { send: node, arg: args };
}

function knownIn(
  nodes: ReadonlyMap<string, NodeShape>,
  target: unknown,
  { path }: NodeShape,
): string {
  if (typeof target === "string" && nodes.has(target)) return target;
  throw new Error(
    `${nameOf(path)} leads to ${JSON.stringify(target)}, which is not the name of a node`,
  );
}
