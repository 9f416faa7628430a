// Time as an argument. Code that reads the time takes a Clock, so that tests and simulations can
// pass their own.

/** Milliseconds since the epoch, with fractions. A clock never goes back within a process. */
export type Clock = () => number;

/** Read once: the property takes longer than the time itself. */
const { timeOrigin } = performance;

export const systemClock: Clock = () => timeOrigin + performance.now();
