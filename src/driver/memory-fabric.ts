// The fabric of a run in one process: one host with every role, joined to the sink by the in-memory transport.

import { MemoryTransport } from "../peer/memory.ts";
import type { HostTransport, Receiver } from "../peer/transport.ts";
import type { Fabric, FabricParts, RoleLoad } from "./run.ts";

export interface LocalHost extends Receiver {
  readonly roles: Iterable<RoleLoad>;
  stop(): void;
}

export function connectInMemory(
  { sink }: FabricParts,
  createHost: (transport: HostTransport) => LocalHost,
): Fabric {
  const local: { host: LocalHost | null } = { host: null };
  const transport = new MemoryTransport((self) => {
    const host = createHost(self);
    local.host = host;
    return { host, sink: { receive: sink } };
  });
  return {
    transport,
    get roles() {
      return [...(local.host?.roles ?? [])];
    },
    begin: () => undefined,
    ready: Promise.resolve(),
    written: () => undefined,
    stop: async () => local.host?.stop(),
  };
}
