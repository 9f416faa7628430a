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
  const x509 = await loadX509();
  const authority = await importKeys(derivePrivateKey(token));
  const own = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const issuer = `CN=${TLS_NAME} authority`;
  const issued = {
    ...VALIDITY,
    signingAlgorithm: ALGORITHM,
    issuer,
    signingKey: authority.privateKey,
  };
  const ca = await x509.X509CertificateGenerator.create({
    ...issued,
    serialNumber: "01",
    subject: issuer,
    publicKey: authority.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const cert = await x509.X509CertificateGenerator.create({
    ...issued,
    serialNumber: "02",
    subject: `CN=${TLS_NAME}`,
    publicKey: own.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: TLS_NAME }]),
    ],
  });
  const key = x509.PemConverter.encode(
    await crypto.subtle.exportKey("pkcs8", own.privateKey),
    "PRIVATE KEY",
  );
  return { ca: ca.toString("pem"), cert: cert.toString("pem"), key };
}

/** Only where TLS is used: it takes a tenth of a second. A static import would come before the first one in the bundle. */
async function loadX509() {
  await import("reflect-metadata");
  return import("@peculiar/x509");
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
  const coordinates = {
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33).toString("base64url"),
  };
  const key = { kty: "EC", crv: "P-256", ...coordinates };
  return {
    privateKey: await crypto.subtle.importKey(
      "jwk",
      { ...key, d: privateKey.toString("base64url") },
      ALGORITHM,
      false,
      ["sign"],
    ),
    publicKey: await crypto.subtle.importKey("jwk", key, ALGORITHM, true, ["verify"]),
  };
}
