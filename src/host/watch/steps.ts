// The steps that run on a host, and the beat of its event loop, in memory that another thread can
// read: while a step of user code never yields, no code of this thread runs.

import type { Task } from "../../task/task.ts";

/** Steps that wait for a promise and are still named; further ones are not. */
const KEPT_MAX = 8;
const SLOTS = 1 + KEPT_MAX;
const ROLE_CHARS_MAX = 80;
const ROW_CHARS_MAX = 120;
const SLOT_CHARS = ROLE_CHARS_MAX + ROW_CHARS_MAX;

/** Numbers of a slot: the lengths of its role and its row, and the trial. A role has a name. */
const SLOT_NUMBERS = 3;
/** The number of further steps stands behind those of the slots, and the beats at the end. */
const FURTHER = SLOTS * SLOT_NUMBERS;
const BEATS = FURTHER + 1;
const NUMBERS = BEATS + 1;
const HEADER_BYTES = 4 * NUMBERS;

/** The parts of a step's name. Its text is made where it is read: steps take microseconds. */
export type StepName = Pick<Task, "role" | "rowId" | "trial">;

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
  readonly numbers: Int32Array;
  readonly chars: Uint16Array;
} {
  return {
    numbers: new Int32Array(memory, 0, NUMBERS),
    chars: new Uint16Array(memory, HEADER_BYTES),
  };
}

export class WatchedSteps {
  readonly memory = new SharedArrayBuffer(HEADER_BYTES + 2 * SLOTS * SLOT_CHARS);
  readonly #numbers: Int32Array;
  readonly #chars: Uint16Array;
  readonly #free = Array.from({ length: KEPT_MAX }, (_, index) => KEPT_MAX - index);
  readonly #slots = new Map<object, number>();

  constructor() {
    const { numbers, chars } = viewsOf(this.memory);
    this.#numbers = numbers;
    this.#chars = chars;
  }

  beat(): void {
    Atomics.add(this.#numbers, BEATS, 1);
  }

  /** The agent of a step is called. */
  begin(name: StepName): void {
    this.#write(0, name);
  }

  /** The agent has returned. */
  returned(): void {
    this.#numbers[0] = 0;
  }

  /** The agent has returned a promise; `step` is any object that stands for the step. */
  keep(step: object, name: StepName): void {
    const slot = this.#free.pop();
    this.#slots.set(step, slot ?? FURTHER);
    if (slot === undefined) Atomics.add(this.#numbers, FURTHER, 1);
    else this.#write(slot, name);
  }

  /** The step is settled. */
  drop(step: object): void {
    const slot = this.#slots.get(step);
    if (slot === undefined) return;
    this.#slots.delete(step);
    if (slot === FURTHER) {
      Atomics.sub(this.#numbers, FURTHER, 1);
      return;
    }
    this.#numbers[slot * SLOT_NUMBERS] = 0;
    this.#free.push(slot);
  }

  #write(slot: number, { role, rowId, trial }: StepName): void {
    const at = slot * SLOT_NUMBERS;
    this.#numbers[at + 1] = this.#copy(rowId, slot * SLOT_CHARS + ROLE_CHARS_MAX, ROW_CHARS_MAX);
    this.#numbers[at + 2] = trial;
    // A slot with a role is read, so the role comes last.
    this.#numbers[at] = this.#copy(role, slot * SLOT_CHARS, ROLE_CHARS_MAX);
  }

  /** Returns the length. */
  #copy(text: string, to: number, max: number): number {
    const length = Math.min(text.length, max);
    for (let index = 0; index < length; index++) this.#chars[to + index] = text.charCodeAt(index);
    return length;
  }
}

/** Reads the memory of `WatchedSteps`, from any thread. */
export function readSteps(memory: SharedArrayBuffer): ReadSteps {
  const { numbers, chars } = viewsOf(memory);
  const textAt = (from: number, length = 0): string =>
    String.fromCharCode(...chars.subarray(from, from + length));
  const names = Array.from({ length: SLOTS }, (_, slot) => {
    const from = slot * SLOT_CHARS;
    const [roleLength, rowLength, trial] = numbers.subarray(slot * SLOT_NUMBERS);
    if (roleLength === 0) return null;
    const role = textAt(from, roleLength);
    return `role ${role}, row ${textAt(from + ROLE_CHARS_MAX, rowLength)}, trial ${trial}`;
  });
  const [running = null, ...waiting] = names;
  return {
    beats: Atomics.load(numbers, BEATS),
    running,
    waiting: waiting.filter((name) => name !== null),
    further: Atomics.load(numbers, FURTHER),
  };
}
