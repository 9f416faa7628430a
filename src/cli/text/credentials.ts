// The lines about records whose content looks like it holds credentials.

import type { FoundCredentials } from "../../task/credential-patterns.ts";
import { grouped } from "./figures.ts";

/** The sentence that tells how many records may hold credentials; null for none. */
export function renderCredentials({ records, rules }: FoundCredentials): string | null {
  if (records === 0) return null;
  const kinds = Object.entries(rules)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${grouped(count)}`);
  const what = records === 1 ? "1 record holds" : `${grouped(records)} records hold`;
  return `${what} what looks like a credential: ${kinds.join(", ")}`;
}
