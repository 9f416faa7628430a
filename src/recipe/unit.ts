// Values as people write them: durations such as "90s" and "500ms", sizes such as "512B" and
// "64MiB", shards such as "0/4".

const MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds, or null for a text that is not a duration. A duration needs a unit. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : MS[match[2]];
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};

/** Whole bytes, or null for a text that is not a size. */
export function parseSize(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([kKMGT]?i?B)$/.exec(text.trim());
  const unit = match?.[2] === undefined ? undefined : BYTES[match[2]];
  return match === null || unit === undefined ? null : Math.round(Number(match[1]) * unit);
}

/** One of `count` parts of a dataset. `index` counts from 0. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** The shard that a text names, or null. The index is not compared with the count. */
export function parseShard(text: string): Shard | null {
  const [, index, count] = (/^(\d{1,9})\/(\d{1,9})$/.exec(text.trim()) ?? []).map(Number);
  return index === undefined || count === undefined || count === 0 ? null : { index, count };
}
