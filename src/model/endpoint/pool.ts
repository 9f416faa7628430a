// The connections to one server: over a proxy or not, with which certificates, and kept open or
// not.

import { readFileSync } from "node:fs";
import { Agent, type RequestOptions } from "node:http";
import { type AgentOptions, Agent as SecureAgent } from "node:https";
import { isIPv6, type LookupFunction } from "node:net";
import { MatrixError, messageOf } from "../../error.ts";
import { publicUrl } from "./credentials.ts";
import { proxyFor } from "./proxy.ts";

export interface PoolOptions {
  /**
   * Connects to this address; TLS and the Host header keep the name of the URL. Null: wherever the
   * name leads.
   */
  readonly ip: string | null;
  readonly tls: TlsFiles | null;
  /** Names proxies (src/model/endpoint/proxy.ts). */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** PEM files. */
interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export class Pool {
  readonly #options: AgentOptions;
  readonly #ip: string | null;
  readonly #env: PoolOptions["env"];
  #agent: { readonly origin: string; readonly options: RequestOptions } | null = null;

  /** `keepAlive`: connections are kept open and used again. */
  constructor({ ip, tls, env }: PoolOptions, keepAlive: boolean) {
    this.#ip = ip;
    this.#env = env;
    // A server that took ten thousand requests at once will take them again, so no socket is
    // closed for being idle.
    this.#options = {
      keepAlive,
      maxSockets: Number.POSITIVE_INFINITY,
      maxFreeSockets: Number.POSITIVE_INFINITY,
      ...readCertificates(tls),
    };
  }

  optionsFor(url: URL): RequestOptions {
    if (this.#agent?.origin !== url.origin)
      this.#agent = { origin: url.origin, options: this.#create(url) };
    return this.#agent.options;
  }

  #create(url: URL): RequestOptions {
    const proxy = proxyFor(url, this.#ip, this.#env);
    if (proxy !== null && !/^https?:/i.test(proxy))
      throw new MatrixError(
        "model_denied",
        `the proxy ${publicUrl(proxy)} for ${url.hostname} cannot be used: only http:// and ` +
          "https:// proxies are supported; NO_PROXY leaves a host out",
      );
    const proxyEnv = proxy === null ? {} : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
    const options = { ...this.#options, proxyEnv };
    const agent = url.protocol === "https:" ? new SecureAgent(options) : new Agent(options);
    // Behind a proxy, the address to connect to is that of the proxy.
    return this.#ip === null || proxy !== null ? { agent } : { agent, lookup: lookupOf(this.#ip) };
  }
}

interface Certificates {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Fails with `recipe_invalid` when a file cannot be read. */
export function readCertificates(files: TlsFiles | null): Certificates {
  const read = Object.entries(files ?? {}).flatMap(([name, path]) =>
    path === undefined ? [] : [[name, readPem(path)] as const],
  );
  return Object.fromEntries(read);
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

function lookupOf(ip: string): LookupFunction {
  const family = isIPv6(ip) ? 6 : 4;
  return (_, { all }, found) =>
    all === true ? found(null, [{ address: ip, family }]) : found(null, ip, family);
}
