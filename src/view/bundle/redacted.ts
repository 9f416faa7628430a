// The values that leave the machine with a bundle: without texts that look like a credential, and
// without the folders of this machine. Secrets that the program knows were masked before.

import { isAbsolute } from "node:path";
import { withoutCredentials } from "../../task/credential-patterns.ts";

/** A path that begins at the root of this machine, and its last part. */
const PATH = /^(?:\/[^/\0]+)*\/([^/\0]+)$/;
const PATH_CHARS_MAX = 4096;

/** A copy in which no text looks like a credential. */
export function withoutCredentialsIn<T>(value: T): T {
  return mapped(value, withoutCredentials) as T;
}

/** A copy with the last parts of absolute paths, in place of the whole paths. */
export function withoutFolders<T>(value: T): T {
  return mapped(value, (text) =>
    text.length <= PATH_CHARS_MAX && isAbsolute(text) ? text.replace(PATH, "$1") : text,
  ) as T;
}

/** Names of members are texts too. Values are no deeper than the page shows. */
function mapped(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((part) => mapped(part, change));
  // Numbers that a double cannot hold stay as they are.
  if (typeof value !== "object" || value === null || !isPlain(value)) return value;
  const members = Object.entries(value).map(([name, part]) => [change(name), mapped(part, change)]);
  return Object.fromEntries(members);
}

function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype;
}
