// manifest.json: the identity of a run and its progress. It is written whole or not at all
// (src/durable-file.ts), so a killed driver leaves the previous one. While a run goes on,
// its counts are a lower bound; the records are the truth.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { replaceFile } from "../durable-file.ts";
import { MatrixError, messageOf } from "../error.ts";
import type { JsonObject } from "../task/json.ts";
import { NOTHING_SPENT_BY_HOSTS } from "../task/spent.ts";
import { spentEntries } from "../task/usage-schema.ts";
import type { Confirm } from "./held-lock.ts";

export const MANIFEST_FORMAT = "matrix-manifest-1";
export const MANIFEST_FILE = "manifest.json";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
/**
 * Reasons why a start ended early: a signal of the user, a used-up budget, ends that no row can
 * change (run.stop_after), or an error of the run itself.
 */
const STOPPED_BY = ["signal", "budget", "early_stop", "disk", "error"] as const;

const manifestSchema = v.strictObject({
  format: v.literal(MANIFEST_FORMAT),
  name: v.string(),
  /**
   * `complete`: every (row, trial) has its record. `stopped`: the run ended early and can be
   * continued. `running`: the run goes on, or its driver was killed.
   */
  state: v.picklist(["running", "stopped", "complete"]),
  /**
   * Why the last start ended before the run was complete; left out of a manifest whose `state` is
   * another than `stopped`.
   */
  stopped: v.optional(v.strictObject({ why: v.picklist(STOPPED_BY), message: v.string() })),
  /** Equals ok + failed + lost once the run is complete. */
  expected: count,
  ok: count,
  failed: count,
  lost: count,
  /** Number of records that retries moved to superseded.jsonl; left out when there are none. */
  superseded: v.optional(count),
  /**
   * The sum that all drivers of the run spent on models. `hosts`: the part of it that each process
   * reported.
   */
  spent: v.optional(
    v.strictObject({ ...spentEntries, hosts: v.record(v.string(), v.strictObject(spentEntries)) }),
    {
      ...NOTHING_SPENT_BY_HOSTS,
    },
  ),
  /** True when a model of the recipe is simulated, or any answer was. */
  simulated: v.boolean(),
  seed: count,
  trials: count,
  dataset: v.strictObject({
    rows: count,
    /** sha256 over ids and contents, in order. */
    digest: v.string(),
    /** Digest of every (row id, trial), independent of their order. */
    ids_digest: v.string(),
  }),
  /** The run directory that this run replays. Each of its records is one row of this run. */
  replay: v.optional(v.string()),
  /** Roles that the replay asks anew, and the hop or the role from which on it asks every role. */
  replay_ask: v.optional(v.array(v.string())),
  replay_from: v.optional(v.union([v.string(), count])),
  /** The resolved recipe as JSON. A continued run is compared with it. */
  recipe: v.custom<JsonObject>((value) => typeof value === "object" && value !== null),
  /** sha256 of prompts, modules, tools and schemas, by path. */
  hashes: v.record(v.string(), v.string()),
  /** `prices`: the list that prices come from, where the recipe leaves them to it. */
  versions: v.strictObject({
    matrix: v.string(),
    runtime: v.string(),
    prices: v.exactOptional(v.string()),
  }),
  created_at: v.string(),
  updated_at: v.string(),
});

export type Manifest = v.InferOutput<typeof manifestSchema>;

/** Why a start of a run ended before the run was complete. */
export type Stopped = NonNullable<Manifest["stopped"]>;

/** The identity of a run: every field of the manifest that does not change while it runs. */
export type RunIdentity = Omit<
  Manifest,
  | "format"
  | "state"
  | "stopped"
  | "ok"
  | "failed"
  | "lost"
  | "superseded"
  | "spent"
  | "created_at"
  | "updated_at"
>;

/**
 * Returns null when the directory has no manifest. Fails with `run_refused` when the manifest
 * cannot be trusted.
 */
export async function readManifest(directory: string): Promise<Manifest | null> {
  const path = join(directory, MANIFEST_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new MatrixError("run_refused", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  return parseManifest(text, path);
}

/** Fails with `storage_failed`, or as `confirm` does. */
export async function writeManifest(
  directory: string,
  manifest: Manifest,
  confirm?: Confirm,
): Promise<void> {
  const path = join(directory, MANIFEST_FILE);
  try {
    const options = confirm === undefined ? {} : { confirm };
    await replaceFile(path, `${JSON.stringify(manifest, null, 2)}\n`, options);
  } catch (cause) {
    if (cause instanceof MatrixError) throw cause;
    throw new MatrixError("storage_failed", `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}

function parseManifest(text: string, path: string): Manifest {
  const hint = {
    hint: "start anew with --fresh (the old directory is kept aside), or choose another with -o",
  };
  if (isBlank(text))
    throw new MatrixError("run_refused", `${path} is empty, as a power cut may leave it`, hint);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MatrixError("run_refused", `${path} is not JSON`, { cause, ...hint });
  }
  const format = (value as { format?: unknown } | null)?.format;
  if (format !== MANIFEST_FORMAT)
    throw new MatrixError(
      "run_refused",
      `${path} has the format ${JSON.stringify(format)}, not ${MANIFEST_FORMAT}`,
      hint,
    );
  const result = v.safeParse(manifestSchema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new MatrixError(
    "run_refused",
    `${path}: ${v.getDotPath(issue) ?? "it"}: ${issue.message}`,
    hint,
  );
}

/** A file that had grown and was not written when the power went is full of zeros. */
function isBlank(text: string): boolean {
  return /^[\0\s]*$/.test(text);
}
