// Requests of hosts to the driver, other than batches and the census: to join, to be counted as
// living (a beat), for permits at models with a rate, to leave, and to take the lines of their
// logs. A host speaks for itself alone: its id is that of the connection, which the host has proved
// to be its own.

import { MatrixError } from "../error.ts";
import { fingerprintIn } from "../http/identity.ts";
import type { Route } from "../http/reception.ts";
import { type Control, decodeControl, encodeControl } from "../peer/control.ts";
import type { HostId, Load } from "../peer/member.ts";
import type { Spent } from "../task/spent.ts";
import type { Coordinator } from "./coordinator.ts";
import type { EndedTasks } from "./ended-tasks.ts";
import { HostNames, isDriverName, isSameKey } from "./host-names.ts";
import type { Rates } from "./rates.ts";

const CONTROL_BYTES_MAX = 256 * 2 ** 10;
const LOGS_BYTES_MAX = 2 * 2 ** 20;

/** The operations of the driver that requests of hosts lead to. */
export interface HostDesk {
  /** Answers a host that asks to join with the recipe, or with the reason why it may not. */
  welcome(join: Control<"join">): Control<"welcome">;
  /** Takes what a host has spent on models since it began. */
  spent(host: HostId, spent: Spent): void;
  logs(name: string, lines: Control<"logs">["lines"]): void;
  /** Answers a host of a replay with the record of a task. */
  recorded(task: Control<"recorded">): Promise<Control<"recording">>;
}

export interface HostCallsOptions {
  /** Identifies the run; every driver of the run has the same. */
  readonly run: string;
  readonly desk: HostDesk;
  readonly coordinator: Coordinator;
  readonly rates: Rates;
  readonly ended: EndedTasks;
}

export class HostCalls {
  readonly #options: HostCallsOptions;
  /** Bytes of request bodies that each host has sent to its peers. */
  readonly #bytesSent = new Map<HostId, number>();
  readonly #names: HostNames;

  constructor(options: HostCallsOptions) {
    this.#options = options;
    const { coordinator } = options;
    this.#names = new HostNames((id) => coordinator.hosts.some(({ member }) => member.id === id));
  }

  /** Bytes of request bodies that all hosts have sent. */
  get bytesSent(): number {
    return [...this.#bytesSent.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  get routes(): Record<string, Route> {
    return {
      join: route(CONTROL_BYTES_MAX, (body, from) => this.#join(body, from)),
      beat: route(CONTROL_BYTES_MAX, (body, from) => this.#beat(body, from)),
      permits: route(CONTROL_BYTES_MAX, (body) => this.#permits(body)),
      leave: route(CONTROL_BYTES_MAX, (body, from) => this.#leave(body, from)),
      logs: route(LOGS_BYTES_MAX, (body, from) => this.#logs(body, from)),
      recorded: route(CONTROL_BYTES_MAX, (body) => this.#recorded(body)),
    };
  }

  #join(body: Uint8Array, from: HostId): Uint8Array {
    const join = decodeControl("join", body);
    const { coordinator, desk } = this.#options;
    this.#names.note(from, join.name);
    // A host of another key is found dead by its silence, and not by what others say of it.
    if (join.replaces !== null && mayReplace(from, join.replaces))
      coordinator.remove(join.replaces, "died");
    return encodeControl("welcome", desk.welcome(join));
  }

  #beat(body: Uint8Array, from: HostId): Uint8Array {
    const { run, host, load, known, bytes, spent } = decodeControl("beat", body);
    const { coordinator, desk, rates, ended } = this.#options;
    // The host has an earlier recipe or other secrets, or a run that had this directory before.
    if (run !== this.#options.run) return encodeControl("heard", REJOIN);
    this.#bytesSent.set(from, bytes);
    this.#names.note(from, host.name);
    desk.spent(from, spent);
    const { state, joining, list } = coordinator.beat({
      member: { ...host, id: from, isSink: false },
      load: load as Load,
      known,
    });
    return encodeControl("heard", {
      state,
      joining,
      rated: [...rates.models],
      ended: ended.take(from),
      list:
        list === null
          ? null
          : {
              version: list.version,
              members: list.members.map((other) => ({ ...other, roles: [...other.roles] })),
            },
    });
  }

  async #permits(body: Uint8Array): Promise<Uint8Array> {
    const { model, ...wanted } = decodeControl("permits", body);
    return encodeControl("turns", { waits: [...(await this.#options.rates.ask(model, wanted))] });
  }

  #leave(body: Uint8Array, from: HostId): Uint8Array {
    const { id, why, spent } = decodeControl("leave", body);
    const { coordinator, desk } = this.#options;
    if (id !== from) throw new MatrixError("wire_invalid", `${from} speaks for ${id}`);
    desk.spent(from, spent);
    coordinator.remove(from, why);
    return encodeControl("done", null);
  }

  async #recorded(body: Uint8Array): Promise<Uint8Array> {
    const task = decodeControl("recorded", body);
    return encodeControl("recording", await this.#options.desk.recorded(task));
  }

  #logs(body: Uint8Array, from: HostId): Uint8Array {
    const { lines } = decodeControl("logs", body);
    const name = this.#names.nameOf(from);
    // The host keeps the lines, and sends them again after its next beat.
    if (name === null) throw new MatrixError("wire_invalid", `${from} has not joined`);
    this.#options.desk.logs(name, lines);
    return encodeControl("done", null);
  }
}

/** Spending of the driver is kept under its name, which any member could take as its id. */
function route(bytesMax: number, run: Route["run"]): Route {
  return {
    bytesMax,
    run: (body, from) => {
      if (isDriverName(from)) throw new MatrixError("wire_invalid", `${from} is no host`);
      return run(body, from);
    },
  };
}

/** Any member may use an id without a fingerprint, so such an id protects no host. */
function mayReplace(from: HostId, replaced: HostId): boolean {
  return fingerprintIn(replaced) === null || isSameKey(from, replaced);
}

const REJOIN: Control<"heard"> = {
  state: "rejoin",
  joining: "",
  rated: [],
  ended: [],
  list: null,
};
