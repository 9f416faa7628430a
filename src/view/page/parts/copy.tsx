// A button that copies a text, and says so.

import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icon.tsx";

const SAID_MS = 1500;

export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [said, setSaid] = useState<string | null>(null);
  useEffect(() => {
    if (said === null) return;
    const timer = setTimeout(() => setSaid(null), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setSaid("copied"),
      () => setSaid("not copied"),
    );
  return (
    <button type="button" class="button-quiet copy" aria-label={`Copy ${what}`} onClick={copy}>
      <Icon name={said === "copied" ? "check" : "copy"} size={14} />
      {/* Its place is kept, so that nothing moves. */}
      <span role="status" class="visually-hidden">
        {said ?? ""}
      </span>
    </button>
  );
}
