// The state of a task in a graph. When one role of the outermost graph acts and nothing else is
// open, it is the channels of the graph. Otherwise it has the state of the role, and beside it,
// under one key, the graphs that are under way.

import type { Json, JsonObject } from "../../task/json.ts";
import { isJsonObject } from "../../task/json.ts";
import { Frame, type Surroundings, type Task, taskOf, type Write } from "./frame.ts";
import { asJson, fromJson } from "./messages.ts";
import type { NodeShape, Shape } from "./shape.ts";

/** The key of the state that is not a channel. */
export const GRAPH = "__graph__";

/** A role that must answer, in its graph. */
export interface Leaf {
  readonly frame: Frame;
  readonly task: Task;
}

/** A frame without the values of its channels, where these are the state of the task itself. */
interface SavedFrame extends JsonObject {
  readonly values: JsonObject | null;
  /** Pairs of a waiting edge and a node that it has seen. */
  readonly seen: readonly (readonly [index: number, names: readonly string[]])[];
  readonly deferred: readonly string[];
  readonly tasks: readonly SavedTask[];
}

interface SavedTask extends JsonObject {
  readonly node: string;
  /** A list with the argument of its Send, or an empty one where that is the state of the task. */
  readonly send: readonly Json[] | null;
  readonly frame: SavedFrame | null;
  readonly writes: readonly Json[] | null;
}

/** The roles that must answer, in the order of LangGraph's updates. */
export function leavesOf(frame: Frame): readonly Leaf[] {
  return frame.tasks.flatMap((task) => {
    if (task.frame !== null) return leavesOf(task.frame);
    return task.writes === null ? [{ frame, task }] : [];
  });
}

/** The state that a role finds: the argument of a Send, or the channels of its graph. */
export function stateOf({ frame, task }: Leaf): Json {
  const { node, send } = task;
  return send === null ? frame.state : argOf(send.arg, node);
}

function argOf(arg: unknown, { path }: NodeShape): Json {
  return asJson(arg, `the argument of a Send to ${path}`) ?? null;
}

/** The state of a task that waits for the answers of its branches. */
export function saveAll(root: Frame): JsonObject {
  return { [GRAPH]: saveFrame(root, null) };
}

/** The state of a task in which one role acts; null when its state is no object. */
export function saveLone(root: Frame, leaf: Leaf): JsonObject | null {
  const state = stateOf(leaf);
  if (!isJsonObject(state)) return null;
  const isPlain = leaf.frame === root && leaf.task.send === null && root.isAtOneNode;
  return isPlain ? state : { ...state, [GRAPH]: saveFrame(root, leaf.task) };
}

function saveFrame(frame: Frame, lone: Task | null): SavedFrame {
  const { values, seen, deferred } = frame.kept;
  const isState = frame.tasks.some((task) => task === lone && task.send === null);
  return {
    values: isState ? null : values,
    seen: [...seen],
    deferred,
    tasks: frame.tasks.map((task) => ({
      node: task.node.name,
      send: task.send === null ? null : task === lone ? [] : [argOf(task.send.arg, task.node)],
      frame: task.frame === null ? null : saveFrame(task.frame, lone),
      writes: task.writes?.map((write) => asJson(write, task.node.path)) ?? null,
    })),
  };
}

/** The graphs of a task again, from its state. `role` acts in it; null for a fork. */
export function load(shape: Shape, around: Surroundings, state: Json, role: string | null): Frame {
  const { [GRAPH]: saved, ...rest } = state as JsonObject;
  if (saved !== undefined) return loadFrame(shape, around, saved as SavedFrame, rest);
  const frame = new Frame(shape, around, { values: rest, seen: new Map(), deferred: [] });
  frame.tasks = [taskOf(nodeIn(shape, role ?? ""), null)];
  return frame;
}

function loadFrame(shape: Shape, around: Surroundings, saved: SavedFrame, rest: JsonObject): Frame {
  const { values, seen, deferred, tasks } = saved;
  const frame = new Frame(shape, around, { values: values ?? rest, seen: new Map(seen), deferred });
  frame.tasks = tasks.map(({ node: name, send, frame: inner, writes }) => {
    const node = nodeIn(shape, name);
    const arg = send === null ? null : send.length === 0 ? rest : (send[0] ?? null);
    const task = taskOf(node, send === null ? null : { arg: revived(arg, around) });
    if (inner !== null && node.graph !== null)
      task.frame = loadFrame(node.graph, around, inner, rest);
    task.writes = writes?.map((write) => revivedWrite(write as JsonObject, around)) ?? null;
    return task;
  });
  return frame;
}

function nodeIn({ nodes }: Shape, name: string): NodeShape {
  const node = nodes.get(name);
  if (node === undefined)
    throw new Error(`the state is in node ${name}, which the graph does not have`);
  return node;
}

/** A state with its messages, which stand in it like those of channels. */
export function revived(state: Json, { classes }: Surroundings): unknown {
  if (!isJsonObject(state)) return fromJson(state, classes);
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(state)) values[name] = fromJson(value, classes);
  return values;
}

function revivedWrite(write: JsonObject, around: Surroundings): Write {
  if ("set" in write)
    return { set: write["set"] as string, value: fromJson(write["value"] ?? null, around.classes) };
  if ("send" in write)
    return { send: write["send"] as string, arg: revived(write["arg"] ?? null, around) };
  return write as unknown as Write;
}
