// An Apptainer sandbox: what it sees and may use, as arguments and as a configuration of our own.
// The configuration of the machine, the variables of the user and Apptainer's defaults would add
// mounts, so each of them is replaced or left out.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LimitName, Mount, SandboxSpec } from "../contract.ts";
import { BRIDGE, HOLDER, scriptOf } from "../holder.ts";
import type { Lease } from "../lease.ts";
import { homeOf, placeBytes, wholeBytes, writablePlaces } from "../places.ts";
import { devicesOf, inDisk } from "./disk.ts";

/** The folder of named pipes, as the sandbox sees it. */
export const PIPES = "/matrix-pipes";
const HOSTNAME = "sandbox";
const MIB = 2 ** 20;
/** Apptainer keeps small files of its own beside the places of the sandbox. */
const SESSION_MIB_MIN = 16;

/** Folders of the kernel's settings, which root could change without any power. */
const READ_ONLY = ["/proc/sys", "/proc/bus", "/proc/fs", "/proc/irq"];
/** Files of the kernel that tell of the whole machine, or command it. */
const HIDDEN = ["kcore", "keys", "kmsg", "sched_debug", "sysrq-trigger", "timer_list"].map(
  (name) => `/proc/${name}`,
);

/** Variables that Apptainer sets inside. They name files of this machine. */
const UNSET = ["BIND", "COMMAND", "APPNAME", "CONTAINER", "ENVIRONMENT", "NAME"]
  .flatMap((name) => [`APPTAINER_${name}`, `SINGULARITY_${name}`])
  .concat("PROMPT_COMMAND", "PS1");

/** Powers that `user = "root"` has over files and users of its own container. */
const ROOT_POWERS = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"].map(
  (name) => `CAP_${name}`,
);

/** The way in which a sandbox is started here. */
export interface Way {
  readonly program: string;
  /** True where Apptainer takes a configuration of ours. */
  readonly configures: boolean;
  /** True when the caller is root. */
  readonly isRoot: boolean;
  readonly unenforced: readonly LimitName[];
}

export interface Started {
  readonly file: string;
  readonly args: readonly string[];
}

/** The command that starts a sandbox. Writes the files that it reads into the lease's folder. */
export async function commandFor(
  spec: SandboxSpec,
  way: Way,
  lease: Lease,
  { folder, marks }: { readonly folder: string; readonly marks: Readonly<Record<string, string>> },
): Promise<Started> {
  const configuration = way.configures
    ? ["--config", await writeOnce(lease, "apptainer.conf", configurationOf(spec, way))]
    : [];
  const hosts = spec.network === "none" ? lease.hosts : "/etc/hosts";
  const hostname = await writeOnce(lease, "hostname", `${HOSTNAME}\n`);
  const disk = way.isRoot || spec.user === "root" ? join(lease.folder, "disk") : null;
  const args = [
    ...["--quiet", ...configuration, "exec"],
    ...["--containall", "--cleanenv", "--no-home", "--pid", "--no-init", "--no-nv", "--no-rocm"],
    ...["--uts", "--hostname", HOSTNAME, "--no-mount", unmounted(disk)],
    ...powersOf(spec, way),
    ...(spec.network === "none" ? ["--net", "--network", "none"] : []),
    ...placesOf(spec, disk),
    ...["--pwd", spec.workdir],
    ...[
      ...(disk === null ? [] : [devicesOf(disk)]),
      ...mountsOf(spec, { hosts, hostname, bridge: lease.bridge, pipes: folder }),
    ].flatMap((mount) => ["--mount", mountOf(mount)]),
    ...limitsOf(spec, way),
    spec.image,
    ...["/bin/sh", "-c", `unset ${UNSET.join(" ")}\n${startScript(spec, marks)}`],
  ];
  if (disk === null) return { file: way.program, args };
  const bytes = Math.max(SESSION_MIB_MIN * MIB, placeBytes(spec) * writablePlaces(spec).length);
  return inDisk(disk, { bytes, isRoot: way.isRoot }, [way.program, ...args]);
}

/** A script sets the variables, because Apptainer's own option splits them at commas. */
function startScript(spec: SandboxSpec, marks: Readonly<Record<string, string>>): string {
  const holder = ["/bin/sh", "-c", HOLDER, "matrix-holder", `${BRIDGE}/lease`, PIPES];
  return scriptOf(holder, "/", { HOME: homeOf(spec), ...spec.env, ...marks });
}

