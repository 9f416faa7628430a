// The server of a peer. It accepts connections as soon as it listens, so other processes can learn
// its address, and it answers requests once it is started.

import { hyper } from "../platform.ts";
import { urlOf } from "./address.ts";
import type { Exchange } from "./exchange.ts";
import { type RunningServer, serveHttp2 } from "./http2-server.ts";
import { serveHyper } from "./hyper-server.ts";
import { type PeerService, Reception, type ReceptionOptions } from "./reception.ts";
import { tlsIdentity } from "./tls.ts";

export interface PeerServerOptions extends ReceptionOptions {
  readonly hostname: string;
  /** 0 for a free one. */
  readonly port: number;
  readonly tls: boolean;
  /** Milliseconds that a connection may stay without one request of a member. */
  readonly strangerTimeoutMs?: number;
}

export class PeerServer {
  readonly self: string;
  readonly port: number;
  readonly tls: boolean;
  /** The URL of the address that it listens at. */
  readonly url: string;
  readonly #reception: Reception;
  readonly #server: RunningServer;

  private constructor(
    { self, hostname, tls }: PeerServerOptions,
    reception: Reception,
    server: RunningServer,
  ) {
    this.self = self;
    this.port = server.port;
    this.tls = tls;
    this.url = urlOf(hostname, server.port, tls);
    this.#reception = reception;
    this.#server = server;
  }

  /** Fails when the address cannot be listened at. */
  static async listen(options: PeerServerOptions): Promise<PeerServer> {
    const reception = new Reception(options);
    const http = {
      ...options,
      tls: options.tls ? await tlsIdentity(options.token) : null,
      handle: (exchange: Exchange) => reception.take(exchange),
    };
    const server = await (hyper === null ? serveHttp2(http) : serveHyper(hyper, http));
    return new PeerServer(options, reception, server);
  }

  /** Requests that were refused, by reason. */
  get refused(): Readonly<Record<string, number>> {
    return this.#reception.refused;
  }

  /** Begins to answer requests. Requests that come before are refused as "starting". */
  start(service: PeerService): void {
    this.#reception.start(service);
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}
