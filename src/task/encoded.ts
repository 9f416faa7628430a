// A task as it came over the wire: its row and its history stay the JSON bytes that they arrived in until somebody reads
// them. A hop appends its own bytes, the next host gets the others untouched, and the sink copies them into the record.
//
// Its trail says which processes had it before, and how much of the history each of them has seen: that much need not be
// sent to them again (src/store).

import type { JsonObject } from "./json.ts";
import type { Branch, Hop, Task, Usage } from "./task.ts";

/** Sums over a history, carried along so that nobody has to read it for them. Times in milliseconds. */
export interface Totals {
  readonly hops: number;
  readonly queueMs: number;
  readonly runMs: number;
  readonly usage: Usage;
  /** Null where no model has a price. */
  readonly cost: number | null;
  /** Names of the models that answered. */
  readonly models: readonly string[];
}

const NO_TOTALS: Totals = {
  hops: 0,
  queueMs: 0,
  runMs: 0,
  usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
  cost: null,
  models: [],
};

/** Where a task's state is that cannot move: a sandbox, by the name of its table, and the process that has it. */
export type Pins = Readonly<Record<string, string>>;

/** What is the same for a task in every form. */
export type TaskHead = Omit<Task, "row" | "history">;

/** Where a process let go of the task: it has the row, and the history up to here. */
export interface Mark {
  readonly host: string;
  /** Names this point in the life of the task: drawn anew each time, since two executions of one hop differ. */
  readonly id: number;
  /** Length of the history then. */
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
  readonly totals: Totals;
  /** The row as JSON. */
  readonly rowBytes: Uint8Array;
  /** The hops as JSON, with commas between: a JSON list without its brackets. */
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
    this.rowBytes = rowBytes;
    this.historyBytes = historyBytes;
    this.totals = totals;
    this.trail = trail;
    this.pins = pins;
  }

  get row(): JsonObject {
    this.#row ??= JSON.parse(decoder.decode(this.rowBytes)) as JsonObject;
    return this.#row;
  }

  get history(): readonly Hop[] {
    this.#history ??= JSON.parse(`[${decoder.decode(this.historyBytes)}]`) as Hop[];
    return this.#history;
  }

  /** Lets go of what was read: the bytes are all that waits for its receiver need. */
  forgetParsed(): void {
    this.#row = null;
    this.#history = null;
  }

  /** The mark of the process that sends it as it is, the same each time. */
  markOf(host: string): Mark {
    this.#mark ??= {
      host,
      id: Math.floor(Math.random() * Number.MAX_SAFE_INTEGER),
      bytes: this.historyBytes.length,
    };
    return this.#mark;
  }

  /** The same task elsewhere, with what was read of it. */
  moved(role: string, state: Task["state"]): EncodedTask {
    return this.#copy({ ...this, role, state }, this.historyBytes, this.totals, this.#history);
  }

  /** The same task, with state in a sandbox of this process. */
  pinned(sandbox: string, host: string): EncodedTask {
    if (this.pins[sandbox] === host) return this;
    return this.#copy(this, this.historyBytes, this.totals, this.#history, {
      ...this.pins,
      [sandbox]: host,
    });
  }

  /** A task of its own that begins with what this one is. No process has had it, so its trail is empty. */
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

export function appendHop(task: Task, hop: Hop): Task {
  return task instanceof EncodedTask
    ? task.appended(hop)
    : { ...task, history: [...task.history, hop] };
}

export function moveTask(task: Task, role: string, state: Task["state"]): Task {
  return task instanceof EncodedTask ? task.moved(role, state) : { ...task, role, state };
}

export function branchTask(
  task: Task,
  changes: Required<Pick<Task, "branch" | "role" | "state" | "seed">>,
): Task {
  return task instanceof EncodedTask ? task.branched(changes) : { ...task, ...changes };
}

/** The same once more, as an attempt of its own. */
export function restartTask(task: Task): Task {
  const attempt = task.attempt + 1;
  return task instanceof EncodedTask ? task.branched({ attempt }) : { ...task, attempt };
}

/** Without reading the history. */
export function hopCount(task: Task): number {
  return task instanceof EncodedTask ? task.totals.hops : task.history.length;
}

/** Bytes of row and history on the wire; 0 for a task that never was on one. */
export function sizeOf(task: Task): number {
  return task instanceof EncodedTask ? task.rowBytes.length + task.historyBytes.length : 0;
}

export function totalsOf(task: Task): Totals {
  return task instanceof EncodedTask ? task.totals : addHops(NO_TOTALS, task.history);
}

export function encodeTask(task: Task): EncodedTask {
  if (task instanceof EncodedTask) return task;
  const historyBytes = encoder.encode(task.history.map((hop) => JSON.stringify(hop)).join(","));
  return new EncodedTask(task, encodeJson(task.row), historyBytes, totalsOf(task), [], {});
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const COMMA = 0x2c;

function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

function joinHops(before: Uint8Array, hop: Uint8Array): Uint8Array {
  if (before.length === 0) return hop;
  const joined = new Uint8Array(before.length + 1 + hop.length);
  joined.set(before);
  joined[before.length] = COMMA;
  joined.set(hop, before.length + 1);
  return joined;
}

function addHops(before: Totals, hops: readonly Hop[]): Totals {
  let { queueMs, runMs, cost, models } = before;
  let { requests, prompt_tokens, completion_tokens } = before.usage;
  for (const hop of hops) {
    queueMs += hop.queue_ms;
    runMs += hop.run_ms;
    if (hop.cost !== undefined) cost = (cost ?? 0) + hop.cost;
    if (hop.model !== undefined && !models.includes(hop.model)) models = [...models, hop.model];
    if (hop.usage === undefined) continue;
    requests += hop.usage.requests;
    prompt_tokens += hop.usage.prompt_tokens;
    completion_tokens += hop.usage.completion_tokens;
  }
  return {
    hops: before.hops + hops.length,
    queueMs,
    runMs,
    usage: { requests, prompt_tokens, completion_tokens },
    cost,
    models,
  };
}
