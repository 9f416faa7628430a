// A simulated cluster: real brokers, a real coordinator and real rules, in virtual time on a
// network that drops, delays, doubles and reorders, under hosts and a driver that are killed,
// frozen and cut off from each other. Everything that happens follows from the seed.

import type { CensusPhase } from "../../src/driver/census.ts";
import { Coordinator } from "../../src/driver/coordinator.ts";
import { InFlight } from "../../src/driver/in-flight.ts";
import { Forks } from "../../src/host/forks.ts";
import { nextMessage, type Rule } from "../../src/orchestrator/advance.ts";
import {
  done,
  fork,
  type Orchestrator,
  type RemoteOrchestrator,
  type ToRole,
  to,
} from "../../src/orchestrator/contract.ts";
import { Broker } from "../../src/peer/broker.ts";
import type { HostId, Load, Member } from "../../src/peer/member.ts";
import { type Beat, followList, type ListVersion } from "../../src/peer/membership.ts";
import { type Batch, keyOf, type TaskKey } from "../../src/peer/parcel.ts";
import { Routing } from "../../src/peer/routing.ts";
import { failTask } from "../../src/task/failure.ts";
import type { Json } from "../../src/task/json.ts";
import type { Later } from "../../src/task/later.ts";
import { createRandom } from "../../src/task/seed.ts";
import type { Ending, EndMessage, Hop, Message, Task } from "../../src/task/task.ts";

export interface Scenario {
  readonly seed: number;
  readonly delivery: "retry" | "at-most-once";
  readonly hosts: number;
  readonly tasks: number;
  readonly inFlight: number;
  /** The number of rows that kill every host that works on them. */
  readonly poison: number;
  /** The share of rows that go several ways at once somewhere on their way. */
  readonly forkRate: number;
  /** The share of requests that are dropped, themselves or their answers, and that arrive twice. */
  readonly dropRate: number;
  readonly doubleRate: number;
  /** Virtual milliseconds with faults, and the mean time between two faults. */
  readonly troubleMs: number;
  readonly faultEveryMs: number;
  readonly faults: readonly Fault[];
  /** Virtual milliseconds of a step in the mean. */
  readonly stepMs?: number;
  /** True when the rule is in another process. */
  readonly decidesLater?: boolean;
  /** A rule in place of the usual one, and the hops of a row with it. */
  readonly graph?: {
    readonly orchestrator: Orchestrator;
    readonly hopsOf: (hops: number) => number;
  };
  /** Virtual milliseconds of a task from its admission; no limit by default. */
  readonly taskTimeoutMs?: number;
  readonly maxAttempts?: number;
}
export type Fault =
  | "kill"
  | "kill-two"
  | "kill-driver"
  | "kill-all"
  | "freeze"
  | "cut"
  | "cut-one-way"
  | "drain"
  | "stick"
  | "lie";

export interface Outcome {
  /** The record of each task: the attempt that was written, and how it ended. */
  readonly records: ReadonlyMap<
    TaskKey,
    {
      readonly status: Ending["status"];
      readonly attempt: number;
      readonly hops: number;
      readonly code: string | null;
    }
  >;
  readonly doubled: readonly TaskKey[];
  /** Turns that were begun more than once, whether or not anything was paid for. */
  readonly begunAgain: readonly string[];
  /** Turns that were begun again after they were finished, each with the process that did so. */
  readonly paidTwice: readonly string[];
  /** Turns that two living processes did at the same time. */
  readonly paidAtOnce: readonly string[];
  /** Tasks that ended well with other hops than their rows ask for. */
  readonly misrouted: readonly TaskKey[];
  readonly virtualMs: number;
  readonly deaths: number;
  readonly restarts: number;
  readonly fenced: number;
  readonly wronglyAccused: readonly HostId[];
  /** Counted by the processes that live at the end. */
  readonly redelivered: number;
  readonly duplicates: number;
  readonly left: { readonly held: number; readonly sent: number; readonly inFlight: number };
  /** Null when the run ended by itself. */
  readonly stuck: string | null;
}

const ROLES = ["a", "b", "c"];
const LIE = "no record";
const LATENCY_MS = 5;
const TIMEOUT_MS = 400;
const BEAT_MS = 100;
const SILENCE_MS = 1000;
const TICK_MS = 50;
const STEP_MS = 30;
const LOOK_MS = 20;
const LIMIT_MS = 600_000;
const GRACE_MS = 20_000;
const EXPIRE_GRACE_MS = 45_000;

