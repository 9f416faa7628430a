// A graph on its way: its channels, and the nodes of the superstep that is under way. At the end of
// a superstep LangGraph's own channels take the updates of its nodes, in LangGraph's order, and the
// nodes of the next superstep follow from the edges. This file is LangGraph's `_applyWrites` and
// `_prepareNextTasks`, without its versions, threads and callbacks.

import { messageOf } from "../../error.ts";
import type { Json, JsonObject } from "../../task/json.ts";
import { asJson, fromJson, idsIn, type MessageClasses, settleIds } from "./messages.ts";
import type { NodeShape, Shape } from "./shape.ts";
import type { Channel } from "./state-graph.ts";

/** One effect of a node: on a channel, or on what runs in the next superstep. */
export type Write =
  | { readonly set: string; readonly value: unknown }
  | { readonly go: string }
  | { readonly send: string; readonly arg: unknown }
  /** The index of a waiting edge, for which this node has now run. */
  | { readonly seen: number };

/** A node at work in a superstep. */
export interface Task {
  readonly node: NodeShape;
  /** The argument of a Send in place of the state; null when an edge leads to the node. */
  readonly send: { readonly arg: unknown } | null;
  /** The graph in the node, from its start until its end. */
  frame: Frame | null;
  /** The effects of the node, once its function has answered. */
  writes: readonly Write[] | null;
}

/** The parts of a frame that outlive a superstep. */
export interface Kept {
  readonly values: JsonObject;
  /** The nodes that each waiting edge has seen, by the index of the edge. */
  readonly seen: ReadonlyMap<number, readonly string[]>;
  /** Nodes that run when nothing else is left to run. */
  readonly deferred: readonly string[];
}

/** Things that are the same for all graphs of a task. */
export interface Surroundings {
  readonly classes: MessageClasses;
  readonly seed: number;
}

export class Frame {
  readonly shape: Shape;
  tasks: readonly Task[] = [];
  readonly #around: Surroundings;
  readonly #channels = new Map<string, Channel>();
  readonly #seen: Map<number, Set<string>>;
  #deferred: Set<string>;

  constructor(shape: Shape, around: Surroundings, kept: Kept = NOTHING) {
    this.shape = shape;
    this.#around = around;
    for (const [name, channel] of shape.channels) {
      const value = kept.values[name];
      const saved = value === undefined ? undefined : fromJson(value, around.classes);
      this.#channels.set(name, channel.fromCheckpoint(saved));
    }
    this.#seen = new Map([...kept.seen].map(([index, names]) => [index, new Set(names)]));
    this.#deferred = new Set(kept.deferred);
  }

  /** The channels that have a value, as JSON. */
  get state(): JsonObject {
    const values: Record<string, Json> = {};
    for (const [name, channel] of this.#channels) {
      const value = channel.isAvailable() ? asJson(channel.checkpoint(), name) : undefined;
      if (value !== undefined) values[name] = value;
    }
    return values;
  }

