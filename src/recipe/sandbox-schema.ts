// [sandboxes.NAME]: an image, how many of it, and what it may use.

import * as v from "valibot";
import { count, duration, path, positive, size } from "./value-schema.ts";

const mount = v.strictObject({
  /** A file or folder of this machine. */
  source: path,
  target: v.pipe(v.string(), v.startsWith("/", "an absolute path in the sandbox")),
  writable: v.optional(v.boolean(), false),
});

/** Where commands start unless a recipe says otherwise: an empty folder of the sandbox's own, always writable. */
export const SCRATCH = "/work";

export const sandbox = v.strictObject({
  /** A Docker reference, the path of a SIF, or a folder with a Dockerfile or an Apptainer definition ("./…"). */
  image: v.optional(v.pipe(v.string(), v.nonEmpty("an image"))),
  /** `auto` takes Docker or Apptainer, whichever is there; `process` isolates nothing, and takes no notice of an image. */
  engine: v.optional(v.picklist(["auto", "docker", "apptainer", "process"]), "auto"),
  /** How many tasks share a sandbox, each with a session of its own. */
  serves: v.optional(v.picklist(["many", "one"]), "many"),
  /** Something of a task stays in its sandbox between calls: the task stays with it, and starts again when it is lost. */
  stateful: v.optional(v.boolean(), true),
  /** Sandboxes at once on one host. */
  count: v.optional(positive, 1),
  /** Sandboxes that are started before a task asks. */
  warm: v.optional(count, 0),
  memory: v.optional(size, "2GiB"),
  cpus: v.optional(v.pipe(v.number(), v.gtValue(0)), 1),
  /** Processes and threads. */
  pids: v.optional(positive, 256),
  /** Of one request or command. */
  timeout: v.optional(duration, "10m"),
  network: v.optional(v.picklist(["none", "host"]), "none"),
  /** The image's file system; /tmp and /work stay writable. */
  read_only: v.optional(v.boolean(), true),
  mounts: v.optional(v.array(mount), []),
  env: v.optional(v.record(v.string(), v.string()), {}),
  /** Where commands start; anything but /work is the image's own. */
  workdir: v.optional(
    v.pipe(v.string(), v.startsWith("/", "an absolute path in the sandbox")),
    SCRATCH,
  ),
});

/** Programs of this machine that nothing isolates, and that keep nothing of a task. */
export const PLAIN_PROCESSES = v.parse(sandbox, { engine: "process", stateful: false });

/** Whether an image is something on disk; anything else is a Docker reference. */
export function isImagePath(image: string): boolean {
  return /^\.{0,2}\//.test(image) || image.endsWith(".sif");
}

export type SandboxConfig = v.InferOutput<typeof sandbox>;
