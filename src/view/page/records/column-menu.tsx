// The menu that chooses the columns of the list.

import { setQuery } from "../address.ts";
import { Icon } from "../parts/icon.tsx";
import { visibleText } from "../parts/visible.tsx";
import type { ShownColumn } from "./columns.tsx";

export function ColumnMenu({
  shapes,
  hidden,
}: {
  readonly shapes: readonly ShownColumn[];
  readonly hidden: ReadonlySet<string>;
}) {
  const toggle = (id: string) => {
    const next = new Set(hidden);
    if (!next.delete(id)) next.add(id);
    // An empty parameter would be left out, and hide what is not usual.
    setQuery({ hide: next.size === 0 ? "none" : [...next].join(",") });
  };
  return (
    <details class="menu">
      <summary class="button">
        <Icon name="columns" size={14} /> Columns
      </summary>
      <div class="menu-list">
        {shapes.map(({ id, title }) => (
          <label key={id} class="check">
            <input
              type="checkbox"
              checked={!hidden.has(id)}
              disabled={id === "id"}
              onChange={() => toggle(id)}
            />
            {visibleText(title)}
          </label>
        ))}
      </div>
    </details>
  );
}
