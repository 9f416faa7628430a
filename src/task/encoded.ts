// A task as it came over the wire. Its row and its history stay the JSON bytes that they arrived in
// until code reads them. A hop appends its own bytes, the next host gets the older ones untouched,
// and the sink copies all of them into the record.
//
// The trail says which processes had the task before, and how much of the history each of them has
// seen. The sender leaves that part out when it sends the task to them again (src/peer/store.ts).

import { markedJson, parseMarked } from "./exact.ts";
import type { JsonObject } from "./json.ts";
import type { Branch, Hop, Task } from "./task.ts";
import { addHops, modelsIn, NO_TOTALS, type Totals } from "./totals.ts";

/**
 * Places of state that cannot move: from the name of a sandbox's table to the process that has it.
 */
export type Pins = Readonly<Record<string, string>>;

/** The members of a task that are the same in every form. */
export type TaskHead = Omit<Task, "row" | "history">;

/** A point at which a process passed the task on. It has the row, and the history up to there. */
export interface Mark {
  readonly host: string;
  /** A random name of this point: two executions of one hop differ, and so must their marks. */
  readonly id: number;
  /** The length of the history at that point. */
  readonly bytes: number;
}

export class EncodedTask implements Task {
  readonly rowId: string;
  readonly trial: number;
  readonly seed: number;
  readonly attempt: number;
  readonly role: string;
  readonly state: Task["state"];
  readonly admittedAt: number;
  readonly trace: string | null;
  readonly branch?: Branch;
  readonly mayRepeat: boolean;
  readonly totals: Totals;
  /** The row as JSON. */
  readonly rowBytes: Uint8Array;
  /** The hops as JSON with commas between them: a JSON list without its brackets. */
  readonly historyBytes: Uint8Array;
  /** The latest mark of each process that had the task. */
  readonly trail: readonly Mark[];
  readonly pins: Pins;
  #row: JsonObject | null = null;
  #history: readonly Hop[] | null = null;
  #mark: Mark | null = null;

  constructor(
    head: TaskHead,
    rowBytes: Uint8Array,
    historyBytes: Uint8Array,
    totals: Totals,
    trail: readonly Mark[],
    pins: Pins,
  ) {
    this.rowId = head.rowId;
    this.trial = head.trial;
    this.seed = head.seed;
    this.attempt = head.attempt;
    this.role = head.role;
    this.state = head.state;
    this.admittedAt = head.admittedAt;
    this.trace = head.trace;
    if (head.branch !== undefined) this.branch = head.branch;
    this.mayRepeat = head.mayRepeat ?? false;
    this.rowBytes = rowBytes;
    this.historyBytes = historyBytes;
    this.totals = totals;
    this.trail = trail;
    this.pins = pins;
  }

  get row(): JsonObject {
    this.#row ??= parseMarked(decoder.decode(this.rowBytes)) as JsonObject;
    return this.#row;
  }

  get history(): readonly Hop[] {
    this.#history ??= parseMarked(`[${decoder.decode(this.historyBytes)}]`) as Hop[];
    return this.#history;
  }

  /** Frees the parsed row and history. A task that waits for its receiver needs its bytes alone. */
  forgetParsed(): void {
    this.#row = null;
    this.#history = null;
  }

