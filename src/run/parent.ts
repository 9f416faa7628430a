// The process that started this one, for a worker that must not outlive it. A process whose parent dies gets another one at
// once, so a parent that is not the expected one is a dead one.

const LOOK_MS = 1000;

/** Calls `onGone` once, when `pid` is not the parent of this process (any more). Until disposed. */
export function watchParent(pid: number, onGone: () => void): () => void {
  const timer = setInterval(() => {
    if (process.ppid === pid) return;
    clearInterval(timer);
    onGone();
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
