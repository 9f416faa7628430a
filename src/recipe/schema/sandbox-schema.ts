// [sandboxes.NAME]: an image, how many of it run, and what each may use.

import * as v from "valibot";
import {
  aboveZero,
  count,
  described,
  duration,
  flag,
  path,
  positive,
  size,
  variables,
} from "./value-schema.ts";

/** An absolute path in the sandbox. */
const inside = v.pipe(
  v.string(),
  v.startsWith("/", "an absolute path in the sandbox"),
  v.title("absolute path"),
);

const mount = v.strictObject({
  source: described(path, "A file or folder of the host's machine.", "data"),
  target: described(inside, "Its absolute path in the sandbox.", "/data"),
  writable: v.optional(described(flag, "Lets programs in the sandbox write to it.", false), false),
});

/** The folder in which commands start by default. It is empty at first and always writable. */
export const SCRATCH = "/work";

/** One part of a repository's name. */
const NAME = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*";
/** References as registries and engines read them (github.com/distribution/reference). */
const REFERENCE = new RegExp(
  `^(?:[\\w.-]+(?::\\d+)?/)?${NAME}(?:/${NAME})*(?::\\w[\\w.-]{0,127})?(?:@[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,})?$`,
);
const REFERENCE_WORDS =
  "a reference such as python:3.12-slim (lowercase, without spaces), or a path that begins with " +
  "./ or ends in .sif";

export const sandbox = v.strictObject({
  image: v.optional(
    described(
      v.pipe(
        v.string(),
        v.nonEmpty("an image"),
        v.check((image) => isImagePath(image) || REFERENCE.test(image), REFERENCE_WORDS),
        v.title("image"),
      ),
      "A Docker reference, the path of a `.sif`, or a folder with a `Dockerfile` or a `*.def`. " +
        "A path begins with `/`, `./` or `../`, or ends in `.sif`. Only `process` needs no image.",
      "python:3.12-slim",
    ),
  ),
  engine: v.optional(
    described(
      v.picklist(["auto", "docker", "apptainer", "process"]),
      "What runs the sandbox. `auto` takes Docker where it is available, and Apptainer " +
        "otherwise. Podman counts as Docker. `process` runs plain processes: it isolates nothing and ignores the image.",
      "auto",
    ),
    "auto",
  ),
  serves: v.optional(
    described(
      v.picklist(["many", "one"]),
      "How tasks share a sandbox. `many` share one, each with a session; with `one`, each task " +
        "gets a sandbox of its own.",
      "many",
    ),
    "many",
  ),
  stateful: v.optional(
    described(
      flag,
      "Says that something of a task stays in its sandbox between steps. The task then stays " +
        "with its sandbox, and its row starts again when the sandbox is lost.",
      true,
    ),
    true,
  ),
  count: v.optional(described(positive, "Sandboxes at once, on each host.", 2), 1),
  warm: v.optional(
    described(count, "Sandboxes that are started before a task asks, at most `count`.", 1),
    0,
  ),
  memory: v.optional(described(size, "The memory of a sandbox, without swap.", "2GiB"), "2GiB"),
  disk: v.optional(
    described(
      size,
      "Room for files in `/tmp`, and as much in `/work`. It is memory on top of `memory`. Unset, " +
        "each takes a quarter of `memory`.",
      "10GiB",
    ),
  ),
  cpus: v.optional(described(aboveZero, "The processors of a sandbox.", 1), 1),
  pids: v.optional(described(positive, "Processes and threads in a sandbox at once.", 256), 256),
  timeout: v.optional(described(duration, "The time for one request or command.", "10m"), "10m"),
  network: v.optional(
    described(
      v.picklist(["none", "host"]),
      "The network of the sandbox: `none`, or that of the `host` machine.",
      "none",
    ),
    "none",
  ),
  read_only: v.optional(
    described(
      flag,
      "Makes the image's file system read-only. `/tmp` and `/work` stay writable.",
      true,
    ),
    true,
  ),
  user: v.optional(
    described(
      v.picklist(["caller", "root"]),
      "The user of programs in the sandbox: the `caller` of matrix, without any special power, or " +
        "`root` of the container, for an image whose programs install or own things.",
      "caller",
    ),
    "caller",
  ),
  mounts: v.optional(
    described(v.array(mount), "Files and folders of the host's machine in the sandbox."),
    [],
  ),
  env: v.optional(
    described(
      variables,
      "Environment variables of commands in the sandbox. A value from the environment of matrix, " +
        "`${env:NAME}`, is never written down.",
      { LANG: "C.UTF-8" },
    ),
    {},
  ),
  workdir: v.optional(
    described(
      inside,
      "The folder in which commands start. `/work` is an empty folder of the sandbox's own; any " +
        "other folder is the image's.",
      SCRATCH,
    ),
    SCRATCH,
  ),
});

/** The sandbox of programs that run without one: nothing isolates them, and they keep no state. */
export const PLAIN_PROCESSES = v.parse(sandbox, { engine: "process", stateful: false });

/** Tells an image that is a path on disk from a Docker reference. */
export function isImagePath(image: string): boolean {
  return /^(\.{0,2}\/|built-in:)/.test(image) || image.endsWith(".sif");
}

export type SandboxConfig = v.InferOutput<typeof sandbox>;
