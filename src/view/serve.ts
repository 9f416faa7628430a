// Serves the page at an address: on loopback to this user, elsewhere to those who have the token.

import { userInfo } from "node:os";
import { MatrixError, messageOf } from "../error.ts";
import { type Address, isLoopback, isWildcard, urlOf } from "../http/address.ts";
import { refuseForeignPages } from "../http/browser-guard.ts";
import { knowSecret } from "../known-secrets.ts";
import { serve } from "../platform.ts";
import { version } from "../version.ts";
import type { LiveDriver, Session } from "./api.ts";
import { createViewApp } from "./app.ts";
import { RunLibrary } from "./library/run-library.ts";
import type { PageFiles } from "./page-files.ts";

export interface ServeOptions {
  /** Folders and files, as the user wrote them. */
  readonly places: readonly string[];
  readonly cwd: string;
  readonly address: Address;
  readonly page: PageFiles;
  /** The token that requests need off loopback. */
  readonly token: string;
  /** The name under which annotations are kept. */
  readonly who: string;
  /** The driver of the only run; null where files alone tell. */
  readonly driver?: (() => LiveDriver) | null;
}

export interface ViewServer {
  /** With the token, where one is needed. */
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** Fails with `usage` for a place that is not there, or an address that cannot be listened at. */
export async function serveView(options: ServeOptions): Promise<ViewServer> {
  const { places, cwd, address, page, token, who, driver = null } = options;
  const { hostname, port } = address;
  const library = new RunLibrary(places, cwd);
  const isOpen = isLoopback(hostname);
  const { runs } = await library.find();
  const session: Session = {
    version,
    who,
    canAnnotate: true,
    from: driver === null ? "folder" : "driver",
    places,
    only: runs.length === 1 ? (runs[0]?.key ?? null) : null,
  };
  const app = createViewApp({ library, session, page, driver, token: isOpen ? null : token });
  if (!isOpen) knowSecret(token);
  const fetch = refuseForeignPages(hostname, (request) => app.fetch(request));
  const server = listen(hostname, port, fetch);
  const taken = Number(new URL(server.url).port);
  const shown = isWildcard(hostname) ? "localhost" : hostname;
  const url = `${urlOf(shown, taken, false)}/`;
  return {
    url: isOpen ? url : `${url}?token=${token}`,
    port: taken,
    async stop() {
      await server.stop();
      await library.close();
    },
  };
}

/** The name of the user who runs this process. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "somebody";
  }
}

function listen(
  hostname: string,
  port: number,
  fetch: Parameters<typeof serve>[0]["fetch"],
): ReturnType<typeof serve> {
  try {
    return serve({ hostname, port, fetch });
  } catch (cause) {
    throw new MatrixError("usage", `cannot listen on ${hostname}:${port}: ${messageOf(cause)}`, {
      cause,
      hint: "another program may hold the port; --listen 127.0.0.1:0 takes a free one",
    });
  }
}
