// TLS without certificate files. A process that knows the run's token derives an authority from it,
// and trusts no other. So a server that shows a certificate of that authority knows the token; that
// the client knows it is proved by the token in each request.
//
// Anyone who connects may try guesses of the token against that certificate, so the token must be
// long and random.

import { createECDH, hkdfSync } from "node:crypto";

/** The name in every certificate: addresses of hosts change and prove nothing. */
export const TLS_NAME = "matrix";
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** The time is wide because the clocks of hosts may be far apart; a run ends long before. */
const VALIDITY = { notBefore: new Date("2020-01-01"), notAfter: new Date("2120-01-01") };
/** The order of P-256. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** A certificate, its key and its authority, in PEM. */
export interface TlsIdentity {
  /** The certificate that a client trusts. */
  readonly ca: string;
  /** The certificate that a server shows. */
  readonly cert: string;
  readonly key: string;
}

const identities = new Map<string, Promise<TlsIdentity>>();

/** The identity of a token, made once, since that takes some milliseconds. */
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

/**
 * Loads the package only where TLS is used, since that takes a tenth of a second.
 * `reflect-metadata` must come first; the bundler would move static imports.
 */
async function loadX509() {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

/** Takes the remainder of 48 bytes, which is as good as uniform for a key of 32. */
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
