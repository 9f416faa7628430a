// A host's membership in a run. The host tells the driver regularly that it lives (a beat), follows
// the list of hosts in the answer, and waits when the driver is gone. It finds a driver that comes
// back, or a new one that continues the run, at the address of the first one.

import type { Control } from "../peer/control.ts";
import type { Member } from "../peer/member.ts";
import { followList, type ListVersion } from "../peer/membership.ts";
import type { Peer } from "../peer/peer.ts";
import type { Spent } from "../task/spent.ts";
import type { DriverCalls } from "./driver-calls.ts";
import { Patience } from "./patience.ts";

const BEAT_MS = 250;
const BEAT_TIMEOUT_MS = 2000;
/** A silence of the driver is told after this time. */
const SILENT_MS = 5000;

export interface MembershipOptions {
  /** Name of the run that this host joined. Its directory may be another run's one day. */
  readonly run: string;
  readonly host: Omit<Member, "leaving" | "isSink">;
  readonly peer: Peer;
  readonly driver: DriverCalls;
  /** Answers with what this process has spent on models since it began. */
  readonly spent: () => Spent;
  /** The host waits this long for a driver that is gone. */
  readonly patienceMs: number;
  /** Called when the driver is lost, or back. */
  readonly onDriver: (news: DriverNews) => void;
  /** A silence of this length is news. */
  readonly silentMs?: number;
  /** Tells, while the driver is silent, whether the files of the run say that it is complete. */
  readonly isComplete: () => Promise<boolean>;
  /** Called with the models that have a rate at the driver. */
  readonly onRated: (models: readonly string[]) => void;
  /** Called for each task that has ended, on any host. */
  readonly onEnded: (rowId: string, trial: number) => void;
}

/**
 * `silent`: the driver has not answered for some seconds. `stopped`: it ended before the run was
 * complete. `back`: it answers again, or the next driver of the run does.
 */
export type DriverNews = "silent" | "stopped" | "back";

/**
 * `over`: this host is not needed any more. `gone`: the driver was silent for longer than the
 * host's patience. `rejoin`: the driver takes no part of this life of the host.
 */
export type MembershipEnd = "over" | "gone" | "rejoin";

export class Membership {
  readonly ended: Promise<MembershipEnd>;
  readonly #options: MembershipOptions;
  readonly #end: (why: MembershipEnd) => void;
  #isOver = false;
  #known: ListVersion | null = null;
  #joining = "";
  readonly #patience: Patience;
  /** The driver is lost, as far as the owner of this host was told. */
  #isLost = false;
  #leaving = false;
  #beating: Promise<void>;
  #stopped = false;

  constructor(options: MembershipOptions) {
    const { promise, resolve } = Promise.withResolvers<MembershipEnd>();
    this.ended = promise;
    this.#end = resolve;
    this.#options = options;
    this.#patience = new Patience(options.patienceMs, performance.now());
    this.#beating = this.#beatOn();
  }

  /** True when the driver has said that the run is over. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Tells the driver with the next beats that this host takes nothing new. */
  leave(): void {
    this.#leaving = true;
  }

  /** Ends the beats and says goodbye. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#beating;
    const { driver, host, spent } = this.#options;
    await driver
      .call("leave", "leave", { id: host.id, why: "left", spent: spent() }, "done", BEAT_TIMEOUT_MS)
      .catch(() => undefined);
  }

  async #beatOn(): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      await this.#beat();
      const pauseMs = BEAT_MS - (performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, pauseMs)));
    }
  }

  async #beat(): Promise<void> {
    const { run, host, spent, peer, driver, onRated, onEnded } = this.#options;
    const beat = {
      run,
      host: { ...host, roles: [...host.roles], leaving: this.#leaving },
      load: peer.load,
      known: this.#known,
      bytes: peer.links.bytesSent,
      spent: spent(),
    };
    const heard = await driver
      .call("beat", "beat", beat, "heard", BEAT_TIMEOUT_MS)
      .catch(() => null);
    if (this.#stopped) return;
    if (heard === null) {
      // A host that was cut off when the run ended was not told of the end.
      if (await this.#options.isComplete()) this.#finish();
      else if (this.#patience.ask(performance.now()) === "give up") this.#end("gone");
      else this.#saySilent();
      return;
    }
    this.#patience.heard(performance.now());
    onRated(heard.rated);
    for (const [rowId, trial] of heard.ended) onEnded(rowId, trial);
    this.#take(heard);
  }

  #take(heard: Control<"heard">): void {
    if (heard.state === "over") this.#finish();
    else if (heard.state === "rejoin") this.#end("rejoin");
    else if (heard.state === "stopped") this.#lose("stopped");
    else {
      if (this.#isLost) this.#options.onDriver("back");
      this.#isLost = false;
      this.#follow(heard);
    }
  }

  #saySilent(): void {
    const { silentMs = SILENT_MS } = this.#options;
    if (this.#patience.silentMs >= silentMs) this.#lose("silent");
  }

  #lose(news: "silent" | "stopped"): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#options.onDriver(news);
  }

  #finish(): void {
    this.#isOver = true;
    this.#end("over");
  }

  #follow({ list, joining }: Control<"heard">): void {
    const { peer } = this.#options;
    const isNew =
      list !== null &&
      (this.#known?.driver !== list.version.driver || this.#known.version < list.version.version);
    if (isNew) {
      this.#known = list.version;
      followList(list, peer.routing, peer.broker);
    }
    // A host that has just begun has nothing from its peers.
    if (this.#joining !== "" && this.#joining !== joining) peer.broker.repeat();
    this.#joining = joining;
  }
}
