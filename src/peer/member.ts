// A member is a process that takes part in a run, as the other processes know it: its roles, its
// address and its load.

/** Identifies one life of a process; a restarted process has a new id. */
export type HostId = string;

export interface Member {
  readonly id: HostId;
  /** Its name in records and logs. */
  readonly name: string;
  /** The roles that it serves; none for the driver. */
  readonly roles: readonly string[];
  /** True for the driver, which takes the ends of tasks. */
  readonly isSink: boolean;
  /** The URL at which its peers reach it: http://… or https://… */
  readonly address: string;
  /** True while it hands over its messages and takes no new ones. */
  readonly leaving: boolean;
}

/**
 * How busy a role is, on one host or on all: steps that run and steps that wait, against how many
 * can run at once.
 */
export interface RoleLoad {
  readonly name: string;
  readonly busy: number;
  readonly queued: number;
  readonly slots: number;
}

/** The load of a host, by role. */
export type Load = Readonly<Record<string, Omit<RoleLoad, "name">>>;

export function loadOf(roles: readonly RoleLoad[]): Load {
  return Object.fromEntries(
    roles.map(({ name, busy, queued, slots }) => [name, { busy, queued, slots }]),
  );
}
