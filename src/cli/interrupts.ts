// Signals of the user: the first SIGINT or SIGTERM drains the run, the second halts
// it.

/** Two signals for a run, and the end of listening for them. */
export interface Interrupts {
  readonly drain: AbortSignal;
  readonly halt: AbortSignal;
  dispose(): void;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export function catchInterrupts(): Interrupts {
  const drain = new AbortController();
  const halt = new AbortController();
  const onSignal = (): void => (drain.signal.aborted ? halt.abort() : drain.abort());
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    drain: drain.signal,
    halt: halt.signal,
    dispose: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
