// Signals as two wishes: the first SIGINT or SIGTERM drains the run, the second (or the end of the grace time) halts it.

export interface Interrupts {
  readonly drain: AbortSignal;
  readonly halt: AbortSignal;
  dispose(): void;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export function catchInterrupts(graceMs: number, say: (message: string) => void): Interrupts {
  const drain = new AbortController();
  const halt = new AbortController();
  let grace: NodeJS.Timeout | undefined;

  const onSignal = (): void => {
    if (drain.signal.aborted) {
      halt.abort();
      return;
    }
    say(`stopping: what is in flight may finish within ${graceMs / 1000} s; again to stop now`);
    drain.abort();
    grace = setTimeout(() => halt.abort(), graceMs);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    drain: drain.signal,
    halt: halt.signal,
    dispose: () => {
      clearTimeout(grace);
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
