// The card of each run in the list: from its manifest, and, for the score, from its records.
// Scores are computed one run after the other in the background, so that the list comes at once.

import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { messageOf } from "../../error.ts";
import { valueAt } from "../../recipe/key-path.ts";
import { isHeld } from "../../records/lock.ts";
import { MANIFEST_FILE, type Manifest, readManifest } from "../../records/manifest.ts";
import { trajectoriesPath } from "../../records/record-file.ts";
import { isJsonObject, type JsonObject } from "../../task/json.ts";
import type { Counts, Estimate, RunCard, RunState } from "../api.ts";
import { estimate } from "../statistics/estimate.ts";
import type { RunTable } from "../table/run-table.ts";
import type { FoundRun } from "./find-runs.ts";
import { OpenRun } from "./open-run.ts";

/** Without an index, larger files of records are not read for the sake of the list. */
const UNINDEXED_BYTES_MAX = 256 * 2 ** 20;
const NO_COUNTS: Counts = { ok: 0, failed: 0, lost: 0 };

/** Sums and means over the records of a run. */
export interface Summary {
  readonly counts: Counts;
  readonly score: Estimate | null;
  readonly cost: number | null;
  readonly tokens: number;
  readonly models: readonly string[];
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

/** A summary, with the size of what it is of. */
interface Noted {
  readonly bytes: number;
  readonly records: number;
  readonly summary: Summary;
}

export class Cards {
  /** Summaries by path. */
  readonly #summaries = new Map<string, Noted>();
  readonly #waiting = new Map<string, FoundRun>();
  #working = false;
  #closed = false;

  async card(found: FoundRun): Promise<RunCard> {
    const path = found.kind === "run" ? trajectoriesPath(found.path) : found.path;
    const bytes = (await stat(path).catch(() => null))?.size ?? 0;
    const { manifest, problem } = await manifestOf(found);
    const known = this.#summaries.get(found.path);
    if (known?.bytes !== bytes) this.#want(found, bytes);
    const running = manifest?.state === "running" && (await isHeld(found.path));
    return cardOf({ found, bytes, manifest, problem, running, summary: known?.summary ?? null });
  }

  /** Notes what an open table says. */
  async note(found: FoundRun, bytes: number, table: RunTable): Promise<void> {
    const known = this.#summaries.get(found.path);
    if (known?.bytes === bytes && known.records === table.size) return;
    const summary = await summaryOf(table);
    this.#summaries.set(found.path, { bytes, records: table.size, summary });
  }

  /** Resolves when every score that was wanted is known. */
  async settled(): Promise<void> {
    while (this.#working) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  close(): void {
    this.#closed = true;
    this.#waiting.clear();
  }

  #want(found: FoundRun, bytes: number): void {
    const hasIndex = existsSync(join(found.path, "index"));
    if (bytes === 0 || (bytes > UNINDEXED_BYTES_MAX && !hasIndex)) return;
    this.#waiting.set(found.path, found);
    if (!this.#working && !this.#closed) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (let [next] = this.#waiting.values(); next !== undefined; [next] = this.#waiting.values()) {
      this.#waiting.delete(next.path);
      await this.#summarise(next);
    }
    this.#working = false;
  }

  async #summarise(found: FoundRun): Promise<void> {
    const run = new OpenRun(found);
    try {
      const path = found.kind === "run" ? trajectoriesPath(found.path) : found.path;
      const bytes = (await stat(path)).size;
      const table = await run.table();
      if (table !== null) await this.note(found, bytes, table);
    } catch {
      // The run itself tells what is wrong with it when it is looked at.
    } finally {
      await run.close();
    }
  }
}

async function manifestOf(
  found: FoundRun,
): Promise<{ readonly manifest: Manifest | null; readonly problem: string | null }> {
  if (found.kind === "file") return { manifest: null, problem: null };
  try {
    const manifest = await readManifest(found.path);
    const problem = manifest === null ? `it has no ${MANIFEST_FILE}` : null;
    return { manifest, problem };
  } catch (thrown) {
    return { manifest: null, problem: messageOf(thrown) };
  }
}

interface CardParts {
  readonly found: FoundRun;
  readonly bytes: number;
  readonly manifest: Manifest | null;
  readonly problem: string | null;
  /** True when the driver of the run lives. */
  readonly running: boolean;
  /** Null while the records were not read. */
  readonly summary: Summary | null;
}

