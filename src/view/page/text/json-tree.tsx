// A JSON value as a tree that opens and closes. Long lists open in parts.

import { useState } from "preact/hooks";
import { visibleText } from "../parts/visible.tsx";

type Value =
  | null
  | boolean
  | number
  | string
  | readonly Value[]
  | { readonly [key: string]: Value };

const PART = 100;
const TEXT_MAX = 2_000;
const PREVIEW_MAX = 72;

export function JsonTree({
  value,
  name,
  open = 1,
}: {
  readonly value: unknown;
  readonly name?: string;
  /** Levels that are open at first. */
  readonly open?: number;
}) {
  return (
    <div class="json">
      <Node value={value as Value} name={name ?? null} open={open} />
    </div>
  );
}

interface NodeProps {
  readonly value: Value;
  readonly name: string | null;
  readonly open: number;
}

function Node({ value, name, open }: NodeProps) {
  if (value === null || typeof value !== "object")
    return (
      <div class="json-line">
        <Name name={name} />
        <Leaf value={value} />
      </div>
    );
  const entries: readonly (readonly [string, Value])[] = Array.isArray(value)
    ? value.map((one, index) => [String(index), one] as const)
    : Object.entries(value);
  if (entries.length === 0)
    return (
      <div class="json-line">
        <Name name={name} />
        <span class="muted">{Array.isArray(value) ? "[]" : "{}"}</span>
      </div>
    );
  return <Branch value={value} name={name} open={open} entries={entries} />;
}

function Branch({
  value,
  name,
  open,
  entries,
}: NodeProps & { readonly entries: readonly (readonly [string, Value])[] }) {
  const [isOpen, setOpen] = useState(open > 0);
  const [shown, setShown] = useState(PART);
  return (
    <details
      class="json-branch"
      open={isOpen}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>
        <Name name={name} />
        <span class="muted">{isOpen ? sizeOf(value, entries.length) : previewOf(value)}</span>
      </summary>
      {isOpen && (
        <div class="json-children">
          {entries.slice(0, shown).map(([key, child]) => (
            <Node key={key} name={key} value={child} open={open - 1} />
          ))}
          {entries.length > shown && (
            <button type="button" class="button-link" onClick={() => setShown(shown + PART * 5)}>
              {entries.length - shown} more
            </button>
          )}
        </div>
      )}
    </details>
  );
}

function Name({ name }: { readonly name: string | null }) {
  return name === null ? null : <span class="json-name">{visibleText(name)}</span>;
}

function Leaf({ value }: { readonly value: null | boolean | number | string }) {
  const [isWhole, setWhole] = useState(false);
  if (typeof value !== "string")
    return <span class="json-number">{value === null ? "null" : String(value)}</span>;
  const isLong = value.length > TEXT_MAX && !isWhole;
  return (
    <span class="json-text">
      {visibleText(isLong ? `${value.slice(0, TEXT_MAX)}…` : value)}
      {isLong && (
        <button type="button" class="button-link" onClick={() => setWhole(true)}>
          all {value.length} characters
        </button>
      )}
    </span>
  );
}

function sizeOf(value: Value, length: number): string {
  if (Array.isArray(value)) return `${length} item${length === 1 ? "" : "s"}`;
  return `${length} member${length === 1 ? "" : "s"}`;
}

/** The beginning of the value in one line. It stops early, so that a large value costs little. */
function previewOf(value: Value): string {
  let left = PREVIEW_MAX;
  const walk = (one: Value): string => {
    if (left <= 0) return "…";
    if (one === null || typeof one !== "object") {
      const text = typeof one === "string" ? JSON.stringify(one.slice(0, left)) : String(one);
      left -= text.length;
      return text;
    }
    if (Array.isArray(one)) return `[${walkAll(one, (item) => walk(item as Value))}]`;
    return `{${walkAll(Object.entries(one), ([key, child]) => {
      left -= key.length + 2;
      return `${key}: ${walk(child)}`;
    })}}`;
  };
  const walkAll = <T,>(items: readonly T[], each: (item: T) => string): string => {
    const parts: string[] = [];
    for (const item of items) {
      if (left <= 0) {
        parts.push("…");
        break;
      }
      parts.push(each(item));
    }
    return parts.join(", ");
  };
  return visibleText(walk(value));
}
