// The filter of a list of records, as it stands in the address.

import type { RecordQuery, SortKey } from "../../api.ts";
import { address, setQuery } from "../address.ts";

const NAMES = [
  ...["status", "stop", "error", "message", "id", "trial", "verdict", "label"],
  ...["score", "turns", "tokens", "cost", "ms", "ended", "where", "q", "sort", "desc"],
];

/** The parameters of the address that choose and order records. */
export function recordQuery(query = address.value.query): RecordQuery {
  return Object.fromEntries(
    Object.entries(query).filter(([name]) => NAMES.includes(name) || name.startsWith("col.")),
  );
}

export interface ActiveFilter {
  readonly name: string;
  readonly label: string;
}

const TITLES: Readonly<Record<string, string>> = {
  stop: "stopped",
  message: "message",
  ms: "latency (ms)",
  where: "CEL",
  q: "text",
};

/** The filters that are on, but for the order. */
export function activeFilters(query: RecordQuery): readonly ActiveFilter[] {
  return Object.entries(query)
    .filter(([name]) => name !== "sort" && name !== "desc")
    .map(([name, value]) => {
      const words = String(value).split(",").map(decode).join(" or ");
      return { name, label: `${TITLES[name] ?? name.replace(/^col\./, "")}: ${words}` };
    });
}

export function clearFilters(query: RecordQuery): void {
  setQuery(Object.fromEntries(activeFilters(query).map(({ name }) => [name, undefined])));
}

/** A click on a head sorts by it, a second one turns the order, and a third one ends it. */
export function toggleSort(query: RecordQuery, key: SortKey): void {
  if (query.sort !== key) setQuery({ sort: key, desc: undefined });
  else if (query.desc !== "1") setQuery({ desc: "1" });
  else setQuery({ sort: undefined, desc: undefined });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