/** Rows go round the roles for a few hops; a poison row kills at its second. */
const rule: Rule = {
  orchestrator: {
    start: (row) => (row["forks"] === 0 ? fork(branchesOf(0), 0) : to("a", 0)),
    next: (state, _result, { row }) => {
      // A branch takes two steps.
      if (typeof state === "string")
        return state.length > 2 ? done({ score: state.length }) : to("c", `${state}.`);
      const hop = (state as number) + 1;
      if (hop >= (row["hops"] as number)) return done();
      return hop === row["forks"]
        ? fork(branchesOf(hop), hop)
        : to(ROLES[hop % ROLES.length] as string, hop);
    },
    join: (state, ended, { row }) => {
      const left = ended.filter((branch) => branch === null).length;
      // Some rows take the first two that come.
      if (left > (row["early"] === true ? 1 : 0)) return null;
      const hop = (state as number) + 1;
      return hop >= (row["hops"] as number) ? done() : to(ROLES[hop % ROLES.length] as string, hop);
    },
  },
  roles: new Set(ROLES),
  maxHops: 100,
};

/** True when the process looks in the journal before it does the step. */
function looksUp({ looksUp }: Process, { attempt, mayRepeat = false }: Task): boolean {
  return looksUp || attempt > 1 || mayRepeat;
}

/** Names a turn by what its request to a model would hold. */
function turnOf({ rowId, seed, history, state, role }: Task): string {
  return `${rowId} ${seed} ${history.length} ${JSON.stringify(state)} ${role}`;
}

function branchesOf(hop: number): ToRole[] {
  return ["a", "b", "a"].map((role, index) => to<Json>(role, `${hop}${index}`));
}

interface Process {
  readonly id: HostId;
  readonly member: Member;
  readonly broker: Broker;
  readonly routing: Routing;
  /** Its clock is off by this much. */
  readonly skewMs: number;
  alive: boolean;
  /** Events that wait while the process is frozen; null while it is not. */
  frozen: (() => void)[] | null;
  known: ListVersion | null;
  joining: string;
  leaving: boolean;
  /** True for a process that began when the journal had answers: it looks up every turn. */
  readonly looksUp: boolean;
  /** True for a host that beats and takes messages, and does nothing else. */
  isStuck: boolean;
  /** Its hops are no records. */
  lies: boolean;
  readonly queue: Message[];
  rule: Rule;
  busy: number;
  readonly flushing: Set<HostId>;
  readonly requests: Map<HostId, number>;
}

