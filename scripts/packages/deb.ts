// A Debian package, made by dpkg-deb from a folder.

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzip } from "./compress.ts";
import { NAME, type Release, SUMMARY } from "./release.ts";
import type { Target } from "./targets.ts";

export async function deb(
  release: Release,
  { debian }: Target,
  binary: Buffer,
): Promise<{ readonly file: string; readonly body: Uint8Array }> {
  const folder = mkdtempSync(join(tmpdir(), "matrix-deb-"));
  try {
    const root = join(folder, "root");
    const files = filesOf(release, binary);
    for (const [path, body] of files) write(join(root, path), body, path === "usr/bin/matrix");
    const bytes = [...files.values()].reduce((sum, body) => sum + body.length, 0);
    write(join(root, "DEBIAN/control"), control(release, debian ?? "", bytes), false);
    const file = `${NAME}_${release.version}_${debian}.deb`;
    // Blocks of xz differ with the number of threads.
    const how = release.level < 6 ? ["-Zgzip", "-z1"] : ["-Zxz", "-z6", "--threads-max=1"];
    const made = Bun.spawn(
      ["dpkg-deb", "--root-owner-group", ...how, "--build", root, join(folder, file)],
      {
        env: { ...process.env, SOURCE_DATE_EPOCH: String(release.epoch) },
        stdout: "ignore",
        stderr: "inherit",
      },
    );
    if ((await made.exited) !== 0) throw new Error(`dpkg-deb made no ${file}`);
    return { file, body: readFileSync(join(folder, file)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function filesOf({ texts }: Release, binary: Buffer): ReadonlyMap<string, Buffer> {
  const copyright = `${texts.license}\n${texts.notices}`;
  return new Map<string, Buffer>([
    ["usr/bin/matrix", binary],
    ["usr/share/man/man1/matrix.1.gz", Buffer.from(gzip(Buffer.from(texts.manual), 9))],
    ["usr/share/bash-completion/completions/matrix", Buffer.from(texts.completions.bash)],
    ["usr/share/zsh/vendor-completions/_matrix", Buffer.from(texts.completions.zsh)],
    ["usr/share/fish/vendor_completions.d/matrix.fish", Buffer.from(texts.completions.fish)],
    [`usr/share/doc/${NAME}/copyright`, Buffer.from(copyright)],
  ]);
}

function control({ version }: Release, architecture: string, bytes: number): Buffer {
  return Buffer.from(`Package: ${NAME}
Version: ${version}
Architecture: ${architecture}
Maintainer: The matrix authors <matrix-agents@users.noreply.invalid>
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: libc6 (>= 2.17)
Section: science
Priority: optional
Description: ${SUMMARY}
 One binary runs a recipe of agents, models and sandboxes over the rows of a
 dataset, on one machine or many, and writes exactly one record for each task.
`);
}

function write(path: string, body: Buffer, executable: boolean): void {
  // Modes are stated: the umask of the build must not be in the package.
  let folder = dirname(path);
  mkdirSync(folder, { recursive: true });
  for (; folder.includes("/root"); folder = dirname(folder)) chmodSync(folder, 0o755);
  writeFileSync(path, body);
  chmodSync(path, executable ? 0o755 : 0o644);
}
