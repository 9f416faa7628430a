// Fencing: a stateful sandbox serves one lineage of a task. A message may come twice, late, or from
// an attempt that was given up. Its request must not be done twice, nor change the state of a newer
// attempt. This file only decides; the pool keeps sessions and answers.

/** One call of a task: its attempt, its hop, the try of this hop, and a digest of its request. */
export interface Call {
  readonly attempt: number;
  readonly hop: number;
  readonly tries: number;
  readonly digest: string;
}

/**
 * `begin`: a new session begins. `go-on`: the session takes the call. `repeat`: the call was made
 * before, and its answer is known. `refuse`: the call is older than the last one, or another call
 * in its place.
 */
export type Verdict = "begin" | "go-on" | "repeat" | "refuse";

/** `last` is the session's latest call, or null without a session. */
export function judge(last: Call | null, call: Call): Verdict {
  if (last === null || call.attempt > last.attempt) return "begin";
  if (call.attempt < last.attempt || call.hop < last.hop) return "refuse";
  if (call.hop > last.hop || call.tries > last.tries) return "go-on";
  if (call.tries < last.tries) return "refuse";
  return call.digest === last.digest ? "repeat" : "refuse";
}
