// The stage on which the tasks of a run are played: this process, or separate hosts. A stage is
// opened before the run begins and makes its fabric.

import type { DriverTransport, Fabric, Run } from "../driver/run.ts";
import type { Replicated } from "../model/contract.ts";
import type { Peer } from "../peer/peer.ts";

export interface Stage {
  readonly transport: DriverTransport;
  /** Models that this process asks, for metrics. */
  readonly models: readonly Replicated[];
  /** The driver among its peers; null in one process. */
  readonly peer: Pick<Peer, "broker" | "server"> | null;
  /** The message that tells the user how to add hosts; null for none. */
  readonly invitation: string | null;
  /** True when the process of that name lives and may write to the journal. */
  isWriting(writer: string): boolean;
  /** Makes the fabric that carries the tasks of the run. */
  connect(run: Run): Fabric;
  stop(): Promise<void>;
}
