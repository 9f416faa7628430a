// A stable order of doubles, by their bits: least significant digits first. It takes time that
// grows with the number of keys alone, and no comparisons.

const DIGIT_BITS = 16;
const DIGITS = 1 << DIGIT_BITS;
const DIGIT_MASK = DIGITS - 1;
const SIGN = 0x8000_0000;
const UINT32_MAX = 0xffff_ffff;

/**
 * The places of the keys in their order. Equal keys keep the order of their places, and NaN comes
 * last in both directions.
 */
export function sortedPlaces(keys: Float64Array, descending: boolean): Uint32Array {
  const low = new Uint32Array(keys.length);
  const high = new Uint32Array(keys.length);
  const turn = descending ? UINT32_MAX : 0;
  const one = new Float64Array(1);
  const words = new Uint32Array(one.buffer);
  for (let place = 0; place < keys.length; place++) {
    const key = keys[place] ?? Number.NaN;
    // 0 and -0 are one key.
    one[0] = key === 0 ? 0 : key;
    const [lower = 0, upper = 0] = words;
    // The bits of negative numbers are in reverse order, and their sign bit is set.
    const flip = upper >= SIGN ? UINT32_MAX : 0;
    const isNone = Number.isNaN(key);
    low[place] = isNone ? UINT32_MAX : lower ^ flip ^ turn;
    high[place] = isNone ? UINT32_MAX : upper ^ (flip === 0 ? SIGN : flip) ^ turn;
  }
  let places = new Uint32Array(keys.length);
  for (let place = 0; place < keys.length; place++) places[place] = place;
  let spare = new Uint32Array(keys.length);
  for (const half of [low, high])
    for (const shift of [0, DIGIT_BITS]) {
      sortByDigit(places, spare, half, shift);
      [places, spare] = [spare, places];
    }
  return places;
}

/** One pass: `sorted` gets the places in the order of one digit of their keys. */
function sortByDigit(
  places: Uint32Array,
  sorted: Uint32Array,
  keys: Uint32Array,
  shift: number,
): void {
  const nextOf = new Uint32Array(DIGITS);
  for (const key of keys) {
    const digit = (key >>> shift) & DIGIT_MASK;
    nextOf[digit] = (nextOf[digit] ?? 0) + 1;
  }
  let before = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = nextOf[digit] ?? 0;
    nextOf[digit] = before;
    before += count;
  }
  for (const place of places) {
    const digit = ((keys[place] ?? 0) >>> shift) & DIGIT_MASK;
    const next = nextOf[digit] ?? 0;
    sorted[next] = place;
    nextOf[digit] = next + 1;
  }
}
