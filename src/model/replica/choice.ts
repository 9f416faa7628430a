// The choice of a replica. A request goes to the first one in the order of its task that has room
// and is not overloaded. A replica is overloaded when its answer is expected much later than that
// of the best one, even if the best one has no room and the request has to wait for it. Pure.

/** Factor and time by which a replica may be slower than the best, for its warm prefix cache. */
const SLOWER_MAX = 2;
const SLACK_MS = 100;

export interface Candidate {
  readonly hasRoom: boolean;
  /** False when it has never answered; then only the age of its requests can speak against it. */
  readonly isKnown: boolean;
  /** True when it had no request for so long that its speed is no longer known. */
  readonly isStale: boolean;
  /** Expected time to an answer, behind `ahead` requests that wait. */
  expectedMs(ahead: number): number;
}

/**
 * The longest time that a request may be expected to take at a replica; the candidates are all that
 * can be used, with room or without. `waiting` counts the requests that wait for room.
 */
export function limitMs(candidates: readonly Candidate[], waiting: number): number {
  const full = candidates.reduce((count, { hasRoom }) => count + (hasRoom ? 0 : 1), 0);
  let best = Number.POSITIVE_INFINITY;
  for (const one of candidates)
    if (one.isKnown) best = Math.min(best, one.expectedMs(one.hasRoom ? 0 : waiting / full));
  return best * SLOWER_MAX + SLACK_MS;
}

/** Returns null when it is better to wait than to take what has room. */
export function choose<T extends Candidate>(ordered: readonly T[], waiting: number): T | null {
  const limit = limitMs(ordered, waiting);
  return ordered.find((one) => one.hasRoom && isWorth(one, limit)) ?? null;
}

export function isWorth(candidate: Candidate, limit: number): boolean {
  return candidate.isStale || candidate.expectedMs(0) <= limit;
}
