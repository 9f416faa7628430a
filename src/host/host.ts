// A host runs agents. A message arrives and waits for a slot of its role; the agent does the step;
// the rule decides where the task goes; and the host sends the next message. It then remembers
// nothing of the task, because the state of a task travels with it.

import type { AgentAnswer } from "../agent/contract.ts";
import { MatrixError } from "../error.ts";
import { maskedValue } from "../known-secrets.ts";
import { nextMessage, type Rule } from "../orchestrator/advance.ts";
import type { RoleLoad } from "../peer/member.ts";
import { keyOf } from "../peer/parcel.ts";
import type { HostTransport, Receiver } from "../peer/transport.ts";
import type { Clock } from "../task/clock.ts";
import { appendHop, hopCount } from "../task/encoded.ts";
import { failTask, taskErrorOf } from "../task/failure.ts";
import { isoTime, roundMs } from "../task/record.ts";
import { isTooLarge } from "../task/size.ts";
import type { Hop, Message, Task } from "../task/task.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { Forks } from "./forks.ts";
import type { HopMeter } from "./hop-meter.ts";
import { pauseBeforeRetry } from "./retry-step.ts";
import type { Role } from "./role.ts";
import { Step } from "./step.ts";
import { type Owner, runOwned } from "./stray-error.ts";
import type { Watchdog } from "./watch/watchdog.ts";

/** Pause between checks of deadlines: a timeout may be this late. */
const DEADLINE_CHECK_MS = 50;
/** Pause between looks at the queues, which may hold thousands of tasks. */
const QUEUE_CHECK_MS = 1000;

export interface HostOptions {
  /** Name of the host in records and logs. */
  readonly id: string;
  readonly roles: readonly Role[];
  readonly rule: Rule;
  /** Longest time of a task, from its admission (`run.timeout`). */
  readonly taskTimeoutMs: number;
  readonly transport: HostTransport;
  readonly clock: Clock;
  readonly tracing: Tracing | null;
  /** Takes the times of steps. */
  readonly meter?: HopMeter;
  /** Is told which steps run. */
  readonly watchdog?: Watchdog | undefined;
  /** The models that roles ask. */
  readonly models?: ReadonlyMap<string, AskedModel>;
}

/** A model by its id in records, and its provider. */
export interface AskedModel {
  readonly id: string;
  readonly provider: string;
}

/** The end of a step, as its span tells it. */
interface Traced {
  readonly hop?: Hop;
  readonly asked?: AgentAnswer["asked"] | undefined;
  /** The code of the error that ended the step. */
  readonly error?: string;
}

