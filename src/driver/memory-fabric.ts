// The fabric of a run in one process: one host with every role, and the sink, joined by the
// in-memory transport.

import { loadOf, type RoleLoad } from "../peer/member.ts";
import type { MemoryTransport } from "../peer/memory-transport.ts";
import type { Receiver } from "../peer/transport.ts";
import { DRIVER_NAME } from "./host-names.ts";
import type { Fabric } from "./run.ts";

export interface LocalHost extends Receiver {
  readonly roles: readonly RoleLoad[];
  stop(): void;
}

export interface MemoryFabricOptions {
  readonly transport: MemoryTransport;
  readonly host: LocalHost;
  /** Takes the ends of tasks. */
  readonly sink: Receiver;
  /** Drops what this process keeps for a task that has its record. */
  readonly settle: (rowId: string, trial: number) => void;
}

export function createMemoryFabric(options: MemoryFabricOptions): Fabric {
  const { transport, host, sink, settle } = options;
  return {
    roles: host.roles,
    get present() {
      return [{ name: DRIVER_NAME, leaving: false, load: loadOf(host.roles) }];
    },
    wireBytes: null,
    canFinish: true,
    ready: Promise.resolve(),
    begin: () => transport.start(host, sink),
    settle,
    // One process hands itself nothing over as bytes.
    shutOut: () => undefined,
    stop: async () => host.stop(),
  };
}
