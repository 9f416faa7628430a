// Colours of roles: in the order in which they first act, so that a role keeps its colour within
// a record. A name always stands beside the colour.

import type { HopLine } from "../../api.ts";

const COLOURS = 8;

export type RoleColours = ReadonlyMap<string, string>;

export function coloursOf(hops: readonly HopLine[]): RoleColours {
  const colours = new Map<string, string>();
  for (const { role } of hops)
    if (!colours.has(role)) colours.set(role, `var(--role-${colours.size % COLOURS})`);
  return colours;
}