export class Host implements Receiver {
  readonly #options: HostOptions;
  readonly #roles: ReadonlyMap<string, Role>;
  /** Steps whose agent has not answered yet. */
  readonly #running = new Set<Step>();
  /** Failed steps that keep their slot and are tried again, with the time of the next try. */
  readonly #pausing = new Map<Step, number>();
  readonly #forks: Forks;
  readonly #deadlines: NodeJS.Timeout;
  /** The time at which the queues are looked through for tasks that are late. */
  #queuesDueAt = 0;
  readonly #failStep = (step: Step, thrown: unknown): void => this.#fail(step, thrown);
  #stopped = false;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#forks = new Forks(options.rule, options.transport);
    this.#roles = new Map(options.roles.map((role) => [role.name, role]));
    this.#deadlines = setInterval(() => this.#expire(), DEADLINE_CHECK_MS);
    this.#deadlines.unref();
  }

  /** True when no step runs or waits, and no task waits for branches. */
  get idle(): boolean {
    return (
      this.#forks.size === 0 &&
      [...this.#roles.values()].every(({ busy, queued }) => busy + queued === 0)
    );
  }

  /** Takes every step that waits for a slot out of its queue. */
  takeWaiting(): Message[] {
    return [...this.#roles.values()]
      .flatMap((role) => role.takeWaiting())
      .map((task) => ({ kind: "step", task }));
  }

  /** Roles with their queues and slots. */
  get roles(): readonly RoleLoad[] {
    return this.#options.roles;
  }

  receive(messages: readonly Message[]): void {
    if (this.#stopped) return;
    const arrivedAt = this.#options.clock();
    for (const message of messages) {
      const { task } = message;
      if (message.kind === "end") {
        this.#forks.end(message);
        continue;
      }
      if (message.kind === "fork") {
        this.#forks.begin(task);
        continue;
      }
      const role = this.#roles.get(task.role);
      if (role === undefined)
        throw new Error(`bug: a message for ${task.role} reached host ${this.#options.id}`);
      role.push(task, arrivedAt);
      this.#drain(role);
    }
  }

  /** Ends every step at once. Their tasks are not handed on; a continued run starts them again. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#deadlines);
    for (const role of this.#roles.values()) role.takeWaiting();
    const reason = new MatrixError("agent_timeout", "the run was stopped");
    for (const step of this.#running) step.abort(reason);
    this.#running.clear();
    this.#pausing.clear();
  }

  /** Starts waiting steps while slots are free. */
  #drain(role: Role): void {
    if (role.draining) return;
    role.draining = true;
    for (let waiting = role.take(); waiting !== undefined; waiting = role.take())
      this.#begin(waiting.task, role, waiting.arrivedAt);
    role.draining = false;
  }

  #begin(queued: Task, role: Role, arrivedAt: number): void {
    const task = this.#options.transport.begin(queued);
    if (task === null) role.release();
    else this.#start(task, role, arrivedAt);
  }

  #start(task: Task, role: Role, arrivedAt: number, earlier?: Step): void {
    const step = new Step(task, role, arrivedAt, this.#options.clock(), earlier);
    if (step.startedAt >= this.#taskDeadline(task)) {
      this.#fail(step, taskTimeout(this.#options.taskTimeoutMs));
      return;
    }
    const { watchdog } = this.#options;
    let answer: AgentAnswer | Promise<AgentAnswer>;
    try {
      watchdog?.begin(step);
      const owner = new StepOwner(step, this.#failStep);
      answer = runOwned(owner, () => role.agent.run(task, step));
      watchdog?.returned();
    } catch (thrown) {
      watchdog?.returned();
      this.#fail(step, thrown);
      return;
    }
    if (answer instanceof Promise) this.#await(step, answer);
    else this.#succeed(step, answer);
  }

  #await(step: Step, answer: Promise<AgentAnswer>): void {
    this.#running.add(step);
    this.#options.watchdog?.keep(step);
    answer.then(
      (value) => this.#succeed(step, value),
      (thrown: unknown) => this.#fail(step, thrown),
    );
  }

  #succeed(step: Step, answer: AgentAnswer): void {
    if (!this.#settle(step)) return;
    const endedAt = this.#options.clock();
    const { task } = step;
    // Hops without a model have one object shape, which is the fastest to make and to serialise.
    const plain: Hop = {
      hop: hopCount(task),
      role: task.role,
      host: this.#options.id,
      at: isoTime(step.begunAt),
      queue_ms: roundMs(step.begunAt - step.arrivedAt),
      run_ms: roundMs(endedAt - step.begunAt),
      result: maskedValue(answer.result),
    };
    const { history } = step;
    const told = history === null ? plain : { ...plain, ...history };
    const hop = answer.model === undefined ? told : hopOf(told, answer);
    this.#trace(step, endedAt, { hop, asked: answer.asked });
    const message = nextMessage(this.#options.rule, task, hop, answer.stop ?? null);
    if (message instanceof Promise) void message.then((decided) => this.#handLater(step, decided));
    else this.#hand(step, message);
  }

  /** A task whose rule was asked when the host stopped stays where it is. */
  #handLater(step: Step, message: Message): void {
    if (!this.#stopped) this.#hand(step, message);
  }

  #fail(step: Step, thrown: unknown): void {
    if (!this.#settle(step)) return;
    const { task } = step;
    const now = this.#options.clock();
    const pauseMs = pauseBeforeRetry(step, thrown);
    if (pauseMs !== null && now + pauseMs < this.#taskDeadline(task)) {
      this.#pausing.set(step, now + pauseMs);
      return;
    }
    const error = taskErrorOf(thrown, task.role, hopCount(task));
    const hop = this.#failedHop(step, now, error.code);
    this.#trace(step, now, { ...(hop === null ? {} : { hop }), error: error.code });
    this.#hand(step, failTask(hop === null ? task : withFailedHop(task, hop), error));
  }

  /** The hop of a failed step that has something to tell: its tries, or answers that were paid. */
  #failedHop(step: Step, endedAt: number, error: string): Hop | null {
    const { task, begunAt, arrivedAt, history, paid } = step;
    if (history === null) return null;
    return {
      hop: hopCount(task),
      role: task.role,
      host: this.#options.id,
      at: isoTime(begunAt),
      queue_ms: roundMs(begunAt - arrivedAt),
      run_ms: roundMs(endedAt - begunAt),
      ...paid,
      ...history,
      error,
      result: null,
    };
  }

  /** False when the step was settled before. An agent may answer after its deadline. */
  #settle(step: Step): boolean {
    if (step.settled || this.#stopped) return false;
    step.settled = true;
    this.#running.delete(step);
    this.#options.watchdog?.drop(step);
    return true;
  }

  /** Hands the message on and gives the slot to the next step. */
  #hand(step: Step, message: Message): void {
    this.#options.transport.handOn(step.task, message);
    step.role.release();
    this.#drain(step.role);
  }

  #expire(): void {
    const now = this.#options.clock();
    for (const [step, dueAt] of this.#pausing) {
      if (now < dueAt) continue;
      this.#pausing.delete(step);
      this.#start(step.task, step.role, step.arrivedAt, step);
    }
    for (const step of this.#running) {
      const { task, role, startedAt } = step;
      const late = now >= startedAt + role.timeoutMs;
      if (!late && now < this.#taskDeadline(task)) continue;
      const error = late ? agentTimeout(role) : taskTimeout(this.#options.taskTimeoutMs);
      step.abort(error);
      this.#fail(step, error);
    }
    if (now >= this.#queuesDueAt) this.#expireQueues(now);
    for (const waiting of [...this.#forks.waiting]) {
      if (now < this.#taskDeadline(waiting.task)) continue;
      this.#forks.finish(
        waiting,
        failTask(waiting.task, taskErrorOf(taskTimeout(this.#options.taskTimeoutMs), null, null)),
      );
    }
  }

  /** Ends the tasks whose time is over before a slot was free for them. */
  #expireQueues(now: number): void {
    this.#queuesDueAt = now + QUEUE_CHECK_MS;
    const { taskTimeoutMs, transport } = this.#options;
    for (const role of this.#roles.values())
      for (const { task: queued } of role.takeOver((task) => now >= this.#taskDeadline(task))) {
        const task = transport.begin(queued);
        if (task === null) continue;
        const error = taskErrorOf(taskTimeout(taskTimeoutMs), task.role, hopCount(task));
        transport.handOn(task, failTask(task, error));
      }
  }

  #taskDeadline(task: Task): number {
    return task.admittedAt + this.#options.taskTimeoutMs;
  }

  #trace(step: Step, endedAt: number, { hop, asked, error }: Traced): void {
    const { tracing, id, meter, models } = this.#options;
    const { task, arrivedAt, begunAt } = step;
    meter?.record(task.role, begunAt - arrivedAt, endedAt - begunAt, error ?? "ok");
    if (tracing === null || task.trace === null) return;
    const asks = models?.get(task.role);
    const model = hop?.model ?? asks?.id;
    const provider = asks?.provider;
    tracing.hop(task.trace as string, {
      role: task.role,
      host: id,
      hop: hopCount(task),
      queuedAt: arrivedAt,
      startedAt: begunAt,
      endedAt,
      ...(model === undefined ? {} : { model }),
      ...(provider === undefined ? {} : { provider }),
      ...(asked === undefined ? {} : { asked }),
      ...(hop?.usage === undefined ? {} : { usage: hop.usage }),
      ...(error === undefined ? {} : { error }),
    });
  }
}

/** Names its step only when an error is told, for steps take microseconds. */
class StepOwner implements Owner {
  readonly #step: Step;
  readonly #failStep: (step: Step, thrown: unknown) => void;

  constructor(step: Step, failStep: (step: Step, thrown: unknown) => void) {
    this.#step = step;
    this.#failStep = failStep;
  }

  get role(): string {
    return this.#step.role.name;
  }

  get task(): string {
    return keyOf(this.#step.task);
  }

  fail(thrown: unknown): void {
    this.#failStep(this.#step, thrown);
  }
}

/** The task with the hop, which tells its unused answers only where the task has room for them. */
function withFailedHop(task: Task, hop: Hop): Task {
  const after = appendHop(task, hop);
  if (!isTooLarge(after, hop, 0)) return after;
  const { missed: _, ...bare } = hop;
  return appendHop(task, bare);
}

function hopOf(plain: Hop, { stop: _, asked: __, ...answer }: AgentAnswer): Hop {
  return { ...plain, ...answer };
}

function agentTimeout(role: Role): MatrixError {
  return new MatrixError(
    "agent_timeout",
    `${role.name} did not answer within ${role.timeoutMs} ms (roles.${role.name}.timeout)`,
  );
}

function taskTimeout(timeoutMs: number): MatrixError {
  return new MatrixError("task_timeout", `the task took longer than ${timeoutMs} ms (run.timeout)`);
}
