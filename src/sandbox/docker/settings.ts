// The settings of a container: what it may use, what it sees, and as whom its programs run.

import type Docker from "dockerode";
import { machineId } from "../../process.ts";
import type { Mount, SandboxSpec } from "../contract.ts";
import { BRIDGE, HOLDER } from "../holder.ts";
import type { Lease } from "../lease.ts";
import { homeOf, placeBytes, wholeBytes, writablePlaces } from "../places.ts";
import { type EngineKind, LABEL } from "./client.ts";

const HOSTNAME = "sandbox";
/** Powers that `user = "root"` has over files and users of its own container. */
const ROOT_POWERS = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"];
const SHARED_BYTES_MAX = 64 * 2 ** 20;
/** The part of the memory that shared memory (/dev/shm) may take. */
const SHARED_PART = 1 / 8;

export function settingsOf(
  id: string,
  spec: SandboxSpec,
  lease: Lease,
  kind: EngineKind,
): Docker.ContainerCreateOptions {
  const { owner, folder, bridge } = lease;
  const env = { HOME: homeOf(spec), ...spec.env, ...lease.marksOf(id, "docker", spec.image) };
  const { User, ...powers } = userOf(spec, kind);
  return {
    Image: spec.image,
    Entrypoint: ["/bin/sh"],
    Cmd: ["-c", HOLDER, "matrix-holder", `${BRIDGE}/lease`, "-"],
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    User,
    WorkingDir: spec.workdir,
    // By default it is the container's id, which a command could tell a model.
    Hostname: HOSTNAME,
    Labels: {
      [LABEL.sandbox]: spec.name,
      [LABEL.run]: owner.run,
      [LABEL.host]: owner.host,
      [LABEL.lease]: folder,
      [LABEL.machine]: machineId(),
    },
    OpenStdin: true,
    // Closes the holder's stdin when our connection ends.
    StdinOnce: true,
    AttachStdin: true,
    HostConfig: {
      AutoRemove: true,
      ...limitsOf(spec, kind),
      NetworkMode: spec.network,
      ReadonlyRootfs: spec.readOnly,
      ...mountsOf(
        [{ source: bridge, target: BRIDGE, writable: false }, ...hostsOf(spec, lease, kind)].concat(
          spec.mounts,
        ),
        kind,
      ),
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      ...powers,
      // The engine keeps no copy of the output.
      LogConfig: { Type: "none", Config: {} },
    },
  };
}

/** Podman reads a mount as comma-separated values, and a bind as values between colons. */
function mountsOf(mounts: readonly Mount[], { podman }: EngineKind): Docker.HostConfig {
  const isBind = ({ source, target }: Mount) => podman && (source + target).includes(",");
  return {
    Mounts: mounts
      .filter((mount) => !isBind(mount))
      .map(({ source, target, writable }) => ({
        ...{ Type: "bind", Source: source, Target: target, ReadOnly: !writable },
      })),
    Binds: mounts
      .filter(isBind)
      .map(({ source, target, writable }) => `${source}:${target}${writable ? "" : ":ro"}`),
  };
}

/** Podman would show the names of the machine, and the container's own. */
function hostsOf({ network }: SandboxSpec, { hosts }: Lease, { podman }: EngineKind): Mount[] {
  if (!podman || network !== "none") return [];
  return [{ source: hosts, target: "/etc/hosts", writable: false }];
}

function limitsOf(spec: SandboxSpec, { podman }: EngineKind): Docker.HostConfig {
  const memory = wholeBytes(spec);
  // The image's own /tmp is writable without a read-only root.
  const places = writablePlaces(spec).filter((place) => spec.readOnly || place !== "/tmp");
  const place = `rw,exec,nosuid,nodev,mode=1777,size=${placeBytes(spec)}`;
  return {
    Memory: memory,
    // Equal to the memory, so that there is no swap.
    MemorySwap: memory,
    NanoCpus: Math.round(spec.cpus * 1e9),
    PidsLimit: spec.pids,
    ShmSize: Math.floor(Math.min(SHARED_BYTES_MAX, spec.memoryBytes * SHARED_PART)),
    Tmpfs: {
      // Podman would make these writable beside a read-only root, without a bound.
      ...(podman && spec.readOnly ? { "/run": "ro,size=64k", "/var/tmp": "ro,size=64k" } : {}),
      ...Object.fromEntries(places.map((path) => [path, place])),
    },
  };
}

/** The user of all commands, who is the caller outside of the container too. */
function userOf(
  { user }: SandboxSpec,
  { podman, rootless }: EngineKind,
): { readonly User: string; readonly CapAdd?: string[]; readonly UsernsMode?: string } {
  if (user === "root") return { User: "0:0", CapAdd: ROOT_POWERS };
  const caller = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  if (!rootless) return { User: caller };
  // Rootless Docker maps the caller to root inside. Without any power, that is only a name.
  return podman ? { User: caller, UsernsMode: "keep-id" } : { User: "0:0" };
}
