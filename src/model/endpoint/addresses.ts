// Where a model's replicas are: written in the recipe, or in a file or behind a name that may change while the run goes on. Looking
// again never fails; what is wrong is in the answer.

import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { messageOf } from "../../error.ts";
import { isEndpointUrl, type OpenaiModelConfig } from "../../recipe/model-schema.ts";

/** How old what was found may be. */
const FILE_AGE_MAX_MS = 1000;
const NAME_AGE_MAX_MS = 5000;

export interface Address {
  readonly url: string;
  /** Null: wherever the URL's name leads. */
  readonly ip: string | null;
  /** What tells it from others: the URL, with the address for the name where they are many. */
  readonly label: string;
}

export interface Found {
  /** Null where nothing was learned: what is known stands. */
  readonly addresses: readonly Address[] | null;
  /** A sentence, where something is wrong. */
  readonly problem: string | null;
}

export interface Addresses {
  readonly maxAgeMs: number;
  find(): Promise<Found>;
}

export function createAddresses(baseUrl: OpenaiModelConfig["base_url"]): Addresses {
  if (typeof baseUrl === "string" || Array.isArray(baseUrl)) {
    const found = { addresses: addressesOf([baseUrl].flat()), problem: null };
    return { maxAgeMs: Number.POSITIVE_INFINITY, find: async () => found };
  }
  const { file, dns } = baseUrl;
  if (file !== undefined) return { maxAgeMs: FILE_AGE_MAX_MS, find: () => readAddresses(file) };
  return { maxAgeMs: NAME_AGE_MAX_MS, find: () => resolveName(dns ?? "") };
}

/** One URL a line; `#` begins a comment. */
async function readAddresses(path: string): Promise<Found> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    const isMissing = (thrown as { code?: unknown }).code === "ENOENT";
    return {
      addresses: [],
      problem: `${path} ${isMissing ? "is not there" : `cannot be read: ${messageOf(thrown)}`}; it is waited for`,
    };
  }
  const lines = text.split("\n").map((line) => line.replace(/(^|\s)#.*/, "").trim());
  const written = lines.filter((line) => line !== "");
  const urls = written.filter(isEndpointUrl);
  const wrong = written.find((line) => !isEndpointUrl(line));
  if (wrong !== undefined)
    return { addresses: addressesOf(urls), problem: `${path} has a line that is no URL: ${wrong}` };
  return {
    addresses: addressesOf(urls),
    problem: urls.length === 0 ? `${path} names no replica; one is waited for` : null,
  };
}

async function resolveName(base: string): Promise<Found> {
  const url = new URL(base);
  try {
    const found = await lookup(url.hostname.replace(/^\[|\]$/g, ""), { all: true });
    const ips = [...new Set(found.map(({ address }) => address))].sort();
    return {
      addresses: ips.map((ip) => ({ url: base, ip, label: labelOf(url, ip) })),
      problem: null,
    };
  } catch (thrown) {
    return { addresses: null, problem: `${url.hostname} is not found: ${messageOf(thrown)}` };
  }
}

function labelOf(url: URL, ip: string): string {
  const named = new URL(url);
  named.hostname = isIPv6(ip) ? `[${ip}]` : ip;
  return named.href.replace(/\/$/, "");
}

function addressesOf(urls: readonly string[]): readonly Address[] {
  return [...new Set(urls)].map((url) => ({ url, ip: null, label: url }));
}
