// Groups of recipe keys that are treated alike: keys that hold paths, keys that hold secrets, and
// keys that a continued run may change. `*` stands for any name.

import { matchesKey, splitKey } from "./key-path.ts";

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
  "models.*.tls.ca",
  "models.*.tls.cert",
  "models.*.tls.key",
  "sandboxes.*.image", // unless it is a Docker reference
  "sandboxes.*.mounts.*.source",
  "roles.*.agent", // unless it names a built-in agent
  "roles.*.system",
  "roles.*.prompt",
  "roles.*.tools",
  "roles.*.schema",
  "roles.*.request",
  "roles.*.files.*",
  "roles.*.attachment_folder",
  "orchestrator.module",
  "python.command.0", // unless it is the name of a program
  "roles.*.python.0", // the same
  "orchestrator.graph",
];

/**
 * Keys that hold secrets. Secrets come from the environment and are never written to a run
 * directory. A URL with credentials is a secret, too.
 */
const SECRET_KEYS: readonly string[] = [
  "models.*.api_key",
  "models.*.headers.*",
  "sandboxes.*.env.*",
];

/**
 * Keys that may also take a variable of the environment in plain text: settings of a run and its
 * machine. The values of all other texts get into prompts, requests or records.
 */
const PLAIN_KEYS: readonly string[] = [
  ...PATH_KEYS,
  ...["format", "id", "limit", "shuffle", "shard", "columns.*"].map((key) => `dataset.${key}`),
  ...["run.*", "run.budget.*", "run.task_limit.*", "store.*", "python.command.*"],
  ...["*", "base_url.*", "price.*", "expect.*", "tls.*"].map((key) => `models.*.${key}`),
  ...["*", "mounts.*.*"].map((key) => `sandboxes.*.${key}`),
  ...["model", "sandbox", "command.*", "python.*", "timeout"].map((key) => `roles.*.${key}`),
];

/** Tells whether a text may have a variable of the environment in it. */
export function mayNameVariable(path: string): boolean {
  return isSecretKey(path) || PLAIN_KEYS.some((pattern) => matchesKey(path, pattern));
}

export function isSecretKey(path: string): boolean {
  return SECRET_KEYS.some((pattern) => matchesKey(path, pattern));
}

/** Names and values of headers that are secrets. Other headers may be written down. */
const SECRET_HEADER = /auth|key|token|secret|cookie|passw|cred|sign/i;
const SECRET_VALUE = /^(?:bearer|basic|token) |^sk-/i;

/** Tells whether a header, or a variable of a sandbox, may have its value in plain text. */
export function isOpenText(path: string, value: string): boolean {
  if (matchesKey(path, "sandboxes.*.env.*")) return true;
  if (!matchesKey(path, "models.*.headers.*")) return false;
  return !SECRET_HEADER.test(splitKey(path).at(-1) ?? "") && !SECRET_VALUE.test(value);
}

/** Keys of URLs, which are secrets when the URL has credentials in it. */
const URL_KEYS: readonly string[] = ["models.*.base_url", "models.*.base_url.*"];

export function isUrlKey(path: string): boolean {
  return URL_KEYS.some((pattern) => matchesKey(path, pattern));
}

const CREDENTIALS = [
  /:\/\/[^/?#@\s"']*:[^/?#@\s"']+@/, // user and password
  /:\/\/[^/?#@:\s"']+@/, // a token in place of the user
  /[?&][^=&#\s"']*(?:key|token|secret|sig|auth|pass|cred)[^=&#\s"']*=[^&#\s"']/i,
];

/** Tells whether a text has a URL with credentials in it. */
export function hasCredentials(text: string): boolean {
  return CREDENTIALS.some((pattern) => pattern.test(text));
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
  "run.task_limit",
  "store.enabled",
  "store.above",
  "store.memory",
  "python.command",
  "python.processes",
  "python.timeout",
  "python.install",
  "roles.*.python",
  "roles.*.concurrency",
  "roles.*.processes",
  "roles.*.retries",
  "sandboxes.*.engine",
  "sandboxes.*.count",
  "sandboxes.*.warm",
  "sandboxes.*.memory",
  "sandboxes.*.disk",
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
  "models.*.affinity_header",
  "models.*.tls",
];

/** Keys that a continued run may raise. An unset limit is the highest. */
export const GROWING_KEYS: readonly string[] = ["run.trials", "dataset.limit"];
