// The identity of a process among its peers. Its id ends with the fingerprint of a key that it
// alone has, as in `worker-1-x8Jq.F7dQ…`. So a member of the run, which knows the token, still
// cannot speak for another member. An id without a fingerprint is a name that any member can use.

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from "node:crypto";

const SEED_BYTES = 32;
/** 90 bits. An id has 64 letters at most. */
const FINGERPRINT_CHARS = 15;
/** Ed25519 keys in DER begin like this (RFC 8410). */
const PRIVATE_DER = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC_DER = Buffer.from("302a300506032b6570032100", "hex");

export interface Identity {
  readonly id: string;
  /** The public key in base64url. */
  readonly publicKey: string;
  /** The signature of a text in base64url. */
  sign(text: string): string;
}

/** A new secret from which `identityOf` makes keys. */
export function createSeed(): string {
  return randomBytes(SEED_BYTES).toString("base64url");
}

/** The identity of a process with this name and secret. */
export function createIdentity(name: string, seed: string = createSeed()): Identity {
  const key = createPrivateKey({
    key: Buffer.concat([PRIVATE_DER, Buffer.from(seed, "base64url")]),
    format: "der",
    type: "pkcs8",
  });
  const der = createPublicKey(key).export({ format: "der", type: "spki" });
  const publicKey = der.subarray(PUBLIC_DER.length).toString("base64url");
  return {
    id: `${name}.${fingerprintOf(publicKey)}`,
    publicKey,
    sign: (text) => sign(null, Buffer.from(text), key).toString("base64url"),
  };
}

/** The fingerprint at the end of an id; null for an id without one. */
export function fingerprintIn(id: string): string | null {
  return new RegExp(`\\.([\\w-]{${FINGERPRINT_CHARS}})$`).exec(id)?.[1] ?? null;
}

/** True when the key is that of the id, and its holder has signed the text. */
export function isSignedBy(id: string, publicKey: string, text: string, signature: string) {
  if (fingerprintOf(publicKey) !== fingerprintIn(id)) return false;
  try {
    return verify(
      null,
      Buffer.from(text),
      publicKeyOf(publicKey),
      Buffer.from(signature, "base64url"),
    );
  } catch {
    return false;
  }
}

function fingerprintOf(publicKey: string): string {
  return createHash("sha256").update(publicKey).digest("base64url").slice(0, FINGERPRINT_CHARS);
}

function publicKeyOf(publicKey: string): KeyObject {
  return createPublicKey({
    key: Buffer.concat([PUBLIC_DER, Buffer.from(publicKey, "base64url")]),
    format: "der",
    type: "spki",
  });
}
