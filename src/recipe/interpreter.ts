// The interpreter that starts a program, by the ending of the program's name.

const INTERPRETERS: Readonly<Record<string, readonly string[]>> = {
  ".py": ["python3", "-u"],
  ".mjs": ["node"],
  ".js": ["node"],
  ".sh": ["/bin/sh"],
};

/** The command that runs a file, by its ending; null for an ending without a known interpreter. */
export function interpreterOf(path: string): readonly string[] | null {
  const ending = /\.[^./]+$/.exec(path)?.[0] ?? "";
  return INTERPRETERS[ending] ?? null;
}
