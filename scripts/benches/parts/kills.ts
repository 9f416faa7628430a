// Kills workers in turn and measures how soon each was replaced.

import { setTimeout as sleep } from "node:timers/promises";
import type { Hop } from "../../../src/task/task.ts";
import type { Running } from "./drive.ts";

const LOOK_EVERY_MS = 10;

export class Kill {
  readonly worker: string;
  /** Milliseconds since the epoch, as in records. */
  readonly at = performance.timeOrigin + performance.now();
  /** Time until its replacement was started; null when the run ended before that. */
  startMs: number | null = null;
  /** Time until its replacement began a step; null when the run ended before that. */
  serveMs: number | null = null;

  constructor(worker: string) {
    this.worker = worker;
  }

  started(): void {
    this.startMs = performance.timeOrigin + performance.now() - this.at;
  }

  /**
   * Notes a hop that the replacement did; a replacement has the name of the killed worker. Hops may
   * come in any order.
   */
  see({ host, at }: Hop): void {
    const afterMs = Date.parse(at) - this.at;
    if (host === this.worker && afterMs > 0)
      this.serveMs = Math.min(this.serveMs ?? afterMs, afterMs);
  }
}

/** Kills one worker after the other with SIGKILL until the run is over. */
export async function killInTurn(
  { workers, ended }: Running,
  everyMs: number,
  kills: Kill[],
): Promise<void> {
  let isOver = false;
  const over = ended.then(() => {
    isOver = true;
  });
  while (!isOver) {
    await Promise.race([over, sleep(everyMs)]);
    const running = workers().toSorted((a, b) => a.name.localeCompare(b.name));
    const victim = running[kills.length % running.length];
    if (isOver || victim === undefined) continue;
    process.kill(victim.pid, "SIGKILL");
    const kill = new Kill(victim.name);
    kills.push(kill);
    while (!isOver && kill.startMs === null) {
      await sleep(LOOK_EVERY_MS);
      if (workers().some(({ name, pid }) => name === victim.name && pid !== victim.pid))
        kill.started();
    }
  }
}