  get kept(): Kept {
    const values = this.state;
    const seen = new Map([...this.#seen].map(([index, names]) => [index, [...names]]));
    return { values, seen, deferred: [...this.#deferred] };
  }

  /** True when one node is at work, and none waits. */
  get isAtOneNode(): boolean {
    return this.tasks.length === 1 && this.#seen.size === 0 && this.#deferred.size === 0;
  }

  /** The values of the named channels that have one; of all channels without names. */
  values(names: Iterable<string> = this.#channels.keys()): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel?.isAvailable() === true) values[name] = channel.get();
    }
    return values;
  }

  /** The values as they would be if one node alone had written. */
  valuesAfter(task: Task, writes: readonly Write[]): Record<string, unknown> {
    const values = this.values();
    for (const [name, updates] of updatesIn([{ writes }])) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      const saved = channel.isAvailable() ? channel.checkpoint() : undefined;
      const copy = channel.fromCheckpoint(saved);
      this.#update(copy, `${name} ${this.tasks.indexOf(task)}`, updates);
      if (copy.isAvailable()) values[name] = copy.get();
    }
    return values;
  }

  /** Ends the superstep and begins the next one. False when nothing is left to run. */
  advance(): boolean {
    const tasks = this.tasks;
    this.#takeUpdates(tasks);
    const sends: Task[] = [];
    const next = new Set<string>();
    for (const { node, writes } of tasks)
      for (const write of writes ?? []) {
        if ("send" in write) sends.push(taskOf(this.#node(write.send), { arg: write.arg }));
        else if ("go" in write) this.#lead(this.#node(write.go), next);
        else if ("seen" in write) this.#see(write.seen, node.name);
      }
    this.#endWaits(next, false);
    if (next.size === 0) this.#endWaits(this.#takeDeferred(next), true);
    const pulled = [...next].map((name) => taskOf(this.#node(name), null));
    pulled.sort((a, b) => (a.node.order < b.node.order ? -1 : 1));
    this.tasks = [...pulled, ...sends];
    return this.tasks.length > 0;
  }

  #takeUpdates(tasks: readonly Task[]): void {
    const updated = new Set<string>();
    for (const [name, values] of updatesIn(tasks)) {
      const channel = this.#channels.get(name);
      if (channel === undefined) continue;
      try {
        if (this.#update(channel, name, values) && channel.isAvailable()) updated.add(name);
      } catch (cause) {
        throw new Error(`state.${name}: ${messageOf(cause)}${writersOf(tasks, name)}`, { cause });
      }
    }
    // A channel that keeps its value for one superstep alone lets go of it.
    for (const [name, channel] of this.#channels)
      if (channel.isAvailable() && !updated.has(name)) channel.update([]);
  }

  #update(channel: Channel, place: string, values: readonly unknown[]): boolean {
    const before = channel.isAvailable() ? channel.get() : undefined;
    if (![before, ...values].some(isObject)) return channel.update(values);
    const known = idsIn([before, ...values]);
    const isUpdated = channel.update(values);
    if (channel.isAvailable()) settleIds(channel.get(), known, this.#around.seed, place);
    return isUpdated;
  }

  #node(name: string): NodeShape {
    return this.shape.nodes.get(name) as NodeShape;
  }

  #lead(node: NodeShape, next: Set<string>): void {
    if (node.isDeferred) this.#deferred.add(node.name);
    else next.add(node.name);
  }

  /** Notes for a waiting edge that one of its nodes has run. */
  #see(index: number, name: string): void {
    const seen = this.#seen.get(index) ?? new Set();
    this.#seen.set(index, seen.add(name));
  }

  /**
   * Leads to the nodes whose waiting edges have seen all. A node may have run twice in a superstep,
   * so this comes after all of them. A node that another edge leads to as well leaves its waiting
   * edges as they are, and of several waiting edges one begins anew, as in LangGraph.js.
   */
  #endWaits(next: Set<string>, isDeferred: boolean): void {
    const led = new Set<string>();
    for (const [index, names] of this.#seen) {
      const wait = this.shape.waits[index];
      if (wait?.to.isDeferred !== isDeferred || names.size !== wait.from.size) continue;
      names.add(HAS_LED);
      led.add(wait.to.name);
    }
    for (const name of led) {
      if (next.has(name)) continue;
      next.add(name);
      const first = this.shape.waits.findIndex(
        ({ to, from }, index) => to.name === name && this.#seen.get(index)?.size === from.size + 1,
      );
      this.#seen.delete(first);
    }
  }

  /** Leads to the nodes that have waited for everything else. */
  #takeDeferred(next: Set<string>): Set<string> {
    for (const name of this.#deferred) next.add(name);
    this.#deferred = new Set();
    return next;
  }
}

/** Stands beside the nodes that a waiting edge has seen, once it has led to its end. */
const HAS_LED = "";

const NOTHING: Kept = { values: {}, seen: new Map(), deferred: [] };

export function taskOf(node: NodeShape, send: Task["send"]): Task {
  return { node, send, frame: null, writes: null };
}

/** True for a value that may hold messages. */
function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

/** The updates of each channel, in the order of the nodes. */
function updatesIn(tasks: readonly Pick<Task, "writes">[]): Map<string, unknown[]> {
  const updates = new Map<string, unknown[]>();
  for (const { writes } of tasks)
    for (const write of writes ?? []) {
      if (!("set" in write)) continue;
      const values = updates.get(write.set);
      if (values === undefined) updates.set(write.set, [write.value]);
      else values.push(write.value);
    }
  return updates;
}

/** The nodes that wrote a channel in one superstep, for an error; empty for one node. */
function writersOf(tasks: readonly Task[], name: string): string {
  const writers = tasks.filter(({ writes }) =>
    writes?.some((write) => "set" in write && write.set === name),
  );
  const names = writers.map(({ node }) => node.path);
  return names.length < 2 ? "" : ` ${names.join(" and ")} update it in one step: give it a reducer`;
}
