// manifest.json: what a run is and how it stands. Written whole or not at all (temporary file, fsync, rename), so a killed
// driver leaves the last one. While a run goes on, its counts are a lower bound: the records are the truth.

import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { MatrixError, messageOf } from "../error.ts";
import type { JsonObject } from "../task/json.ts";
import { NOTHING_SPENT_BY_HOSTS } from "../task/spent.ts";

export const MANIFEST_FORMAT = "matrix-manifest-1";
export const MANIFEST_FILE = "manifest.json";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const spentEntries = {
  requests: count,
  prompt_tokens: count,
  completion_tokens: count,
  cost: v.pipe(v.number(), v.minValue(0)),
};
const manifestSchema = v.strictObject({
  format: v.literal(MANIFEST_FORMAT),
  name: v.string(),
  /** `complete`: every (row, trial) has its record. `stopped`: ended early, can go on. `running`: going on, or killed. */
  state: v.picklist(["running", "stopped", "complete"]),
  /** expected = ok + failed + lost, when complete. */
  expected: count,
  ok: count,
  failed: count,
  lost: count,
  /** On models, by all starts; `hosts`: how much of it each process has said. */
  spent: v.optional(
    v.strictObject({ ...spentEntries, hosts: v.record(v.string(), v.strictObject(spentEntries)) }),
    {
      ...NOTHING_SPENT_BY_HOSTS,
    },
  ),
  /** Whether any model is simulated, or any answer was. */
  simulated: v.boolean(),
  seed: count,
  trials: count,
  dataset: v.strictObject({
    rows: count,
    /** sha256 over ids and contents, in order. */
    digest: v.string(),
    /** Of every (row id, trial), whatever the order. */
    ids_digest: v.string(),
  }),
  /** The run directory whose records this run replays: each of them is one of its rows. */
  replay: v.optional(v.string()),
  /** The resolved recipe as JSON: what a continued run is compared with. */
  recipe: v.custom<JsonObject>((value) => typeof value === "object" && value !== null),
  /** sha256 of prompts, modules, tools and schemas, by path. */
  hashes: v.record(v.string(), v.string()),
  versions: v.strictObject({ matrix: v.string(), runtime: v.string() }),
  created_at: v.string(),
  updated_at: v.string(),
});

export type Manifest = v.InferOutput<typeof manifestSchema>;

/** The manifest of a run directory; null when there is none. Fails with `run_refused` when it cannot be trusted. */
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

/** Fails with `storage_failed`. */
export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  const path = join(directory, MANIFEST_FILE);
  try {
    const file = await open(`${path}.tmp`, "w");
    try {
      await file.writeFile(`${JSON.stringify(manifest, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.tmp`, path);
  } catch (cause) {
    throw new MatrixError("storage_failed", `cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}

function parseManifest(text: string, path: string): Manifest {
  const hint = {
    hint: "start anew with --fresh (the old directory is kept aside), or choose another with -o",
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MatrixError("run_refused", `${path} is no JSON`, { cause, ...hint });
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
