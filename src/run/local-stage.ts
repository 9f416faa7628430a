// The stage of a run in one process: it serves every role itself.

import { DRIVER_NAME } from "../driver/host-names.ts";
import { createMemoryFabric } from "../driver/memory-fabric.ts";
import type { DriverTransport, Fabric, Run } from "../driver/run.ts";
import { Watchdog } from "../host/watch/watchdog.ts";
import type { Permits } from "../model/context.ts";
import type { Replicated } from "../model/contract.ts";
import { MemoryTransport } from "../peer/memory-transport.ts";
import { randomId } from "../random-id.ts";
import type { Spent } from "../task/spent.ts";
import type { Log } from "../telemetry/log.ts";
import type { Recorder } from "../telemetry/recorder.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { createHost, createRoles } from "./create-host.ts";
import { dismissWorkers } from "./local-workers.ts";
import type { LivePlan, Plan } from "./plan.ts";
import { Spending } from "./spending.ts";
import type { Stage } from "./stage.ts";

export interface LocalStageOptions {
  readonly plan: Plan;
  /** The run directory. */
  readonly directory: string;
  /** True when models are asked, and their answers kept. A replay may ask none. */
  readonly asksModels: boolean;
  /** True when this process does nothing but this run. */
  readonly ownsProcess: boolean;
  /** Fails when another driver has the run directory; called before each change of it. */
  readonly confirm: () => Promise<void>;
  readonly permits: Permits;
  /** Called after each paid answer with all that this process has spent since it began. */
  readonly onSpent: (total: Spent) => void;
  readonly log: Log;
  readonly tracing: Tracing | null;
  readonly recorder: Recorder;
  /** Ends the opening. */
  readonly signal: AbortSignal;
}

export class LocalStage implements Stage {
  readonly transport: DriverTransport;
  readonly peer = null;
  readonly invitation = null;
  readonly #options: LocalStageOptions;
  readonly #live: LivePlan;
  readonly #writer: string;
  readonly #memory = new MemoryTransport();
  readonly #watchdog: Watchdog | undefined;

  private constructor(options: LocalStageOptions, live: LivePlan, writer: string) {
    this.#options = options;
    this.#live = live;
    this.#writer = writer;
    this.#watchdog = options.ownsProcess ? new Watchdog("run", DRIVER_NAME) : undefined;
    this.transport = {
      submit: (message) => this.#memory.submit(message),
      release: () => undefined,
    };
  }

  /** Opens sandboxes, models and agents. Workers of an earlier driver are told to go. */
  static async open(options: LocalStageOptions): Promise<LocalStage> {
    const { plan, directory, asksModels, confirm, permits, log, onSpent, recorder, signal } =
      options;
    await dismissWorkers(directory, log);
    // The name is unique among all processes that ever write to the journal.
    const writer = `${DRIVER_NAME}-${randomId(10)}`;
    const live = await plan.open({
      host: DRIVER_NAME,
      roles: Object.keys(plan.recipe.roles),
      permits,
      spend: new Spending(onSpent).add,
      recorder,
      answers: asksModels
        ? { directory, writer, confirm, isWriting: (other) => other === writer }
        : null,
      ...{ log, signal },
    });
    return new LocalStage(options, live, writer);
  }

  get models(): readonly Replicated[] {
    return this.#live.replicated;
  }

  isWriting(writer: string): boolean {
    return writer === this.#writer;
  }

  connect(run: Run): Fabric {
    const { plan, tracing, recorder } = this.#options;
    const { agents, sandboxes } = this.#live;
    const transport = this.#memory;
    const roles = createRoles(plan.recipe, agents);
    const host = createHost({
      ...{ plan, name: DRIVER_NAME, roles, transport, tracing, recorder },
      watchdog: this.#watchdog,
    });
    const settle = (rowId: string, trial: number) => sandboxes.release(rowId, trial);
    return createMemoryFabric({ transport, host, sink: run, settle });
  }

  async stop(): Promise<void> {
    this.#watchdog?.stop();
    await this.#live.stop();
  }
}
