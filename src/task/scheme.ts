// Addresses such as s3://bucket/key, which are no paths of this machine.

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;

/** The scheme of an address, in lower case; null for a path. */
export function schemeOf(text: string): string | null {
  return SCHEME.exec(text)?.[1]?.toLowerCase() ?? null;
}
