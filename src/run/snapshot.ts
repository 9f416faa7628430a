// A run at one moment, for those who watch it.

export interface Snapshot {
  readonly name: string;
  readonly simulated: boolean;
  readonly expected: number;
  /** Numbers of all records, those of earlier starts included. */
  readonly ok: number;
  readonly failed: number;
  readonly lost: number;
  /** Number of records when this start began. */
  readonly before: number;
  readonly inFlight: number;
  readonly elapsedMs: number;
  readonly roles: readonly {
    readonly name: string;
    readonly queued: number;
    readonly busy: number;
    readonly slots: number;
  }[];
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cost: number | null;
  readonly stopping: boolean;
  /** Rate limits that hold requests back, by their recipe keys. */
  readonly waitedFor: readonly string[];
}

/** The display on which a run shows its progress. */
export interface Display {
  /** Prints a line that stays. */
  say(line: string): void;
  stop(): void;
}

/** Opens a display that asks for a snapshot whenever it draws. */
export type OpenDisplay = (snapshot: () => Snapshot) => Display;

export const NO_DISPLAY: OpenDisplay = () => ({ say: () => undefined, stop: () => undefined });
