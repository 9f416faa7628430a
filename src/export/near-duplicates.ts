// Near duplicates by MinHash (Broder 1997) and banding (Leskovec et al., Mining of Massive Datasets, 3.4): 112 hashes of
// the text's word 5-grams, in 14 bands of 8, as FineWeb has them: two texts that share 3 of 4 grams meet with a probability of
// 0.77, 9 of 10 with 0.9996, half of them with 0.05. Memory: 14 fingerprints a text. The libraries that there are multiply
// in floating point, ten times slower, and draw other hashes each time: an export must repeat.

import { IdSet } from "../task/id-set.ts";
import { createRandom, hash64 } from "../task/seed.ts";

const BANDS = 14;
const ROWS = 8;
const HASHES = BANDS * ROWS;
const GRAM_WORDS = 5;
/** Scripts without spaces give a word a character. */
const WORD =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{N}]+/gu;

export class NearDuplicates {
  readonly #bands = new IdSet();
  readonly #signature = new Uint32Array(HASHES);

  /** False when a text like it was added before. */
  add(text: string): boolean {
    const grams = gramsOf(text);
    if (grams.size === 0) return true;
    sign(grams, this.#signature);
    let fresh = true;
    for (let band = 0; band < BANDS; band++) {
      const rows = this.#signature.subarray(band * ROWS, (band + 1) * ROWS);
      if (!this.#bands.add(rows.join(" "), band)) fresh = false;
    }
    return fresh;
  }
}

function gramsOf(text: string): Set<number> {
  const words = text.toLowerCase().match(WORD) ?? [];
  const grams = new Set<number>();
  for (let i = 0; i < Math.max(1, words.length - GRAM_WORDS + 1) && words.length > 0; i++)
    grams.add(hash64(words.slice(i, i + GRAM_WORDS).join(" "))[0]);
  return grams;
}

const random = createRandom(HASHES);
const draw = () => Math.floor(random() * 2 ** 32);
const SALTS = Uint32Array.from({ length: HASHES }, draw);
/** Odd, so that each multiplication is a permutation. */
const FACTORS = Uint32Array.from({ length: HASHES }, () => draw() | 1);

/** The least value of each hash over the grams. */
function sign(grams: Iterable<number>, signature: Uint32Array): void {
  signature.fill(0xffffffff);
  for (const gram of grams) {
    for (let i = 0; i < HASHES; i++) {
      const product = Math.imul(gram ^ (SALTS[i] as number), FACTORS[i] as number);
      const hash = (product ^ (product >>> 15)) >>> 0;
      if (hash < (signature[i] as number)) signature[i] = hash;
    }
  }
}
