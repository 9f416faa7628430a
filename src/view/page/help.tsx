// The keys of the view that is on the screen.

import { useEffect, useRef } from "preact/hooks";
import { helpIsOpen, knownKeys } from "./keys.ts";
import { Icon } from "./parts/icon.tsx";

const NAMES: Readonly<Record<string, string>> = { Escape: "Esc", " ": "Space" };

export function HelpDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const isOpen = helpIsOpen.value;
  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isOpen]);
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="keys-title"
      onClose={() => (helpIsOpen.value = false)}
    >
      <div class="dialog-head">
        <h2 id="keys-title">Keys</h2>
        <button
          type="button"
          class="button-quiet"
          aria-label="Close"
          onClick={() => (helpIsOpen.value = false)}
        >
          <Icon name="cross" />
        </button>
      </div>
      {isOpen && (
        <dl class="keys">
          {knownKeys().map(({ key, does }) => (
            <div key={key}>
              <dt>
                <kbd>{NAMES[key] ?? key}</kbd>
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
      )}
    </dialog>
  );
}
