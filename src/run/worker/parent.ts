// The parent of a worker that must not outlive it. A process whose parent dies gets another parent
// at once, so a parent that is not the expected one means that the expected one is dead.

const LOOK_MS = 1000;

/** Calls `onGone` once, when `pid` is not the parent. The returned function ends the watch. */
export function watchParent(pid: number, onGone: () => void): () => void {
  const timer = setInterval(() => {
    if (process.ppid === pid) return;
    clearInterval(timer);
    onGone();
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
