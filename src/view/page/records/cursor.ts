// The row of the list that the keys have reached. The address keeps it, so that the way back from
// a record leads to its row.

import { useEffect, useState } from "preact/hooks";
import { address, go, href, setQuery } from "../address.ts";
import { useKeys } from "../keys.ts";
import type { RecordPages } from "./pages.ts";

export function useCursor(
  run: string,
  pages: RecordPages,
  show: (index: number) => void,
): number | null {
  const kept = Number(address.value.query["at"] ?? Number.NaN);
  const [at, setAt] = useState(Number.isInteger(kept) ? kept : null);
  useEffect(() => {
    if (at !== null) show(at);
  }, []);
  const move = (by: number) => {
    const next = Math.max(0, Math.min(pages.matched - 1, (at ?? -1) + by));
    setAt(next);
    show(next);
  };
  const open = () => {
    const record = at === null ? null : pages.at(at);
    if (record === null) return;
    setQuery({ at: at ?? undefined });
    go(href(["run", run, "record", record.id, record.trial], { ...pages.query }));
  };
  useKeys([
    { key: "j", does: "Next record", act: () => move(1) },
    { key: "k", does: "Previous record", act: () => move(-1) },
    { key: "h", does: "Back to all runs", act: () => go(href([])) },
    { key: "l", does: "Open the record", act: open },
    { key: "Enter", does: "Open the record", act: open },
  ]);
  return at;
}
