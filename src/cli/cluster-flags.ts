// Flags of `matrix drive` about hosts that contradict each other.

import { MatrixError } from "../error.ts";
import { parseAddress } from "../http/address.ts";
import type { ClusterFlags } from "../run/cluster.ts";
import { parsePatience } from "./flags.ts";

/** What can be wrong with the flags, before anything is started. Fails with `usage`. */
export function checkClusterFlags({ workers, listen, patience, insecure }: ClusterFlags): void {
  if (workers !== undefined && workers < 1) throw new MatrixError("usage", "--workers: at least 1");
  if (listen !== undefined) parseAddress(listen);
  if (insecure === true && listen === undefined)
    throw new MatrixError("usage", "--insecure is about other machines: it needs --listen", {
      hint: "local workers talk over loopback",
    });
  parsePatience(patience);
}
