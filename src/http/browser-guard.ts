// Keeps web pages out of servers that trust their own machine. A page in a browser of this machine
// can reach loopback: by a name of its own that leads there (DNS rebinding), or by a request that
// it makes to another origin. The browser tells of both, in Host and in Origin.

import { isIP } from "node:net";
import { isLoopback, isWildcard } from "./address.ts";

type Fetch = (request: Request) => Response | Promise<Response>;

/** Answers requests of foreign pages with 403. `hostname` is the one that the server listens at. */
export function refuseForeignPages(hostname: string, fetch: Fetch): Fetch {
  return (request) => {
    const problem = problemOf(hostname, request.headers);
    return problem === null ? fetch(request) : new Response(`${problem}\n`, { status: 403 });
  };
}

/** The reason to refuse a request; null for none. */
function problemOf(hostname: string, headers: Headers): string | null {
  const host = nameIn(headers.get("host"));
  const isMeant = (name: string) => isHere(name) || name === hostname.toLowerCase();
  // Addresses need no name service, so no page can make one its own.
  if (host !== null && !isWildcard(hostname) && !isMeant(host) && isIP(host) === 0)
    return `the name ${host} is not one of this server: use localhost, or its address`;
  const origin = headers.get("origin");
  if (origin === null) return null;
  const page = URL.canParse(origin) ? nameIn(new URL(origin).host) : null;
  return page !== null && (isHere(page) || page === host)
    ? null
    : `pages of ${origin} may not use this server`;
}

function isHere(name: string): boolean {
  return isLoopback(name) || name.endsWith(".localhost");
}

/** The name or address in `name:port`, in lower case and without brackets. */
function nameIn(host: string | null): string | null {
  if (host === null || host === "") return null;
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  return (bracketed ?? plain ?? host).toLowerCase().replace(/\.$/, "");
}
