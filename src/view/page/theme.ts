// Light or dark: as the system says, until the user chooses. The browser keeps the choice.

import { computed, effect, signal } from "@preact/signals";

export type Choice = "system" | "light" | "dark";
const KEY = "matrix.theme";

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", (event) => {
  systemIsDark.value = event.matches;
});

export const choice = signal<Choice>(stored());
export const theme = computed(() => {
  if (choice.value !== "system") return choice.value;
  return systemIsDark.value ? "dark" : "light";
});

effect(() => {
  const { dataset } = document.documentElement;
  if (choice.value === "system") delete dataset["theme"];
  else dataset["theme"] = choice.value;
});

export function choose(next: Choice): void {
  choice.value = next;
  keep(KEY, next);
}

function stored(): Choice {
  const kept = recall(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** Storage may be forbidden, as for pages of files. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The choice holds until the page is closed.
  }
}
