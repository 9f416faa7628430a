// The steps that run on a host, and the beat of its event loop, in memory that another thread can
// read: while a step of user code never yields, no code of this thread runs.

/** Steps that wait for a promise and are still named; further ones are not. */
const KEPT_MAX = 8;
const CHARS_MAX = 200;
const SLOTS = 1 + KEPT_MAX;
/** The number of beats, the length of each name, and the number of further steps. */
const COUNTS = 1 + SLOTS + 1;
const FURTHER = COUNTS - 1;
const HEADER_BYTES = 4 * COUNTS;

export interface ReadSteps {
  /** Grows while the event loop goes round. */
  readonly beats: number;
  /** The step whose agent was called and has not returned; null for none. */
  readonly running: string | null;
  /** Steps whose agent has returned a promise; at most eight. */
  readonly waiting: readonly string[];
  /** Number of further such steps. */
  readonly further: number;
}

function viewsOf(memory: SharedArrayBuffer): {
  readonly counts: Int32Array;
  readonly chars: Uint16Array;
} {
  return {
    counts: new Int32Array(memory, 0, COUNTS),
    chars: new Uint16Array(memory, HEADER_BYTES),
  };
}

export class WatchedSteps {
  readonly memory = new SharedArrayBuffer(HEADER_BYTES + 2 * SLOTS * CHARS_MAX);
  readonly #counts: Int32Array;
  readonly #chars: Uint16Array;
  readonly #free = Array.from({ length: KEPT_MAX }, (_, index) => KEPT_MAX - index);
  readonly #slots = new Map<object, number>();

  constructor() {
    const { counts, chars } = viewsOf(this.memory);
    this.#counts = counts;
    this.#chars = chars;
  }

  beat(): void {
    Atomics.add(this.#counts, 0, 1);
  }

  /** The agent of a step is called. */
  begin(name: string): void {
    this.#write(0, name);
  }

  /** The agent has returned. */
  returned(): void {
    this.#counts[1] = 0;
  }

  /**
   * The agent has returned a promise; `step` is any object that stands for the step. Thousands may
   * wait, so the name is made only for a step that gets a place.
   */
  keep(step: object, name: () => string): void {
    const slot = this.#free.pop();
    this.#slots.set(step, slot ?? FURTHER);
    if (slot === undefined) Atomics.add(this.#counts, FURTHER, 1);
    else this.#write(slot, name());
  }

  /** The step is settled. */
  drop(step: object): void {
    const slot = this.#slots.get(step);
    if (slot === undefined) return;
    this.#slots.delete(step);
    if (slot === FURTHER) {
      Atomics.sub(this.#counts, FURTHER, 1);
      return;
    }
    this.#counts[1 + slot] = 0;
    this.#free.push(slot);
  }

  #write(slot: number, name: string): void {
    const length = Math.min(name.length, CHARS_MAX);
    const from = slot * CHARS_MAX;
    for (let index = 0; index < length; index++) this.#chars[from + index] = name.charCodeAt(index);
    this.#counts[1 + slot] = length;
  }
}

/** Reads the memory of `WatchedSteps`, from any thread. */
export function readSteps(memory: SharedArrayBuffer): ReadSteps {
  const { counts, chars } = viewsOf(memory);
  const names = Array.from({ length: SLOTS }, (_, slot) => {
    const from = slot * CHARS_MAX;
    return String.fromCharCode(...chars.subarray(from, from + (counts[1 + slot] ?? 0)));
  });
  const [running, ...waiting] = names;
  return {
    beats: Atomics.load(counts, 0),
    running: running === undefined || running === "" ? null : running,
    waiting: waiting.filter((name) => name !== ""),
    further: Atomics.load(counts, FURTHER),
  };
}
