// Fencing: a stateful sandbox serves one lineage of a task. Messages may come twice, late, or from an attempt that was given
// up; what they ask must not be done twice, nor to the state of a newer attempt. Pure; the pool keeps what it answers.

/** One call of a task: which attempt, at which hop, and what it asks (a digest). */
export interface Call {
  readonly attempt: number;
  readonly hop: number;
  readonly digest: string;
}

/**
 * `begin`: a session begins, with nothing in it. `go-on`: the session takes it. `repeat`: it was done, and its answer is known.
 * `refuse`: it is not newer than what was done, and not the same.
 */
export type Verdict = "begin" | "go-on" | "repeat" | "refuse";

/** `last` is the session's latest call, null where there is no session. */
export function judge(last: Call | null, call: Call): Verdict {
  if (last === null || call.attempt > last.attempt) return "begin";
  if (call.attempt < last.attempt || call.hop < last.hop) return "refuse";
  if (call.hop > last.hop) return "go-on";
  return call.digest === last.digest ? "repeat" : "refuse";
}