export class World {
  readonly scenario: Scenario;
  readonly random: () => number;
  #now = 0;
  #order = 0;
  /** A heap by time, then by order of planning. */
  readonly #events: { at: number; order: number; run: () => void }[] = [];
  readonly #processes = new Map<HostId, Process>();
  #driver: DriverLife | null = null;
  #driverLives = 0;
  #hostLives = 0;
  #stuck = 0;
  readonly #cuts = new Set<string>();
  #lastHosts = new Set<HostId>();
  readonly #rows: readonly Row[];
  readonly records = new Map<
    TaskKey,
    { status: Ending["status"]; attempt: number; hops: number; code: string | null }
  >();
  readonly doubled: TaskKey[] = [];
  /** The latest attempt of each task that left a driver. */
  readonly #admissions = new Map<TaskKey, number>();
  /** The number of times that each turn was begun. */
  readonly #begun = new Map<string, number>();
  /** The finished turns, as in the journal of a run. */
  readonly #journal = new Set<string>();
  /** The processes that do a turn now. */
  readonly #turns = new Map<string, Set<Process>>();
  readonly #paidTwice: string[] = [];
  readonly #paidAtOnce: string[] = [];
  deaths = 0;
  /** Number of hosts that the driver has shut out. */
  fenced = 0;
  /** Hosts that were taken for stuck and were not. */
  readonly wronglyAccused: HostId[] = [];
  restarts = 0;

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.random = createRandom(scenario.seed);
    this.#rows = Array.from({ length: scenario.tasks }, (_, i) => ({
      id: String(i),
      // A poison row lives to its second step.
      hops: (i < scenario.poison ? 3 : 1) + Math.floor(this.random() * 8),
      isPoison: i < scenario.poison,
      forks:
        i >= scenario.poison && this.random() < scenario.forkRate
          ? Math.floor(this.random() * 4)
          : -1,
      early: this.random() < 0.3,
    }));
  }

  async run(): Promise<Outcome> {
    this.#startDriver();
    for (let i = 0; i < this.scenario.hosts; i++) this.#startHost(i);
    if (this.scenario.faults.length > 0)
      this.#after(this.scenario.faultEveryMs, () => this.#fault());
    let stuck: string | null = null;
    while (!this.#settled()) {
      const event = this.#pop();
      if (event === undefined || event.at > LIMIT_MS) {
        stuck = this.#describe();
        break;
      }
      this.#now = event.at;
      event.run();
      // Promises that wait for a decision are followed to their end.
      if (this.scenario.decidesLater === true)
        await new Promise((resolve) => setImmediate(resolve));
    }
    let held = 0;
    let sent = 0;
    let redelivered = 0;
    let duplicates = 0;
    for (const { broker, alive, isStuck } of this.#processes.values()) {
      if (!alive || isStuck) continue;
      held += broker.counts.held;
      sent += broker.counts.sent;
      redelivered += broker.counts.redelivered;
      duplicates += broker.counts.duplicates;
    }
    return {
      records: this.records,
      doubled: this.doubled,
      begunAgain: [...this.#begun].flatMap(([turn, count]) => (count > 1 ? [turn] : [])),
      paidTwice: this.#paidTwice,
      paidAtOnce: this.#paidAtOnce,
      misrouted: this.#rows
        .filter((row) => !this.#isWhole(row))
        .map(({ id }) => keyOf({ rowId: id, trial: 0 })),
      virtualMs: this.#now,
      deaths: this.deaths,
      restarts: this.restarts,
      fenced: this.fenced,
      wronglyAccused: this.wronglyAccused,
      redelivered,
      duplicates,
      left: { held, sent, inFlight: this.#driver?.inFlight.size ?? 0 },
      stuck,
    };
  }

  #isWhole({ id, hops, forks, early }: Row): boolean {
    const record = this.records.get(keyOf({ rowId: id, trial: 0 }));
    if (record === undefined || record.status !== "ok") return true;
    const { graph } = this.scenario;
    if (graph !== undefined) return record.hops === graph.hopsOf(hops);
    // In place of one hop, three branches of two.
    const isForked = forks === 0 || (forks > 0 && forks < hops);
    const more = isForked ? (early ? [3, 5] : [5]) : [0];
    return more.includes(record.hops - hops);
  }

  #settled(): boolean {
    if (
      this.records.size < this.#rows.length ||
      this.#driver === null ||
      this.#driver.inFlight.size > 0
    )
      return false;
    for (const { alive, isStuck, broker } of this.#processes.values())
      if (alive && !isStuck && !broker.idle) return false;
    return true;
  }

  #describe(): string {
    const lines = [...this.#processes.values()]
      .filter(({ alive }) => alive)
      .map(
        ({ id, leaving, isStuck, broker, routing }) =>
          `${id}${leaving ? " leaving" : ""}${isStuck ? " stuck" : ""} ${JSON.stringify(broker.counts)} knows ${routing.members.map((m) => m.id)}`,
      );
    const missing = this.#rows.filter(({ id }) => !this.records.has(`0:${id}`)).map(({ id }) => id);
    return `missing rows ${missing.join(",")}; in flight ${[...(this.#driver?.inFlight.keys() ?? [])]}\n${lines.join("\n")}`;
  }

  // — The rule —

  /** The rule of a process. In another process than the rule's own, decisions come later. */
  #ruleOf(process: () => Process): Rule {
    const { graph, decidesLater } = this.scenario;
    const own = graph?.orchestrator ?? (rule.orchestrator as Orchestrator);
    if (decidesLater !== true) return { ...rule, orchestrator: own };
    const later = <T>(decision: T): Promise<T> =>
      new Promise((resolve) => {
        this.#after(this.#exponential(LATENCY_MS), () =>
          this.#inside(process(), () => resolve(decision)),
        );
      });
    const { start, next, join } = own;
    const orchestrator: RemoteOrchestrator = {
      isRemote: true,
      start: (row, context) => later(start(row, context)),
      next: (state, result, context) => later(next(state, result, context)),
      join: (state, ended, context) => later(join?.(state, ended, context) ?? null),
    };
    return { ...rule, orchestrator };
  }

  // — Time —

  #after(ms: number, run: () => void): void {
    const event = { at: this.#now + ms, order: this.#order++, run };
    const heap = this.#events;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as typeof event;
      if (above.at < event.at || (above.at === event.at && above.order < event.order)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  #pop() {
    const heap = this.#events;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return first;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      const [left, right] = [heap[child], heap[child + 1]];
      if (
        left !== undefined &&
        right !== undefined &&
        (right.at < left.at || (right.at === left.at && right.order < left.order))
      )
        child++;
      const below = heap[child] as typeof last;
      if (last.at < below.at || (last.at === below.at && last.order < below.order)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
    return first;
  }

  #exponential(meanMs: number): number {
    return -Math.log(1 - this.random()) * meanMs;
  }

  /** Runs in a process: not when it is dead, later when it is frozen. */
  #inside(process: Process, run: () => void): void {
    if (!process.alive) return;
    if (process.frozen !== null) process.frozen.push(() => this.#inside(process, run));
    else run();
  }

  #every(process: Process, ms: number, run: () => void): void {
    this.#after(ms * (0.8 + 0.4 * this.random()), () => {
      if (!process.alive) return;
      this.#inside(process, run);
      this.#every(process, ms, run);
    });
  }

  // — Processes —

  #createProcess(
    id: HostId,
    roles: readonly string[],
    deliver: (process: Process, message: Message) => void,
  ): Process {
    const routing = new Routing();
    const skewMs = Math.floor(this.random() * 1e6);
    const process: Process = {
      id,
      member: { id, name: id, roles, isSink: roles.length === 0, address: id, leaving: false },
      routing,
      skewMs,
      alive: true,
      frozen: null,
      known: null,
      joining: "",
      leaving: false,
      looksUp: this.#journal.size > 0,
      isStuck: false,
      lies: false,
      queue: [],
      rule,
      busy: 0,
      flushing: new Set(),
      requests: new Map(),
      broker: new Broker({
        self: id,
        delivery: this.scenario.delivery,
        maxAttempts: this.scenario.maxAttempts ?? 3,
        capacity: roles.length === 0 ? Number.POSITIVE_INFINITY : 30,
        routing,
        deliver: (message) =>
          this.#after(0, () => this.#inside(process, () => deliver(process, message))),
        wake: (to) => this.#wake(process, to),
        now: () => this.#now + skewMs,
        taskTimeoutMs: this.scenario.taskTimeoutMs ?? Number.POSITIVE_INFINITY,
        onOverdue: (host) => this.#overdue(process, host),
      }),
    };
    this.#processes.set(id, process);
    this.#every(process, TICK_MS, () => process.broker.tick());
    return process;
  }

  #startHost(index: number): void {
    // Every role has hosts. Most hosts serve one role, and some serve all.
    const roles = index % 4 === 3 ? ROLES : [ROLES[index % ROLES.length] as string];
    const process = this.#createProcess(
      `h${index}.${this.#hostLives++}`,
      roles,
      (self, message) => {
        if (self.isStuck) return;
        if (message.kind === "end") forks.end(message);
        else if (message.kind === "fork") forks.begin(message.task);
        else {
          self.queue.push(message);
          this.#work(self);
        }
      },
    );
    const { broker } = process;
    const own = this.#ruleOf(() => process);
    process.rule = own;
    const forks = new Forks(own, {
      self: process.id,
      submit: (message) => broker.submit(message),
      begin: (task) => broker.begin(task),
      handOn: (done, message) => broker.handOn(done, message),
      settle: (branch) => broker.settle(branch),
    });
    this.#every(process, BEAT_MS, () => this.#beat(process));
  }

  /** The driver shuts out a host that it has found to be stuck. */
  #overdue({ id, isStuck }: Process, host: HostId): void {
    const stuck = this.#processes.get(host);
    // A host that was shut out does not hear what became of its tasks.
    if (!isStuck && stuck?.isStuck !== true) this.wronglyAccused.push(host);
    const life = this.#driver;
    if (life?.process.id !== id || stuck === undefined) return;
    life.coordinator.fence(host);
    this.fenced++;
  }

  #work(process: Process): void {
    if (process.isStuck) return;
    while (process.busy < 4) {
      const message = process.queue.shift();
      if (message === undefined) return;
      const task = process.broker.begin(message.task);
      if (task === null) continue;
      process.busy++;
      this.#step(process, task);
    }
  }

  #step(process: Process, task: Task): void {
    if (this.#isDoneElsewhere(process, task)) {
      this.#after(LOOK_MS, () => this.#inside(process, () => this.#step(process, task)));
      return;
    }
    const isKnown = this.#beginTurn(process, task);
    this.#after(isKnown ? 0 : this.#exponential(this.scenario.stepMs ?? STEP_MS), () =>
      this.#inside(process, () => {
        if (process.isStuck) return;
        if (task.row["poison"] === true && task.history.length === 1) {
          this.#kill(process);
          return;
        }
        const hop: Hop = {
          hop: task.history.length,
          role: task.role,
          host: process.id,
          at: "",
          queue_ms: 0,
          run_ms: 0,
          result: process.lies ? LIE : null,
        };
        this.#endTurn(process, task);
        const message = nextMessage(process.rule, task, hop);
        const handOn = (decided: Message): void => {
          process.busy--;
          process.broker.handOn(task, decided);
          this.#work(process);
        };
        if (message instanceof Promise) void message.then(handOn);
        else handOn(message);
      }),
    );
  }

  /** True when the process looks the turn up, and waits for another one that does it now. */
  #isDoneElsewhere(process: Process, task: Task): boolean {
    const turn = turnOf(task);
    return (
      looksUp(process, task) &&
      !this.#journal.has(turn) &&
      [...(this.#turns.get(turn) ?? [])].some(
        // A stuck host is not waited for without end (src/model/answers/claims.ts).
        ({ id, alive, isStuck }) =>
          !isStuck && process.routing.has(id) && (alive || id !== process.id),
      )
    );
  }

  /** Returns true when the turn's answer is in the journal and the process looks it up. */
  #beginTurn(process: Process, task: Task): boolean {
    const turn = turnOf(task);
    const isFinished = this.#journal.has(turn);
    this.#begun.set(turn, (this.#begun.get(turn) ?? 0) + 1);
    if (isFinished && looksUp(process, task)) return true;
    const others = [...(this.#turns.get(turn) ?? [])].filter(({ alive }) => alive);
    if (isFinished) this.#paidTwice.push(`${turn} on ${process.id}`);
    else if (others.length > 0)
      this.#paidAtOnce.push(`${turn} on ${others.map(({ id }) => id)} and ${process.id}`);
    this.#turns.set(turn, new Set([...others, process]));
    return false;
  }

  #endTurn(process: Process, task: Task): void {
    const turn = turnOf(task);
    this.#journal.add(turn);
    this.#turns.get(turn)?.delete(process);
  }

  #kill(process: Process): void {
    if (!process.alive) return;
    process.alive = false;
    this.deaths++;
    const index = Number(/^h(\d+)/.exec(process.id)?.[1]);
    this.#after(50 + this.#exponential(300), () => this.#startHost(index));
  }

  // — The driver —

  #startDriver(): void {
    // The run directory has these notes.
    const before = new Map(this.#admissions);
    const life: DriverLife = {
      inFlight: new InFlight({
        rule: this.#ruleOf(() => life.process),
        delivery: this.scenario.delivery,
        maxAttempts: this.scenario.maxAttempts ?? 3,
        attemptBefore: (rowId, trial) => before.get(keyOf({ rowId, trial })) ?? 0,
        clock: () => this.#now + life.process.skewMs,
      }),
      next: 0,
      tokens: this.scenario.inFlight,
      isAdmitting: false,
      early: [],
      process: null as never,
      coordinator: null as never,
    };
    const process = this.#createProcess(`driver.${this.#driverLives++}`, [], (self, message) =>
      this.#sink(life, self, message),
    );
    life.process = process;
    life.coordinator = new Coordinator({
      self: process.member,
      broker: process.broker,
      routing: process.routing,
      tasks: {
        keys: () => life.inFlight.keys(),
        adopt: (key, attempt) => {
          if (life.inFlight.has(key) || this.records.has(key)) return false;
          life.inFlight.adopt(key, attempt);
          life.tokens--;
          return true;
        },
        orphan: (key) => this.#orphan(life, key),
      },
      expected: this.#lastHosts,
      formingMs: 2000,
      silenceMs: SILENCE_MS,
      censusPatienceMs: 500,
      firstCensus: this.#driverLives * 1_000_000,
      ask: (host, number, phase) => this.#askCensus(life, host, number, phase),
      watcher: {
        joined: () => this.#noteHosts(life),
        left: () => this.#noteHosts(life),
        formed: () => {
          life.isAdmitting = true;
          for (const message of life.early.splice(0)) this.#sink(life, process, message);
          this.#admit(life);
        },
        orphaned: () => undefined,
      },
      now: () => this.#now + process.skewMs,
    });
    this.#driver = life;
    this.#every(process, TICK_MS, () => life.coordinator.tick());
    this.#every(process, 1000, () => this.#expire(life));
    // A census finds deaths that no beat reports, as in a real driver when no task has ended for
    // long.
    this.#every(process, 5000, () => life.coordinator.recount());
  }

  /** Ends tasks whose holder is stuck and whose sender is gone, as a real driver does. */
  #expire({ process, inFlight }: DriverLife): void {
    const { taskTimeoutMs = Number.POSITIVE_INFINITY } = this.scenario;
    const before = this.#now + process.skewMs - taskTimeoutMs - EXPIRE_GRACE_MS;
    const life = this.#driver;
    if (life === null || life.inFlight !== inFlight) return;
    for (const end of inFlight.overdue(before, "late")) this.#send(life, end);
  }

  #noteHosts(life: DriverLife): void {
    // The run directory has this list. A driver that has not formed keeps the one that it found.
    if (life.isAdmitting)
      this.#lastHosts = new Set(life.coordinator.hosts.map(({ member }) => member.id));
  }

  #admit(life: DriverLife): void {
    while (life.next < this.#rows.length) {
      const row = this.#rows[life.next] as Row;
      const key = keyOf({ rowId: row.id, trial: 0 });
      const admitted = {
        rowId: row.id,
        trial: 0,
        row: { hops: row.hops, poison: row.isPoison, forks: row.forks, early: row.early },
        seed: Number(row.id),
        attempt: 1,
        admittedAt: this.#now + life.process.skewMs,
        trace: null,
      };
      const state = this.records.has(key) ? "known" : life.inFlight.readRow(admitted);
      if (state === "new" && life.tokens <= 0) return;
      life.next++;
      if (state === "known") continue;
      if (state === "new") {
        life.tokens--;
        this.#dispatch(life, life.inFlight.admit(admitted));
      } else {
        this.restarts++;
        this.#dispatch(life, state);
      }
    }
  }

  #orphan(life: DriverLife, key: TaskKey): boolean {
    if (!life.inFlight.has(key)) return false;
    const message = life.inFlight.orphan(key);
    if (message === null) return true;
    this.restarts++;
    this.#dispatch(life, message);
    return true;
  }

  #dispatch(life: DriverLife, message: Later<Message>): void {
    if (message instanceof Promise) void message.then((decided) => this.#send(life, decided));
    else this.#send(life, message);
  }

  #send(life: DriverLife, message: Message): void {
    if (message.kind !== "end") {
      this.#admissions.set(keyOf(message.task), message.task.attempt);
      life.process.broker.submit(message);
      return;
    }
    const { task, ending } = message;
    life.inFlight.remove(task);
    this.#record(life, keyOf(task), {
      status: ending.status,
      attempt: task.attempt,
      hops: 0,
      code: ending.error?.code ?? null,
    });
  }

  #sink(life: DriverLife, process: Process, message: Message): void {
    if (message.kind !== "end") throw new Error("a step reached the sink");
    if (!life.isAdmitting) {
      life.early.push(message);
      return;
    }
    const { task, ending } = this.#checked(life, message);
    const state = life.inFlight.judge({ kind: "end", task, ending });
    if (typeof state !== "string") {
      this.restarts++;
      this.#dispatch(life, state);
    }
    if (state !== "record" || !life.inFlight.remove(task)) {
      process.broker.complete(message);
      return;
    }
    // A record is written after a moment; a driver that dies before that has not written it.
    this.#after(this.#exponential(2), () =>
      this.#inside(process, () => {
        this.#record(life, keyOf(task), {
          status: ending.status,
          attempt: task.attempt,
          hops: task.history.length,
          code: ending.error?.code ?? null,
        });
        process.broker.complete(message);
      }),
    );
  }

  /** Shuts out a host that hands over something that is not a record, as a real driver does. */
  #checked(life: DriverLife, message: EndMessage): EndMessage {
    const { task } = message;
    const liar = task.history.find(({ result }) => result === LIE)?.host;
    if (liar === undefined) return message;
    life.coordinator.fence(liar);
    this.fenced++;
    const error = { code: "wire_invalid", message: LIE, role: null, hop: null } as const;
    return { ...message, ending: failTask(task, error).ending };
  }

  #record(
    life: DriverLife,
    key: TaskKey,
    record: { status: Ending["status"]; attempt: number; hops: number; code: string | null },
  ): void {
    if (this.records.has(key)) this.doubled.push(key);
    this.records.set(key, record);
    life.tokens++;
    this.#admit(life);
  }

  // — The network —

  #isCut(from: HostId, to: HostId): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** Carries one way; returns false when it does not arrive. */
  #carry(from: HostId, to: HostId, arrive: () => void): boolean {
    if (this.#isCut(from, to) || this.random() < this.scenario.dropRate) return false;
    this.#after(this.#exponential(LATENCY_MS), arrive);
    if (this.random() < this.scenario.doubleRate)
      this.#after(this.#exponential(LATENCY_MS * 20), arrive);
    return true;
  }

  /** Carries a request and its answer. `failed(false)` means that it cannot have arrived. */
  #request<A>(
    from: Process,
    to: HostId,
    serve: (target: Process) => A,
    answered: (answer: A) => void,
    failed: (maybe: boolean) => void,
  ): void {
    const target = this.#processes.get(to);
    let settled = false;
    const settle = (run: () => void): void =>
      this.#inside(from, () => {
        if (settled) return;
        settled = true;
        run();
      });
    if (target === undefined || !target.alive) {
      this.#after(this.#exponential(LATENCY_MS), () => settle(() => failed(false)));
      return;
    }
    this.#carry(from.id, to, () =>
      this.#inside(target, () => {
        const answer = serve(target);
        this.#carry(to, from.id, () => settle(() => answered(answer)));
      }),
    );
    this.#after(TIMEOUT_MS, () => settle(() => failed(true)));
  }

  #wake(process: Process, to: HostId): void {
    if (process.flushing.has(to)) return;
    process.flushing.add(to);
    this.#after(this.random() * 2, () => {
      process.flushing.delete(to);
      this.#inside(process, () => this.#flush(process, to));
    });
  }

  #flush(process: Process, to: HostId): void {
    while ((process.requests.get(to) ?? 0) < 2) {
      const batch = process.broker.take(
        to,
        1 + Math.floor(this.random() * 4),
        Number.POSITIVE_INFINITY,
      );
      if (batch === null) return;
      this.#count(process, to, 1);
      const over = (): void => {
        this.#count(process, to, -1);
        this.#wake(process, to);
      };
      this.#request(
        process,
        to,
        (target) =>
          target.broker.receive(process.id, copyOf(batch, target.skewMs - process.skewMs)),
        (receipt) => {
          process.broker.delivered(to, batch, receipt);
          over();
        },
        (maybe) => {
          process.broker.undelivered(to, batch, maybe);
          this.#count(process, to, -1);
        },
      );
    }
  }

  #count(process: Process, to: HostId, by: number): void {
    process.requests.set(to, (process.requests.get(to) ?? 0) + by);
  }

  #beat(process: Process): void {
    const life = this.#driver;
    if (life === null) return;
    const load: Load = Object.fromEntries(
      process.member.roles.map((role) => [
        role,
        { busy: process.busy, queued: process.queue.length, slots: 4 },
      ]),
    );
    const beat: Beat = {
      member: { ...process.member, leaving: process.leaving },
      load,
      known: process.known,
    };
    this.#request(
      process,
      life.process.id,
      () => life.coordinator.beat(beat),
      ({ state, joining, list }) => {
        // It begins another life.
        if (state === "rejoin" && process.lies) {
          this.#kill(process);
          return;
        }
        if (
          list !== null &&
          (process.known?.driver !== list.version.driver ||
            process.known.version < list.version.version)
        ) {
          process.known = list.version;
          followList(list, process.routing, process.broker);
        }
        if (process.joining !== "" && joining !== process.joining) process.broker.repeat();
        process.joining = joining;
      },
      () => undefined,
    );
  }

  #askCensus(life: DriverLife, host: HostId, number: number, phase: CensusPhase): void {
    this.#request(
      life.process,
      host,
      ({ broker }) => {
        if (phase === "begin") broker.beginCensus(number);
        return phase === "begin" ? null : broker.collectCensus(number);
      },
      (answer) => life.coordinator.counted(host, number, phase, answer),
      () => undefined,
    );
  }

  // — Trouble —

  #fault(): void {
    if (this.#now > this.scenario.troubleMs) {
      this.#cuts.clear();
      return;
    }
    const fault = this.scenario.faults[
      Math.floor(this.random() * this.scenario.faults.length)
    ] as Fault;
    const hosts = [...this.#processes.values()].filter(
      ({ id, alive }) => alive && id.startsWith("h"),
    );
    const pick = (): Process | undefined => hosts[Math.floor(this.random() * hosts.length)];
    const victim = pick();
    if (fault === "kill" && victim !== undefined) this.#kill(victim);
    if (fault === "kill-two")
      for (const one of [victim, pick()]) if (one !== undefined) this.#kill(one);
    if (fault === "kill-driver" || fault === "kill-all") this.#killDriver();
    if (fault === "kill-all") for (const host of hosts) this.#kill(host);
    if (fault === "freeze") this.#freeze(this.random() < 0.2 ? this.#driver?.process : victim);
    if (fault === "drain" && victim !== undefined) this.#drain(victim);
    // Each role keeps a host.
    if (fault === "stick" && victim !== undefined && this.#stuck < this.scenario.hosts / 4) {
      victim.isStuck = true;
      this.#stuck++;
    }
    if (fault === "lie" && victim !== undefined) victim.lies = true;
    if (fault === "cut" || fault === "cut-one-way") {
      const others = [...this.#processes.values()].filter(({ alive }) => alive);
      const other = others[Math.floor(this.random() * others.length)];
      if (victim !== undefined && other !== undefined)
        this.#cut(victim.id, other.id, fault === "cut");
    }
    this.#after(this.#exponential(this.scenario.faultEveryMs), () => this.#fault());
  }

  #killDriver(): void {
    const life = this.#driver;
    if (life === null) return;
    life.process.alive = false;
    this.deaths++;
    this.#driver = null;
    this.#after(100 + this.#exponential(1500), () => this.#startDriver());
  }

  #freeze(process: Process | undefined): void {
    if (process === undefined || process.frozen !== null) return;
    process.frozen = [];
    this.#after(this.#exponential(1500), () => {
      const waiting = process.frozen ?? [];
      process.frozen = null;
      for (const run of waiting) run();
    });
  }

  #cut(a: HostId, b: HostId, both: boolean): void {
    const ways = both ? [`${a}>${b}`, `${b}>${a}`] : [`${a}>${b}`];
    for (const way of ways) this.#cuts.add(way);
    this.#after(this.#exponential(2000), () => {
      for (const way of ways) this.#cuts.delete(way);
    });
  }

  /**
   * SIGTERM: hands over what waits, finishes what runs, says goodbye when nothing is left or its
   * grace is over.
   */
  #drain(process: Process): void {
    const deadline = this.#now + GRACE_MS;
    process.leaving = true;
    process.broker.leave();
    this.#every(process, TICK_MS, () => {
      if (!process.alive) return;
      const queue = process.queue.splice(0);
      process.queue.push(...process.broker.relocate(queue));
      this.#work(process);
      const isDone = process.broker.idle && process.busy === 0;
      // Two that leave may wait for each other: each has what only the other could take.
      if (!isDone && this.#now < deadline) return;
      const life = this.#driver;
      if (life === null) return;
      this.#request(
        process,
        life.process.id,
        () => life.coordinator.remove(process.id, "left"),
        () => {
          if (!process.alive) return;
          process.alive = false;
          const index = Number(/^h(\d+)/.exec(process.id)?.[1]);
          this.#after(this.#exponential(500), () => this.#startHost(index));
        },
        () => undefined,
      );
    });
  }
}

interface DriverLife {
  readonly inFlight: InFlight;
  /** The next row to admit. */
  next: number;
  tokens: number;
  isAdmitting: boolean;
  /** Ends that came before the driver had formed. */
  early: Message[];
  process: Process;
  coordinator: Coordinator;
}

/** A batch as it arrives: it shares nothing with the one that was sent. */
/** The batch as its receiver gets it, whose clock is off by `skewMs` from the sender's. */
function copyOf(batch: Batch, skewMs: number): Batch {
  return {
    ...batch,
    parcels: batch.parcels.map((parcel) => {
      const { task: sent } = parcel.message;
      const task: Task = { ...sent, admittedAt: sent.admittedAt + skewMs };
      return { ...parcel, message: { ...parcel.message, task } };
    }),
  };
}

interface Row {
  readonly id: string;
  readonly hops: number;
  readonly isPoison: boolean;
  /** The hop at which the task forks; -1 for never. */
  readonly forks: number;
  readonly early: boolean;
}