  /** The mark of the process that sends the task as it is now; the same mark on every call. */
  markOf(host: string): Mark {
    this.#mark ??= {
      host,
      id: Math.floor(Math.random() * Number.MAX_SAFE_INTEGER),
      bytes: this.historyBytes.length,
    };
    return this.#mark;
  }

  /** The task with another role and state. It keeps what was parsed. */
  moved(role: string, state: Task["state"]): EncodedTask {
    return this.#copy({ ...this, role, state }, this.historyBytes, this.totals, this.#history);
  }

  /** The task with a note that `host` has its state in `sandbox`. */
  pinned(sandbox: string, host: string): EncodedTask {
    if (this.pins[sandbox] === host) return this;
    return this.#copy(this, this.historyBytes, this.totals, this.#history, {
      ...this.pins,
      [sandbox]: host,
    });
  }

  /** The task with a note that its next steps may have been done before. */
  repeated(): EncodedTask {
    return this.#copy({ ...this, mayRepeat: true }, this.historyBytes, this.totals, this.#history);
  }

  /**
   * A new task that begins with this one's content. No process has had it, so its trail is empty.
   */
  branched(changes: Partial<TaskHead>): EncodedTask {
    return new EncodedTask(
      { ...this, ...changes },
      this.rowBytes,
      this.historyBytes,
      this.totals,
      [],
      this.pins,
    );
  }

  appended(hop: Hop): EncodedTask {
    const history = this.#history === null ? null : [...this.#history, hop];
    return this.#copy(
      this,
      joinHops(this.historyBytes, encodeJson(hop)),
      addHops(this.totals, [hop]),
      history,
    );
  }

  #copy(
    head: TaskHead,
    historyBytes: Uint8Array,
    totals: Totals,
    history: readonly Hop[] | null,
    pins = this.pins,
  ): EncodedTask {
    const copy = new EncodedTask(head, this.rowBytes, historyBytes, totals, this.trail, pins);
    copy.#row = this.#row;
    copy.#history = history;
    return copy;
  }
}

/** The task with one more hop in its history. */
export function appendHop(task: Task, hop: Hop): Task {
  return task instanceof EncodedTask
    ? task.appended(hop)
    : { ...task, history: [...task.history, hop] };
}

/** The task on its way to another role. */
export function moveTask(task: Task, role: string, state: Task["state"]): Task {
  return task instanceof EncodedTask ? task.moved(role, state) : { ...task, role, state };
}

/** The same task with another seed, for a step that must not repeat an earlier answer. */
export function withSeed(task: Task, seed: number): Task {
  return task instanceof EncodedTask ? task.branched({ seed }) : { ...task, seed };
}

/** A branch of a task: it begins with the row and the history of the task. */
export function branchTask(
  task: Task,
  changes: Required<Pick<Task, "branch" | "role" | "state" | "seed">>,
): Task {
  return task instanceof EncodedTask ? task.branched(changes) : { ...task, ...changes };
}

/** The task with a note that its next steps may have been done before. */
export function repeatTask(task: Task): Task {
  if (task.mayRepeat === true) return task;
  return task instanceof EncodedTask ? task.repeated() : { ...task, mayRepeat: true };
}

/** The same task as its next attempt. */
export function restartTask(task: Task): Task {
  const attempt = task.attempt + 1;
  return task instanceof EncodedTask ? task.branched({ attempt }) : { ...task, attempt };
}

/** The length of the history, which an encoded task knows without parsing it. */
export function hopCount(task: Task): number {
  return task instanceof EncodedTask ? task.totals.hops : task.history.length;
}

/** Bytes of row and history on the wire; 0 for a task that was never encoded. */
export function sizeOf(task: Task): number {
  return task instanceof EncodedTask ? task.rowBytes.length + task.historyBytes.length : 0;
}

/** Names of the models that answered, each once. */
export function modelsOf(task: Task): readonly string[] {
  return task instanceof EncodedTask ? task.totals.models : modelsIn(task.history);
}

export function totalsOf(task: Task): Totals {
  return task instanceof EncodedTask ? task.totals : addHops(NO_TOTALS, task.history);
}

export function encodeTask(task: Task): EncodedTask {
  if (task instanceof EncodedTask) return task;
  const historyBytes = encoder.encode(task.history.map((hop) => markedJson(hop)).join(","));
  return new EncodedTask(task, encodeJson(task.row), historyBytes, totalsOf(task), [], {});
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const COMMA = 0x2c;

function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(markedJson(value));
}

function joinHops(before: Uint8Array, hop: Uint8Array): Uint8Array {
  if (before.length === 0) return hop;
  const joined = new Uint8Array(before.length + 1 + hop.length);
  joined.set(before);
  joined[before.length] = COMMA;
  joined.set(hop, before.length + 1);
  return joined;
}
