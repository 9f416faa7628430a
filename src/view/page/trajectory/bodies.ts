// The content of a record's hops, fetched as they come onto the screen.

import { useEffect, useMemo, useReducer } from "preact/hooks";
import type { HopBody, RecordAnswer, RecordRef } from "../../api.ts";
import { useSource } from "../loaded.ts";
import type { Source } from "../source/contract.ts";

const PART = 40;

export class Bodies {
  problem: Error | null = null;
  private readonly bodies = new Map<number, HopBody>();
  private readonly asked = new Set<number>();
  private readonly source: Source;
  private readonly run: string;
  private readonly ref: RecordRef;
  private readonly total: number;
  private readonly changed: () => void;

  constructor(
    source: Source,
    run: string,
    ref: RecordRef,
    record: RecordAnswer,
    changed: () => void,
  ) {
    this.source = source;
    this.run = run;
    this.ref = ref;
    this.total = record.hops.length;
    this.changed = changed;
    this.keep(record.first.from, record.first.hops);
  }

  /** By the place in the history. */
  at(index: number): HopBody | null {
    return this.bodies.get(index) ?? null;
  }

  want(from: number, to: number): void {
    for (let index = from; index <= Math.min(to, this.total - 1); index++) {
      if (this.bodies.has(index) || this.asked.has(index)) continue;
      const count = Math.min(PART, this.total - index);
      void this.fetch(index, count);
      index += count - 1;
    }
  }

  private async fetch(from: number, count: number): Promise<void> {
    const asked = Array.from({ length: count }, (_, index) => from + index);
    for (const index of asked) this.asked.add(index);
    try {
      const answer = await this.source.hops(this.run, this.ref, from, count);
      this.keep(answer.from, answer.hops);
      this.problem = null;
    } catch (problem) {
      this.problem = problem instanceof Error ? problem : new Error(String(problem));
    }
    // An answer may hold fewer than were asked for: the rest is asked for when it is on the screen.
    for (const index of asked) this.asked.delete(index);
    this.changed();
  }

  private keep(from: number, hops: readonly HopBody[]): void {
    for (const [index, body] of hops.entries()) this.bodies.set(from + index, body);
  }
}

export function useBodies(run: string, ref: RecordRef, record: RecordAnswer): Bodies {
  const source = useSource();
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  return useMemo(
    () => new Bodies(source, run, ref, record, () => redraw(undefined)),
    [source, run, ref, record],
  );
}

/** Fetches the bodies of a range once it has been on the screen for a moment. */
export function useWanted(bodies: Bodies, from: number, to: number): void {
  useEffect(() => {
    const timer = setTimeout(() => bodies.want(from, to), 30);
    return () => clearTimeout(timer);
  }, [bodies, from, to]);
}
