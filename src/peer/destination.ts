// The destination of a message: where it goes next, derived from the message alone. It is a tagged
// value and never a bare role name, because a recipe may give a role any name.

import type { Message } from "../task/task.ts";
import type { HostId } from "./member.ts";

export type Destination =
  /** Any host that serves the role. */
  | { readonly kind: "role"; readonly role: string }
  /** Any host at all: it sends out the branches of a task and waits for them. */
  | { readonly kind: "any host" }
  /** The driver, which records the end of a task. */
  | { readonly kind: "sink" }
  /** The one process that waits for the end of this branch. */
  | { readonly kind: "process"; readonly id: HostId };

const ANY_HOST: Destination = { kind: "any host" };
const SINK: Destination = { kind: "sink" };

export function destinationOf({ kind, task }: Message): Destination {
  if (kind === "step") return { kind: "role", role: task.role };
  if (kind === "fork") return ANY_HOST;
  return task.branch === undefined ? SINK : { kind: "process", id: task.branch.of };
}