export function cardOf(parts: CardParts): RunCard {
  const { found, bytes, manifest, problem, summary } = parts;
  const spent = manifest?.spent;
  const isPaid = manifest !== null && spent !== undefined && spent.cost > 0;
  const { ok, failed, lost } = summary?.counts ?? manifest ?? NO_COUNTS;
  const { stopped } = manifest ?? {};
  return {
    key: found.key,
    name: manifest?.name ?? basename(found.path),
    path: found.shown,
    state: stateOf(parts),
    problem: problem ?? (stopped === undefined ? null : `${stopped.why}: ${stopped.message}`),
    expected: manifest?.expected ?? null,
    counts: { ok, failed, lost },
    score: summary?.score ?? null,
    cost: isPaid ? spent.cost : (summary?.cost ?? null),
    tokens:
      spent === undefined || spent.requests === 0
        ? (summary?.tokens ?? 0)
        : spent.prompt_tokens + spent.completion_tokens,
    models: manifest === null ? (summary?.models ?? []) : modelsIn(manifest.recipe),
    orchestrator: manifest === null ? null : orchestratorIn(manifest.recipe),
    startedAt: manifest?.created_at ?? isoOf(summary?.startedAt),
    updatedAt: manifest?.updated_at ?? isoOf(summary?.endedAt),
    simulated: manifest?.simulated ?? false,
    bytes,
  };
}

function stateOf({ found, manifest, problem, running }: CardParts): RunState {
  if (found.kind === "file") return "foreign";
  if (manifest === null || problem !== null) return "broken";
  return manifest.state === "running" && !running ? "interrupted" : manifest.state;
}

/** Names of models as their endpoints have them, or else as the recipe does. */
function modelsIn(recipe: JsonObject): readonly string[] {
  const models = recipe["models"];
  if (!isJsonObject(models ?? null)) return [];
  return Object.entries(models as JsonObject).map(([name, model]) => {
    const own = isJsonObject(model) ? (model["model"] ?? model["kind"]) : null;
    return typeof own === "string" && own !== "simulated" ? own : name;
  });
}

function orchestratorIn(recipe: JsonObject): string | null {
  for (const key of ["pattern", "module", "graph"]) {
    const value = valueAt(recipe, `orchestrator.${key}`);
    if (typeof value === "string") return key === "pattern" ? value : basename(value);
  }
  return null;
}

async function summaryOf(table: RunTable): Promise<Summary> {
  const status = await table.texts("status");
  const counts = { ok: 0, failed: 0, lost: 0 };
  for (let n = 0; n < table.size; n++) {
    const name = status.strings[status.codes[n] ?? 0];
    if (name === "ok" || name === "failed" || name === "lost") counts[name]++;
  }
  const [admitted, ended] = [await table.numbers("admitted"), await table.numbers("ended")];
  const models = await table.texts("models");
  return {
    counts,
    score: await estimate(table, "score"),
    cost: sumOf(await table.numbers("cost"), table.size),
    tokens: sumOf(await table.numbers("tokens"), table.size) ?? 0,
    models: [...new Set(models.strings.flatMap((names) => names.split("\n")))].filter(
      (name) => name !== "",
    ),
    startedAt: extremeOf(admitted, table.size, Math.min),
    endedAt: extremeOf(ended, table.size, Math.max),
  };
}

/** The sum of the values; null when no record has one. */
function sumOf(values: ArrayLike<number>, size: number): number | null {
  let sum: number | null = null;
  for (let n = 0; n < size; n++) {
    const value = values[n] ?? Number.NaN;
    if (!Number.isNaN(value)) sum = (sum ?? 0) + value;
  }
  return sum;
}

function extremeOf(
  values: ArrayLike<number>,
  size: number,
  choose: (a: number, b: number) => number,
): number | null {
  let found: number | null = null;
  for (let n = 0; n < size; n++) {
    const value = values[n] ?? Number.NaN;
    if (!Number.isNaN(value)) found = found === null ? value : choose(found, value);
  }
  return found;
}

function isoOf(ms: number | null | undefined): string | null {
  return ms == null ? null : new Date(ms).toISOString();
}
