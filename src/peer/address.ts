// Where a process listens: HOST:PORT as people type it. Cleartext is for loopback; what leaves the machine goes over TLS unless
// somebody says otherwise.

import { isIP } from "node:net";
import { MatrixError } from "../error.ts";

export interface Address {
  readonly hostname: string;
  /** 0: a free one. */
  readonly port: number;
}

export const LOOPBACK: Address = { hostname: "127.0.0.1", port: 0 };

/** "0.0.0.0:7000", "node7:0", ":7000", "7000", "[::1]:7000". Fails with `usage`. */
export function parseAddress(text: string): Address {
  const match = /^(?:(?:\[([^\]]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new MatrixError("usage", `"${text}" is no address`, { hint: "write HOST:PORT, for example 0.0.0.0:7000; port 0 takes a free one" });
  }
  return { hostname: match[1] || match[2] || "0.0.0.0", port };
}

export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || (isIP(hostname) === 4 && hostname.startsWith("127."));
}

/** Every address of the machine: others cannot be told this one. */
export function isWildcard(hostname: string): boolean {
  return hostname === "0.0.0.0" || hostname === "::";
}

export function urlOf(hostname: string, port: number, tls: boolean): string {
  return `${tls ? "https" : "http"}://${isIP(hostname) === 6 ? `[${hostname}]` : hostname}:${port}`;
}
