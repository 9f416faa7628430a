// The socket under a connection to a peer: TCP, or TLS that trusts the authority of the run alone.

import net, { type Socket } from "node:net";
import tls, { type ConnectionOptions } from "node:tls";
import { hostnameOf } from "./address.ts";
import { TLS_NAME, tlsIdentity } from "./tls.ts";

/** Opens a socket that is still connecting: TCP for http://, TLS for https://. */
export async function openSocket(url: string, token: string): Promise<Socket> {
  const { protocol, port } = new URL(url);
  const to = { host: hostnameOf(url), port: Number(port) };
  if (protocol !== "https:") return net.connect({ ...to, noDelay: true });
  const trust = await trustOf(token);
  return tls.connect({ ...to, ALPNProtocols: ["h2"], ...trust }).setNoDelay(true);
}

async function trustOf(token: string): Promise<ConnectionOptions> {
  const { ca } = await tlsIdentity(token);
  return { ca, servername: TLS_NAME, minVersion: "TLSv1.3" };
}
