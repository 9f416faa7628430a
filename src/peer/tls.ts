// TLS without certificate files. Whoever knows the run's token derives the same authority from it, and trusts no other: so a
// server that shows a certificate of that authority knows the token. (That the client knows it, the token in each request says.)
// Anyone who connects may try guesses of the token against that certificate, so it must be a long random one.

import { createECDH, hkdfSync } from "node:crypto";

/** Who every host says it is: addresses change, and prove nothing. */
export const TLS_NAME = "matrix";
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Clocks of hosts may be far apart, and a run has an end. */
const VALIDITY = { notBefore: new Date("2020-01-01"), notAfter: new Date("2120-01-01") };
/** The order of P-256. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** All in PEM. */
export interface TlsIdentity {
  /** What a client trusts. */
  readonly ca: string;
  /** What a server shows. */
  readonly cert: string;
  readonly key: string;
}

const identities = new Map<string, Promise<TlsIdentity>>();

/** Made once for a token: that takes some milliseconds. */
export function tlsIdentity(token: string): Promise<TlsIdentity> {
  const identity = identities.get(token) ?? createIdentity(token);
  identities.set(token, identity);
  return identity;
}

async function createIdentity(token: string): Promise<TlsIdentity> {
  // The first must be there before the second, and in a compiled binary static imports of the two come in the other order.
  await import("reflect-metadata");
  const { BasicConstraintsExtension, KeyUsageFlags, KeyUsagesExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } =
    await import("@peculiar/x509");
  const authority = await importKeys(derivePrivateKey(token));
  const own = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const name = `CN=${TLS_NAME} authority`;
  const common = { ...VALIDITY, signingAlgorithm: ALGORITHM, issuer: name, signingKey: authority.privateKey };
  const ca = await X509CertificateGenerator.create({
    ...common,
    serialNumber: "01",
    subject: name,
    publicKey: authority.publicKey,
    extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
  });
  const cert = await X509CertificateGenerator.create({
    ...common,
    serialNumber: "02",
    subject: `CN=${TLS_NAME}`,
    publicKey: own.publicKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new SubjectAlternativeNameExtension([{ type: "dns", value: TLS_NAME }]),
    ],
  });
  const key = Buffer.from(await crypto.subtle.exportKey("pkcs8", own.privateKey)).toString("base64");
  return { ca: ca.toString("pem"), cert: cert.toString("pem"), key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n` };
}

/** 48 bytes, so that the remainder is as good as uniform. */
function derivePrivateKey(token: string): Buffer {
  const bytes = Buffer.from(hkdfSync("sha256", token, "matrix", "tls authority, P-256", 48));
  const scalar = (BigInt(`0x${bytes.toString("hex")}`) % (ORDER - 1n)) + 1n;
  return Buffer.from(scalar.toString(16).padStart(64, "0"), "hex");
}

async function importKeys(privateKey: Buffer): Promise<CryptoKeyPair> {
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(privateKey);
  const point = curve.getPublicKey();
  const coordinates = { x: point.subarray(1, 33).toString("base64url"), y: point.subarray(33).toString("base64url") };
  const key = { kty: "EC", crv: "P-256", ...coordinates };
  return {
    privateKey: await crypto.subtle.importKey("jwk", { ...key, d: privateKey.toString("base64url") }, ALGORITHM, false, ["sign"]),
    publicKey: await crypto.subtle.importKey("jwk", key, ALGORITHM, true, ["verify"]),
  };
}
