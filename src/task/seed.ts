// Seeds and identities as numbers, from one 64-bit hash of text that is the same on every host and
// runtime.

const LOW_32_BITS = 0x1_0000_0000;
/** 21 high bits beside 32 low bits make 53, the most that a JSON number carries exactly. */
const SEED_BITS_MASK = 0x1f_ffff;

/** A hash that has taken the beginning of a text. */
export interface BegunHash {
  readonly a: number;
  readonly b: number;
}

/**
 * Two unsigned 32-bit lanes of one hash over UTF-16 code units. The hash is cyrb53 (bryc, public
 * domain) with both lanes kept. Another salt makes another hash. A salt is not a prefix of the
 * text, because a salt and a first letter can cancel each other out.
 */
export function hash64(
  text: string,
  begun: BegunHash | number = 0,
): readonly [low: number, high: number] {
  let { a, b } = typeof begun === "number" ? salted(begun) : begun;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return [a >>> 0, b >>> 0];
}

/** The hash of all texts with this beginning, up to there. */
export function beginHash(beginning: string): BegunHash {
  let { a, b } = salted(0);
  for (let i = 0; i < beginning.length; i++) {
    const unit = beginning.charCodeAt(i);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  return { a, b };
}

function salted(salt: number): BegunHash {
  return { a: 0xdeadbeef ^ salt, b: 0x41c6ce57 ^ salt };
}

/**
 * A seed in [0, 2^53) from its parts. The parts are joined by a character that JSON text escapes,
 * so ("a", "bc") and ("ab", "c") differ.
 */
export function deriveSeed(...parts: readonly (string | number)[]): number {
  const [low, high] = hash64(parts.join("\u0000"));
  return (high & SEED_BITS_MASK) * LOW_32_BITS + low;
}

/**
 * The seed of a (row, trial). `redraws` counts the seeds that retries gave up: see
 * src/records/superseded.ts.
 */
export function taskSeed(runSeed: number, rowId: string, trial: number, redraws = 0): number {
  return redraws === 0
    ? deriveSeed(runSeed, rowId, trial)
    : deriveSeed(runSeed, rowId, trial, "redraw", redraws);
}

/**
 * The seed of a branch. Two branches to one role differ in it, so they do not get the same answer.
 */
export function branchSeed(seed: number, index: number): number {
  return deriveSeed(seed, "branch", index);
}

/**
 * A generator of uniform numbers in [0, 1), for choices that must repeat. The algorithm is sfc32
 * (Doty-Humphrey, PractRand).
 */
export function createRandom(seed: number): () => number {
  let a = seed >>> 0;
  let b = Math.floor(seed / LOW_32_BITS) >>> 0;
  let c = 0x9e3779b9;
  let counter = 1;
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return (t >>> 0) / LOW_32_BITS;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}
