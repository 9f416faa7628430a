// Groups of recipe keys that are treated alike: keys that hold paths, keys that hold secrets, and
// keys that a continued run may change. `*` stands for any name.

import { matchesKey } from "./key-path.ts";

/**
 * Keys whose values are paths. The loader resolves each from the folder of the file that wrote it.
 */
export const PATH_KEYS: readonly string[] = [
  "dataset.path",
  "dataset.path.*",
  "run.output",
  "run.cache",
  "models.*.replies",
  "models.*.base_url.file",
  "sandboxes.*.image", // unless it is a Docker reference
  "sandboxes.*.mounts.*.source",
  "roles.*.agent", // unless it names a built-in agent
  "roles.*.system",
  "roles.*.prompt",
  "roles.*.tools",
  "roles.*.schema",
  "roles.*.request",
  "roles.*.attachment_folder",
  "orchestrator.module",
  "orchestrator.graph",
];

/**
 * Keys that hold secrets. Secrets come from the environment and are never written to a run
 * directory.
 */
const SECRET_KEYS: readonly string[] = ["models.*.api_key", "models.*.headers.*"];

export function isSecretKey(path: string): boolean {
  return SECRET_KEYS.some((pattern) => matchesKey(path, pattern));
}

/**
 * Keys that a continued run may change, because they affect how a run works and not what it makes.
 */
export const FREE_KEYS: readonly string[] = [
  "run.concurrency",
  "run.output",
  "run.fail_above",
  "run.stop_after",
  "run.grace",
  "run.cache",
  "run.budget",
  "store.enabled",
  "store.above",
  "store.memory",
  "roles.*.concurrency",
  "roles.*.processes",
  "sandboxes.*.engine",
  "sandboxes.*.count",
  "sandboxes.*.warm",
  "sandboxes.*.memory",
  "sandboxes.*.cpus",
  "sandboxes.*.pids",
  "models.*.base_url",
  "models.*.connect_timeout",
  "models.*.first_token_timeout",
  "models.*.timeout",
  "models.*.retries",
  "models.*.deadline",
  "models.*.concurrency",
  "models.*.journal",
  "models.*.rpm",
  "models.*.tpm",
  "models.*.price",
  "models.*.expect",
  "models.*.expect.*",
  "models.*.api_key",
  "models.*.headers",
];

/** Keys that a continued run may raise. An unset limit is the highest. */
export const GROWING_KEYS: readonly string[] = ["run.trials", "dataset.limit"];
