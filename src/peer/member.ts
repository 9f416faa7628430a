// A process that takes part in a run, as the others know it: what it serves, where it is, and how
// busy it is.

/** Names one life of a process: a process that was started again has another. */
export type HostId = string;

export interface Member {
  readonly id: HostId;
  /** Its name in records and logs. */
  readonly name: string;
  /** The roles that it serves; none for the driver. */
  readonly roles: readonly string[];
  /** The driver takes the ends of tasks; hosts do not. */
  readonly isSink: boolean;
  /** The URL at which its peers reach it: http://… or https://… */
  readonly address: string;
  /** It hands over what it has and takes nothing new. */
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
