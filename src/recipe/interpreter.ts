// What starts a program in a sandbox, by the ending of its name.

const INTERPRETERS: Readonly<Record<string, readonly string[]>> = {
  ".py": ["python3", "-u"],
  ".mjs": ["node"],
  ".js": ["node"],
  ".sh": ["/bin/sh"],
};

/** Null where the ending says nothing. */
export function interpreterOf(path: string): readonly string[] | null {
  const ending = /\.[^./]+$/.exec(path)?.[0] ?? "";
  return INTERPRETERS[ending] ?? null;
}
