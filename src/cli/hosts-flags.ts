// Flags of `matrix drive` for hosts beside the driver.

import { MatrixError } from "../error.ts";
import { parseAddress } from "../http/address.ts";
import { advertisedHost } from "../http/advertise.ts";
import type { HostsSettings } from "../run/settings.ts";
import { parsePatience } from "./flags.ts";

export interface HostsFlags {
  readonly workers?: number;
  readonly listen?: string;
  readonly advertise?: string;
  readonly insecure?: boolean;
  readonly patience: string;
}

/**
 * The hosts that the flags ask for; null when they ask for none, so that the driver hosts every
 * role. Fails with `usage`.
 */
export function parseHosts(flags: HostsFlags): HostsSettings | null {
  const { workers, listen, advertise, insecure = false, patience } = flags;
  if (workers !== undefined && workers < 1) throw new MatrixError("usage", "--workers: at least 1");
  if (insecure && listen === undefined)
    throw new MatrixError("usage", "--insecure is for hosts on other machines: it needs --listen", {
      hint: "local workers talk over loopback",
    });
  if (advertise !== undefined && listen === undefined)
    throw new MatrixError("usage", "--advertise is for hosts on other machines: it needs --listen");
  const patienceMs = parsePatience(patience);
  if (workers === undefined && listen === undefined) return null;
  const address = listen === undefined ? null : parseAddress(listen);
  const advertised = advertise === undefined ? null : advertisedHost(advertise);
  return { workers: workers ?? 0, listen: address, advertise: advertised, insecure, patienceMs };
}
