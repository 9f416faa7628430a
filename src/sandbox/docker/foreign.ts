// The mounts and variables that Podman's own configuration (containers.conf, mounts.conf) adds to
// every container. Its API cannot turn that off, and does not list all of it. A recipe alone says
// what a sandbox sees, so a sandbox with anything else is refused, by its name.

import { text } from "node:stream/consumers";
import type Docker from "dockerode";
import { MatrixError } from "../../error.ts";
import type { Sandbox, SandboxSpec } from "../contract.ts";

/** Variables that the engine sets by itself. */
const ENGINE_NAMES = ["PATH", "TERM", "HOME", "HOSTNAME", "container"];
/** Places that the engine mounts by itself. */
const ENGINE_PLACES =
  /^(?:\/|\/(?:proc|sys)(?:\/.*)?|\/dev(?:\/(?:pts|shm|mqueue|console|null|zero|full|random|urandom|tty))?|\/etc\/(?:hosts|hostname|resolv\.conf)|\/run\/\.containerenv|\/run|\/var\/tmp)$/;
const HINT =
  "remove it from containers.conf or mounts.conf, or start Podman with another CONTAINERS_CONF";

/** Fails with `sandbox_invalid`. */
export async function refuseForeign(
  docker: Docker,
  container: Docker.Container,
  sandbox: Sandbox,
  { spec, settings }: { spec: SandboxSpec; settings: Docker.ContainerCreateOptions },
): Promise<void> {
  const [{ Config }, image, mounts] = await Promise.all([
    container.inspect(),
    docker.getImage(spec.image).inspect(),
    mountsIn(sandbox),
  ]);
  const { Mounts = [], Binds = [], Tmpfs = {} } = settings.HostConfig ?? {};
  const targets = new Set([
    ...Mounts.map(({ Target }) => Target),
    ...Binds.map((bind) => bind.split(":")[1] ?? ""),
    ...Object.keys(Tmpfs),
    ...Object.keys(image.Config.Volumes ?? {}),
  ]);
  const known = [...(image.Config.Env ?? []), ...(settings.Env ?? [])];
  const found = foreignMounts(mounts, targets)[0] ?? foreignNames(Config.Env, known)[0] ?? null;
  if (found === null) return;
  throw new MatrixError(
    "sandbox_invalid",
    `Podman puts ${found} into sandbox ${spec.name}, and the recipe does not`,
    { hint: HINT },
  );
}

/** Names of variables that neither the image nor the recipe sets. */
export function foreignNames(env: readonly string[], known: readonly string[]): readonly string[] {
  const names = new Set([...known.map(nameOf), ...ENGINE_NAMES]);
  return env
    .map(nameOf)
    .filter((name) => !names.has(name))
    .map((name) => `the variable ${name}`);
}

/** Mounts of `/proc/self/mountinfo` that stand at no place of the engine or of `targets`. */
export function foreignMounts(mountinfo: string, targets: ReadonlySet<string>): readonly string[] {
  return mountinfo.split("\n").flatMap((line) => {
    const [, , , root = "", escaped] = line.split(" ");
    if (escaped === undefined) return [];
    const place = unescaped(escaped);
    return ENGINE_PLACES.test(place) || targets.has(place)
      ? []
      : [`a mount at ${place} (from ${unescaped(root)})`];
  });
}

function nameOf(variable: string): string {
  return variable.split("=")[0] ?? "";
}

/** The kernel writes spaces, tabs, line ends and backslashes as octal numbers. */
function unescaped(path: string): string {
  return path.replace(/\\(\d{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

async function mountsIn(sandbox: Sandbox): Promise<string> {
  const read = 'while IFS= read -r line; do printf "%s\\n" "$line"; done < /proc/self/mountinfo';
  const { stdin, stdout, stderr, exited } = await sandbox.open({ args: ["/bin/sh", "-c", read] });
  stdin.end();
  stderr.resume();
  const [mounts] = await Promise.all([text(stdout), exited]);
  return mounts;
}
