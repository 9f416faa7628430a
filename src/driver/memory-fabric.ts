// The fabric of a run in one process: one host with every role, joined to the sink by the in-memory transport.

import type { RoleLoad } from "../peer/member.ts";
import { MemoryTransport } from "../peer/memory-transport.ts";
import type { HostTransport, Receiver } from "../peer/transport.ts";
import type { Fabric, FabricParts } from "./run.ts";

export interface LocalHost extends Receiver {
  readonly roles: readonly RoleLoad[];
  stop(): void;
}

export function connectInMemory(
  { sink }: FabricParts,
  createHost: (transport: HostTransport) => LocalHost,
): Fabric {
  const transport = new MemoryTransport();
  const host = createHost(transport);
  return {
    transport,
    roles: host.roles,
    begin: () => transport.start(host, { receive: sink }),
    ready: Promise.resolve(),
    written: () => undefined,
    stop: async () => host.stop(),
  };
}
