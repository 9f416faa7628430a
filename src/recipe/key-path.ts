// Key paths as TOML writes them: parts with dots between them. A part that is not a bare key stands
// in quotes, as in `models."gpt-4.1".model`.

const BARE = /^[A-Za-z0-9_-]+$/;
const PART = /"(?:[^"\\]|\\.)*"|[^."]+/g;

export function joinKey(prefix: string, part: string): string {
  const written = BARE.test(part) ? part : JSON.stringify(part);
  return prefix === "" ? written : `${prefix}.${written}`;
}

export function splitKey(path: string): readonly string[] {
  return (path.match(PART) ?? []).map((part) =>
    part.startsWith('"') ? (JSON.parse(part) as string) : part,
  );
}

/** The value at a path in a table or list, or undefined. */
export function valueAt(table: unknown, path: string): unknown {
  let value = table;
  for (const part of splitKey(path)) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part))
      return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** Compares a path with a pattern in which `*` stands for exactly one part. */
export function matchesKey(path: string, pattern: string): boolean {
  const parts = splitKey(path);
  const wanted = pattern.split(".");
  return (
    parts.length === wanted.length &&
    wanted.every((part, index) => part === "*" || part === parts[index])
  );
}
