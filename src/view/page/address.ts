// The address of the page. All that a view shows follows from it, so that a link shows the same.
// It stands behind `#`, which works on any web server and under file://.

import { signal } from "@preact/signals";

export interface Address {
  readonly path: readonly string[];
  readonly query: Readonly<Record<string, string>>;
}

export const address = signal<Address>(parseAddress(location.hash));
addEventListener("hashchange", () => {
  address.value = parseAddress(location.hash);
});

export function parseAddress(hash: string): Address {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return {
    path: path
      .split("/")
      .filter((part) => part !== "")
      .map(decode),
    query: Object.fromEntries(new URLSearchParams(search)),
  };
}

type Query = Readonly<Record<string, string | number | undefined>>;

export function href(path: readonly (string | number)[], query: Query = {}): string {
  const set = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, String(value)]],
  );
  const search = set.length === 0 ? "" : `?${new URLSearchParams(set)}`;
  return `#/${path.map((part) => encodeURIComponent(part)).join("/")}${search}`;
}

export function go(to: string): void {
  location.hash = to;
}

/** Changes parameters and leaves the others. The step back leads to the view before. */
export function setQuery(changes: Query): void {
  const { path, query } = address.value;
  const to = href(path, { ...query, ...changes });
  history.replaceState(null, "", to);
  address.value = parseAddress(to);
}

/** Leads up: from a record to its list, from a run to all runs. */
export function goUp({ path, query }: Address): void {
  const [kind, key = "", tab = ""] = path;
  const isBelow = kind === "run" && (tab === "record" || tab === "row");
  go(isBelow ? href(["run", key, "records"], query) : href([]));
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
