// Proofs that both ends of a connection know the token of the run. The token itself never crosses a
// connection, not even inside TLS. A connection begins with a greeting:
//
//     client → server   a challenge, which is random
//     server → client   its id, a nonce for this connection, and its proof over all of them
//     client → server   with each request: the challenge, its own proof, and, where its id ends
//                       with the fingerprint of a key, that key and a signature
//
// A client sends no request before it has the server's proof. So a process that listens at the port
// of a dead driver learns nothing. Nor can it pass the greeting on to a living driver: proofs cover
// the addresses of the connection on loopback, and TLS covers the rest.

import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";
import { isLoopback } from "./address.ts";
import { fingerprintIn, type Identity, isSignedBy } from "./identity.ts";

export const GREETING_PATH = "/hello";
export const CHALLENGE = "matrix-challenge";
const SCHEME = "Matrix ";
const NONCE_BYTES = 18;
const KEY_BYTES = 32;
/** Connections whose proof is remembered. Only members are. */
const CONNECTIONS_KEPT = 4096;
const ID = /^(?=.{1,64}$)[\w-]+(\.[\w-]{15})?$/;

/** A connection as a server sees it, or as its client does. */
export interface Endpoints {
  readonly tls: boolean;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly serverPort: number;
}

export function isPeerId(text: string): boolean {
  return ID.test(text);
}

/** A token that opens /metrics and nothing else. The token of the run cannot be found from it. */
export function metricsToken(token: string): string {
  return derived(token, "metrics").toString("base64url");
}

/** A token that opens the web page of the driver and nothing else. */
export function viewToken(token: string): string {
  return derived(token, "view").toString("base64url");
}

/** The server's side. */
export class Greeter {
  readonly #self: string;
  readonly #key: Buffer;
  readonly #nonces = randomBytes(KEY_BYTES);
  /** The last credentials that were accepted on a connection. */
  readonly #accepted = new Map<string, string>();

  constructor(token: string, self: string) {
    this.#self = self;
    this.#key = derived(token, "peers");
  }

  /** The answer to a challenge; null for a malformed one. */
  greet(challenge: string, connection: Endpoints): string | null {
    if (!/^[\w-]{16,64}$/.test(challenge)) return null;
    const nonce = this.#nonceOf(connection);
    const proof = prove(this.#key, serverText(this.#self, challenge, nonce, connection));
    return `${this.#self} ${nonce} ${proof}`;
  }

  /** True when the sender of a request knows the token and may use its id. */
  isMember(authorization: string, from: string, connection: Endpoints): boolean {
    const endpoint = endpointOf(connection);
    const credentials = `${from} ${authorization}`;
    const accepted = this.#accepted.get(endpoint);
    if (accepted !== undefined && isEqual(credentials, accepted)) return true;
    if (!this.#proves(authorization, from, connection)) return false;
    this.#accepted.delete(endpoint);
    this.#accepted.set(endpoint, credentials);
    if (this.#accepted.size > CONNECTIONS_KEPT) {
      const oldest = this.#accepted.keys().next().value;
      if (oldest !== undefined) this.#accepted.delete(oldest);
    }
    return true;
  }

  #proves(authorization: string, from: string, connection: Endpoints): boolean {
    if (!authorization.startsWith(SCHEME)) return false;
    const [challenge = "", proof = "", publicKey = "", signature = ""] = authorization
      .slice(SCHEME.length)
      .split(".");
    const nonce = this.#nonceOf(connection);
    const text = clientText(from, this.#self, challenge, nonce, connection);
    if (!isEqual(proof, prove(this.#key, text))) return false;
    return fingerprintIn(from) === null || isSignedBy(from, publicKey, text, signature);
  }

  /** Differs for each connection, and is not kept for strangers. */
  #nonceOf(connection: Endpoints): string {
    return prove(this.#nonces, endpointOf(connection));
  }
}

/** The id of the server in its greeting. */
export function serverOf(greeting: string): string {
  return greeting.split(" ")[0] ?? "";
}

/** The client's side of one connection. */
export class Greeted {
  readonly challenge = randomBytes(NONCE_BYTES).toString("base64url");
  readonly #key: Buffer;
  readonly #connection: Endpoints;

  constructor(token: string, connection: Endpoints) {
    this.#key = derived(token, "peers");
    this.#connection = connection;
  }

  /**
   * The value of `authorization` for requests on this connection; null when the server has not
   * proved that it knows the token.
   */
  authorization(greeting: string, from: string, identity: Identity | null): string | null {
    const [server = "", nonce = "", proof = ""] = greeting.split(" ");
    const expected = prove(this.#key, serverText(server, this.challenge, nonce, this.#connection));
    if (!isEqual(proof, expected)) return null;
    const text = clientText(from, server, this.challenge, nonce, this.#connection);
    const signed = identity === null ? [] : [identity.publicKey, identity.sign(text)];
    return SCHEME + [this.challenge, prove(this.#key, text), ...signed].join(".");
  }
}

/** The addresses of a connection as text. */
function endpointOf(connection: Endpoints): string {
  return `${clientOf(connection)}/${connection.clientPort}/${connection.serverPort}`;
}

/** The address of the client. IPv4 within IPv6 is IPv4. */
function clientOf({ clientAddress }: Endpoints): string {
  return clientAddress.replace(/^::ffff:/, "");
}

/**
 * The name by which both ends of a connection know it. Between machines an address may be
 * translated on the way.
 */
function boundTo(connection: Endpoints): string {
  if (connection.tls) return "tls";
  return isLoopback(clientOf(connection)) ? endpointOf(connection) : "network";
}

function serverText(self: string, challenge: string, nonce: string, connection: Endpoints) {
  return JSON.stringify(["server", self, challenge, nonce, boundTo(connection)]);
}

function clientText(
  from: string,
  server: string,
  challenge: string,
  nonce: string,
  connection: Endpoints,
): string {
  return JSON.stringify(["client", from, server, challenge, nonce, boundTo(connection)]);
}

function prove(key: Buffer, text: string): string {
  return createHmac("sha256", key).update(text).digest("base64url");
}

function derived(token: string, use: string): Buffer {
  return Buffer.from(hkdfSync("sha256", token, "matrix", use, KEY_BYTES));
}

export function isEqual(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  // The length of a proof is not a secret.
  return one.length === other.length && timingSafeEqual(one, other);
}
