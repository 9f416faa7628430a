// The proxy for a URL, from the variables HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY as curl,
// Python and Go read them. Names in lower case go before those in upper case.

import { BlockList, isIP } from "node:net";

type Environment = Readonly<Record<string, string | undefined>>;

/** `ip`: the address of the server, when it is known. Returns null for a server without a proxy. */
export function proxyFor(url: URL, ip: string | null, env: Environment): string | null {
  const read = (name: string) => env[name] || env[name.toUpperCase()] || null;
  const proxy = read(`${url.protocol.replace(":", "")}_proxy`) ?? read("all_proxy");
  if (proxy === null || isExcluded(url, ip, read("no_proxy") ?? "")) return null;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function isExcluded(url: URL, ip: string | null, list: string): boolean {
  const hosts = [url.hostname.replace(/^\[|\]$/g, "").toLowerCase(), ...(ip === null ? [] : [ip])];
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  return list
    .split(/[\s,]+/)
    .some((entry) => hosts.some((host) => fits(entry.toLowerCase(), host, port)));
}

/**
 * An entry is `*`, an address, a range of addresses (10.0.0.0/8), or a name, which stands for its
 * subdomains, too. A port may follow an address or a name.
 */
function fits(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  if (entry.includes("/")) return isInRange(host, entry);
  const { place, wanted } = splitPort(entry);
  if (wanted !== null && wanted !== port) return false;
  if (isIP(place) !== 0) return isInRange(host, `${place}/${isIP(place) === 6 ? 128 : 32}`);
  const name = place.replace(/^\*?\./, "");
  return name !== "" && (host === name || host.endsWith(`.${name}`));
}

/** An IPv6 address with a port is in brackets. */
function splitPort(entry: string): { readonly place: string; readonly wanted: string | null } {
  if (isIP(entry) !== 0) return { place: entry, wanted: null };
  const [, place = entry, wanted = null] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  return { place: place.replace(/^\[|\]$/g, ""), wanted };
}

function isInRange(host: string, range: string): boolean {
  const [base = "", bits = ""] = range.split("/");
  const [family, wanted] = [isIP(host), isIP(base)];
  if (family === 0 || wanted === 0 || !/^\d+$/.test(bits)) return false;
  if (Number(bits) > (wanted === 6 ? 128 : 32)) return false;
  const addresses = new BlockList();
  addresses.addSubnet(base, Number(bits), wanted === 6 ? "ipv6" : "ipv4");
  return addresses.check(host, family === 6 ? "ipv6" : "ipv4");
}
