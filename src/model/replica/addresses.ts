// Finds a model's replicas: URLs in the recipe, or a file or a DNS name whose contents may change
// while the run goes on. Looking again never fails; a problem is part of the answer.

import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { messageOf } from "../../error.ts";
import { isEndpointUrl, type OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import { publicUrl } from "../endpoint/credentials.ts";

const FILE_AGE_MAX_MS = 1000;
const NAME_AGE_MAX_MS = 5000;

export interface Address {
  readonly url: string;
  /** The IP address to connect to; null to resolve the name of the URL. */
  readonly ip: string | null;
  /**
   * Tells the address from others: the URL without its credentials, with the IP in place of a name
   * that has many.
   */
  readonly label: string;
}

export interface Found {
  /** Null when no address could be found; the known addresses then stay. */
  readonly addresses: readonly Address[] | null;
  /** A sentence that says what is wrong, or null. */
  readonly problem: string | null;
}

export interface Addresses {
  /** The addresses that were found count as current for this long. */
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

/** Reads one URL from each line; `#` begins a comment. */
async function readAddresses(path: string): Promise<Found> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    const isMissing = (thrown as { code?: unknown }).code === "ENOENT";
    const why = isMissing ? "does not exist" : `cannot be read: ${messageOf(thrown)}`;
    return { addresses: [], problem: `${path} ${why}; requests wait for it` };
  }
  const lines = text.split("\n").map((line) => line.replace(/(^|\s)#.*/, "").trim());
  const written = lines.filter((line) => line !== "");
  const urls = written.filter(isEndpointUrl);
  const wrong = written.find((line) => !isEndpointUrl(line));
  if (wrong !== undefined)
    return {
      addresses: addressesOf(urls),
      problem: `${path} has a line that is not a URL: ${publicUrl(wrong)}`,
    };
  return {
    addresses: addressesOf(urls),
    problem: urls.length === 0 ? `${path} names no replica; requests wait for one` : null,
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
    return { addresses: null, problem: `cannot resolve ${url.hostname}: ${messageOf(thrown)}` };
  }
}

function labelOf(url: URL, ip: string): string {
  const named = new URL(url);
  named.hostname = isIPv6(ip) ? `[${ip}]` : ip;
  return publicUrl(named.href.replace(/\/$/, ""));
}

function addressesOf(urls: readonly string[]): readonly Address[] {
  const labels = new Map<string, number>();
  return [...new Set(urls)].map((url) => {
    const label = publicUrl(url);
    const same = (labels.get(label) ?? 0) + 1;
    labels.set(label, same);
    return { url, ip: null, label: same === 1 ? label : `${label} (${same})` };
  });
}
