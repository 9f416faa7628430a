// The clock of what waits: the one of the system, or a virtual one in simulations.

export interface Clock {
  /** Milliseconds from an arbitrary start. */
  now(): number;
  /** Calls `act` after this many milliseconds, unless the returned function is called first. */
  later(ms: number, act: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  later: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};
