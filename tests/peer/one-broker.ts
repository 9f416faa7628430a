// One broker for tests, with its routing and a clock that tests set, and short ways to write what
// its peers send it.

import { Broker, type BrokerOptions } from "../../src/peer/broker.ts";
import type { HostId, Member } from "../../src/peer/member.ts";
import { followList } from "../../src/peer/membership.ts";
import type { Batch, Parcel } from "../../src/peer/parcel.ts";
import { Routing } from "../../src/peer/routing.ts";
import type { Branch, EndMessage, ForkMessage, Message, Task } from "../../src/task/task.ts";

/** The process under test. It serves role `here`, and no other host does. */
export const SELF = "self";
const DRIVER = member("driver", [], { isSink: true });

export function member(
  id: HostId,
  roles: readonly string[],
  { isSink = false, leaving = false } = {},
): Member {
  return { id, name: id, roles, isSink, address: `http://${id}`, leaving };
}

export function createBroker(options: Partial<BrokerOptions> = {}) {
  const clock = { now: 100_000 };
  const routing = new Routing();
  const delivered: Message[] = [];
  const woken: HostId[] = [];
  const broker = new Broker({
    self: SELF,
    delivery: "retry",
    maxAttempts: 2,
    capacity: 100,
    routing,
    deliver: (message) => delivered.push(message),
    wake: (to) => woken.push(to),
    now: () => clock.now,
    ...options,
  });
  let version = 0;
  /** This process and the driver are always members. */
  const members = (...others: readonly Member[]): void => {
    const list = [DRIVER, member(SELF, ["here"]), ...others];
    version++;
    followList({ version: { driver: "driver", version }, members: list }, routing, broker);
  };
  const receive = (from: HostId, ...parcels: readonly Parcel[]) =>
    broker.receive(from, batch({ parcels }));
  const take = (to: HostId): Batch | null => broker.take(to, 100, 1e9);
  /** Takes the next batch for a peer, which takes all of it. */
  const deliver = (to: HostId): Batch => {
    const taken = take(to);
    if (taken === null) throw new Error(`there is nothing for ${to}`);
    broker.delivered(to, taken, { refused: [] });
    return taken;
  };
  return { broker, routing, clock, delivered, woken, members, receive, take, deliver };
}

export function batch(parts: Partial<Batch>): Batch {
  return { parcels: [], released: [], starting: [], ...parts };
}

export function parcel(seq: number, message: Message, crashes = 0, strikes = 0): Parcel {
  return { seq, message, crashes, strikes };
}

interface TaskParts {
  readonly rowId?: string;
  readonly role?: string;
  readonly hops?: number;
  readonly attempt?: number;
  readonly branch?: Branch;
  readonly mayRepeat?: boolean;
}

export function task({
  rowId = "1",
  role = "here",
  hops = 0,
  attempt = 1,
  branch,
  mayRepeat,
}: TaskParts = {}): Task {
  const hop = { role: "x", host: "h", at: "", queue_ms: 0, run_ms: 0, result: null };
  return {
    rowId,
    trial: 0,
    row: {},
    seed: 1,
    attempt,
    role,
    state: null,
    history: Array.from({ length: hops }, (_, index) => ({ hop: index, ...hop })),
    admittedAt: 0,
    trace: null,
    ...(branch === undefined ? {} : { branch }),
    ...(mayRepeat === undefined ? {} : { mayRepeat }),
  };
}

export function step(parts: TaskParts = {}): Message {
  return { kind: "step", task: task(parts) };
}

export function fork(parts: TaskParts = {}): ForkMessage {
  return { kind: "fork", task: task({ role: "", ...parts }) };
}

export function end(parts: TaskParts = {}): EndMessage {
  const ending = {
    status: "ok",
    stopReason: "completed",
    score: null,
    outcome: null,
    error: null,
  } as const;
  return { kind: "end", task: task(parts), ending };
}

/** Parcels in short: number, row, crashes, strikes. */
export function brief(taken: Batch | null): string[] {
  return (taken?.parcels ?? []).map(
    ({ seq, message, crashes, strikes }) =>
      `${seq} ${message.kind} ${message.task.rowId}/${message.task.attempt} ${crashes}.${strikes}`,
  );
}
