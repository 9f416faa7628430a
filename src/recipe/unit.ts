// Durations as people write them: "90s", "1.5h", "500ms".

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds, or null for what is no duration. A bare number has no unit and is none. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : MS[match[2]];
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}
