// Ids that only the holder of a key can use.

import { expect, test } from "bun:test";
import { createIdentity, createSeed, fingerprintIn, isSignedBy } from "../../src/http/identity.ts";
import { isPeerId } from "../../src/http/proof.ts";

test("an id is a name and the fingerprint of a key, and follows from its seed", () => {
  const seed = createSeed();
  const [one, same, other] = [
    createIdentity("worker-1", seed),
    createIdentity("worker-1", seed),
    createIdentity("worker-1"),
  ];
  expect(one.id).toMatch(/^worker-1\.[\w-]{15}$/);
  expect([same.id, same.publicKey]).toEqual([one.id, one.publicKey]);
  expect(other.id).not.toBe(one.id);
  expect(createIdentity("worker-2", seed).id.split(".")[1]).toBe(one.id.split(".")[1] as string);
  expect(isPeerId(one.id)).toBe(true);
  expect(isPeerId(createIdentity("a".repeat(48)).id)).toBe(true);
  expect(isPeerId(createIdentity("a".repeat(49)).id)).toBe(false);
});

test("the fingerprint of an id stands after its last point", () => {
  const { id } = createIdentity("a");
  expect(fingerprintIn(id)).toBe(id.slice(2));
  for (const plain of ["a", "a-0123456789abcde", "a.0123456789abcd", "a.0123456789abcdef", ""])
    expect(fingerprintIn(plain)).toBeNull();
});

test("a signature holds for its id, key and text, and for no other", () => {
  const [own, other] = [createIdentity("a"), createIdentity("a")];
  const signature = own.sign("text");
  expect(isSignedBy(own.id, own.publicKey, "text", signature)).toBe(true);
  expect(isSignedBy(own.id, own.publicKey, "texts", signature)).toBe(false);
  expect(isSignedBy(other.id, own.publicKey, "text", signature)).toBe(false);
  expect(isSignedBy(own.id, other.publicKey, "text", signature)).toBe(false);
  expect(isSignedBy(own.id, own.publicKey, "text", other.sign("text"))).toBe(false);
  expect(isSignedBy(own.id, own.publicKey, "text", "")).toBe(false);
  expect(isSignedBy(own.id, "", "text", signature)).toBe(false);
  expect(isSignedBy("a", own.publicKey, "text", signature)).toBe(false);
});
