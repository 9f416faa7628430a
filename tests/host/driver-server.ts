// A driver for tests of a host's side: a real server whose answers a test gives.

import { PeerServer } from "../../src/http/peer-server.ts";
import type { Route } from "../../src/http/reception.ts";
import {
  type Control,
  type ControlKind,
  decodeControl,
  encodeControl,
} from "../../src/peer/control.ts";

export const TOKEN = "the-token-of-the-run";

export interface DriverServer extends AsyncDisposable {
  readonly url: string;
  readonly bugs: readonly unknown[];
  stop(): Promise<void>;
}

/** Serves these routes until it is stopped. */
export async function createDriver(routes: Readonly<Record<string, Route>>): Promise<DriverServer> {
  const bugs: unknown[] = [];
  const server = await PeerServer.listen({
    ...{ hostname: "127.0.0.1", port: 0, token: TOKEN, tls: false, self: "driver" },
    onBug: (thrown) => void bugs.push(thrown),
  });
  server.start({ routes, metrics: () => "" });
  const stop = () => server.stop();
  return { url: server.url, bugs, stop, [Symbol.asyncDispose]: stop };
}

/** A route that takes one kind of message and answers with another one. */
export function answering<Q extends ControlKind, A extends ControlKind>(
  question: Q,
  answer: A,
  give: (value: Control<Q>, from: string) => Control<A> | Promise<Control<A>>,
): Route {
  return {
    bytesMax: 1e6,
    run: async (body, from) =>
      encodeControl(answer, await give(decodeControl(question, body), from)),
  };
}
