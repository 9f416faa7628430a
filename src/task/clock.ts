// Time as an argument: what reads the clock takes one of these, so that tests and simulations can bring their own.

/** Milliseconds since the epoch, with fractions, never going back within a process. */
export type Clock = () => number;

export const systemClock: Clock = () => performance.timeOrigin + performance.now();