/** Writes a file of the lease, whose name follows its text, so that sandboxes can share it. */
async function writeOnce(lease: Lease, name: string, text: string): Promise<string> {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 8);
  const path = join(lease.folder, `${name}.${hash}`);
  if (!existsSync(path)) await writeFile(path, text, { mode: 0o644 });
  return path;
}

/** Apptainer's own defaults hold for every key that is missing. */
function configurationOf(spec: SandboxSpec, way: Way): string {
  const places = placeBytes(spec) * writablePlaces(spec).length;
  const keys = {
    "allow setuid": "no",
    "mount home": "no",
    "mount hostfs": "no",
    "mount sys": "no",
    // Apptainer's own copies could be written to, and those of root without a bound. The image's
    // name root.
    ...(way.isRoot || spec.user === "root" ? { "config passwd": "no", "config group": "no" } : {}),
    "mount dev": "minimal",
    "config resolv_conf": spec.network === "none" ? "no" : "yes",
    "sessiondir max size": Math.max(SESSION_MIB_MIN, Math.ceil(places / MIB)),
    "systemd cgroups": way.isRoot ? "no" : "yes",
    "root default capabilities": "no",
  };
  return Object.entries(keys)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join("");
}

/** Mounts of Apptainer's own that a sandbox does without. */
function unmounted(disk: string | null): string {
  return ["bind-paths", "hostfs", "cwd", ...(disk === null ? [] : ["dev", "devpts"])].join(",");
}

/**
 * Programs of the caller have no power. Root has a few, or all those of a user namespace, in which
 * they reach only what the caller owns.
 */
function powersOf({ user }: SandboxSpec, { isRoot }: Way): readonly string[] {
  if (user === "caller") return ["--no-privs"];
  return isRoot ? ["--no-privs", "--add-caps", ROOT_POWERS.join(",")] : [];
}

function placesOf(spec: SandboxSpec, disk: string | null): readonly string[] {
  const scratch = writablePlaces(spec)
    .filter((place) => place !== "/tmp")
    .concat(disk === null ? "/dev/shm" : []);
  const root = disk === null ? ["--writable-tmpfs"] : ["--overlay", `${disk}/root`];
  return [
    ...(disk === null ? [] : ["--workdir", disk]),
    ...(scratch.length === 0 ? [] : ["--scratch", scratch.join(",")]),
    ...(spec.readOnly ? [] : root),
  ];
}

function mountsOf(
  spec: SandboxSpec,
  {
    hosts,
    hostname,
    bridge,
    pipes,
  }: { readonly [name in "hosts" | "hostname" | "bridge" | "pipes"]: string },
): readonly Mount[] {
  const readOnly = (source: string, target = source) => ({ source, target, writable: false });
  return [
    ...READ_ONLY.filter((path) => existsSync(path)).map((path) => readOnly(path)),
    ...HIDDEN.filter((path) => existsSync(path)).map((path) => readOnly("/dev/null", path)),
    readOnly(hosts, "/etc/hosts"),
    // Apptainer's own copy could be written to.
    readOnly(hostname, "/etc/hostname"),
    readOnly(bridge, BRIDGE),
    // Read-only: a command can still write to a named pipe, but neither make nor remove one.
    readOnly(pipes, PIPES),
    ...spec.mounts,
  ];
}

function limitsOf(spec: SandboxSpec, { unenforced }: Way): readonly string[] {
  const memory = String(wholeBytes(spec));
  const limits = [
    ["memory", "--memory", memory, "--memory-swap", memory],
    ["cpus", "--cpus", String(spec.cpus)],
    ["pids", "--pids-limit", String(spec.pids)],
  ] as const;
  return limits.flatMap(([limit, ...args]) => (unenforced.includes(limit) ? [] : args));
}

/**
 * Apptainer reads a mount as comma-separated values, quoted where a path has a comma or a quote.
 */
function mountOf({ source, target, writable }: Mount): string {
  const field = (name: string, value: string) =>
    /[",]/.test(value) ? `"${name}=${value.replaceAll('"', '""')}"` : `${name}=${value}`;
  const options = writable ? [] : ["ro"];
  return ["type=bind", field("source", source), field("destination", target), ...options].join(",");
}
