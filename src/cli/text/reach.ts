// The reach of a recipe, as `check` shows it before any code of the recipe is loaded.

import type { Reach } from "../../run/check/reach.ts";
import { printable } from "../../task/printable.ts";

export function renderReach({ runs, reads, mounts, asks, sends, writes }: Reach): string {
  const sections: readonly (readonly [title: string, lines: readonly string[]])[] = [
    [
      "runs",
      runs.map(
        ({ kind, what, where, key }) =>
          `${kind === "commands" ? "" : `${kind} `}${what} ${where} (${key})`,
      ),
    ],
    ["reads", reads.map(({ what, key }) => `${what} (${key})`)],
    [
      "mounts",
      mounts.map(
        ({ what, target, sandbox, writable, key }) =>
          `${what} as ${target} in sandbox ${sandbox}, ${writable ? "WRITABLE" : "read-only"} (${key})`,
      ),
    ],
    ["asks", asks.map(({ what, key }) => `${what} (${key})`)],
    ["sends", sends.map(({ what, to, key }) => `${what} to ${to} (${key})`)],
    ["writes", writes.map(({ what, key }) => `${what} (${key})`)],
  ];
  return [
    "what the recipe would do, by its keys alone",
    ...sections.flatMap(([title, lines]) =>
      lines.length === 0
        ? []
        : [`  ${title}`, ...lines.map((line) => `    ${printable(line).replaceAll("\n", " ")}`)],
    ),
  ].join("\n");
}
