// Time as an argument. Code that reads the time takes a Clock, so that tests and simulations can
// pass their own.

/** Milliseconds since the epoch, with fractions. A clock never goes back within a process. */
export type Clock = () => number;

export const systemClock: Clock = () => performance.timeOrigin + performance.now();
