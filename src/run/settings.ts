// The settings of one start of a run, as parsed values.

import type { Address } from "../http/address.ts";
import type { Environment } from "../recipe/compose.ts";
import type { RetryChoice } from "../records/retry-choice.ts";
import type { OpenDisplay } from "./snapshot.ts";

/** Hosts beside the driver. */
export interface HostsSettings {
  /** Number of local host processes that the driver starts and supervises. */
  readonly workers: number;
  /**
   * The address at which the driver listens for hosts of other machines; null for loopback alone.
   */
  readonly listen: Address | null;
  /** The hostname under which hosts reach the driver; null for the one of `listen`. */
  readonly advertise: string | null;
  /** Cleartext between machines. */
  readonly insecure: boolean;
  /** Hosts wait this long for a driver that is gone. */
  readonly patienceMs: number;
}

export interface RunSettings {
  /** The run directory, as an absolute path. */
  readonly directory: string;
  /** Moves an existing run directory aside and starts a new run. */
  readonly fresh?: boolean;
  /** Records of the run whose tasks run again; null for none. */
  readonly retry?: RetryChoice | null;
  /** A run directory whose records are replayed in place of a dataset. */
  readonly replay?: string | null;
  /** Roles that a replay asks anew. */
  readonly ask?: readonly string[];
  /** The role, or the number of the hop, from which on a replay asks every role anew. */
  readonly from?: string | null;
  /** Null when the driver hosts every role itself. */
  readonly hosts?: HostsSettings | null;
  /** The address at which /metrics is served over HTTP/1.1. */
  readonly metrics?: Address | null;
  /** The address at which the driver serves the web page of the run while it goes on. */
  readonly view?: Address | null;
  /** Token of the run; null makes one. */
  readonly token?: string | null;
  /** OTEL_… variables, and values of `${env:…}` that hosts are given. */
  readonly env?: Environment;
}

/** The world around a run. */
export interface RunContext {
  /** Aborted: no further task begins; tasks in flight may finish within `run.grace`. */
  readonly drain?: AbortSignal;
  /** Aborted: the run stops at once. */
  readonly halt?: AbortSignal;
  /** Prints a line before there is a display. */
  readonly say?: (line: string) => void;
  readonly display?: OpenDisplay;
  /**
   * True when this process does nothing but this run: what user code prints goes to the run's log,
   * and errors that user code lets go are logged instead of ending the process.
   */
  readonly ownsProcess?: boolean;
}
