// Addresses that a process listens at: HOST:PORT as people type it. Loopback is cleartext; traffic
// that leaves the machine goes over TLS, unless the user asked for cleartext (`--insecure`).

import { isIP } from "node:net";
import { MatrixError } from "../error.ts";

export interface Address {
  readonly hostname: string;
  /** 0 for a free one. */
  readonly port: number;
}

/** The port at which a driver listens and hosts look for it, unless the user names another. */
export const DEFAULT_PORT = 7400;
export const LOOPBACK: Address = { hostname: "127.0.0.1", port: 0 };

/** The address of the web page, unless the user names another one. */
export const VIEW_ADDRESS: Address = { ...LOOPBACK, port: 7450 };

/** The parts that an address leaves out. */
const EVERYWHERE: Address = { hostname: "0.0.0.0", port: DEFAULT_PORT };

/**
 * Reads "0.0.0.0:7000", "node7", ":7000", "7000" and "[::1]:7000"; a part that is left out comes
 * from `defaults`. Fails with `usage`.
 */
export function parseAddress(text: string, defaults: Address = EVERYWHERE): Address {
  const typed = /^\d+$/.test(text.trim()) ? `:${text.trim()}` : text.trim();
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]*))(?::(\d{1,5}))?$/.exec(typed);
  const hostname = match?.[1] ?? match?.[2] ?? "";
  const port = match?.[3] === undefined ? defaults.port : Number(match[3]);
  if (match === null || typed === "" || port > 65_535) {
    throw new MatrixError("usage", `"${text}" is not an address`, {
      hint: `write HOST:PORT, for example ${defaults.hostname}:${defaults.port}; port 0 takes a free one`,
    });
  }
  return { hostname: hostname === "" ? defaults.hostname : hostname, port };
}

export function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname === "::1" ||
    (isIP(hostname) === 4 && hostname.startsWith("127."))
  );
}

/** True when a server at this address must speak TLS. */
export function needsTls(hostname: string, insecure: boolean): boolean {
  return !insecure && !isLoopback(hostname);
}

/** True for "every address of this machine", at which peers cannot reach it. */
export function isWildcard(hostname: string): boolean {
  return hostname === "0.0.0.0" || hostname === "::";
}

/** The hostname of a URL, without the brackets that URLs put around IPv6 addresses. */
export function hostnameOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, "");
}

export function urlOf(hostname: string, port: number, tls: boolean): string {
  return `${tls ? "https" : "http"}://${isIP(hostname) === 6 ? `[${hostname}]` : hostname}:${port}`;
}
