// Engines and sandboxes of a machine as text.

import { type EngineName, type EngineReport, LIMITS } from "../../sandbox/contract.ts";
import type { SandboxStatus } from "../../sandbox/reaper.ts";
import { renderTable } from "./table.ts";

export interface CheckedEngine extends EngineReport {
  readonly engine: EngineName;
  /**
   * Milliseconds until a command in a started sandbox had answered, or why that failed. Null when
   * no sandbox was started.
   */
  readonly trial: { readonly ms: number } | { readonly failure: string } | null;
}

export function renderEngine({
  engine,
  usable,
  says,
  unenforced,
  hints,
  trial,
}: CheckedEngine): string {
  const enforced = LIMITS.filter((limit) => !unenforced.includes(limit));
  return [
    `${engine}: ${says}`,
    ...(usable ? [`  limits ${enforced.join(", ")}`] : []),
    ...(unenforced.length > 0 ? [`  cannot limit ${unenforced.join(", ")}`] : []),
    ...(trial === null
      ? []
      : "ms" in trial
        ? [`  started and answered within ${trial.ms} ms`]
        : [`  failed: ${trial.failure}`]),
    ...hints.map((hint) => `  hint: ${hint}`),
  ].join("\n");
}

/** `now` is in milliseconds since the epoch. */
export function renderSandboxes(found: readonly SandboxStatus[], now: number): string {
  const rows = [
    ["SANDBOX", "ENGINE", "RUN", "HOST", "AGE", "STATE", "IMAGE"],
    ...found.map(({ id, engine, run, host, startedAt, kept, ours, image }) => [
      id,
      engine,
      run,
      host,
      `${Math.round((now - startedAt) / 1000)} s`,
      kept ? "in use" : ours ? "left behind" : "another's",
      image,
    ]),
  ];
  return renderTable(rows, () => true);
}
