// The binary with its manual page, completions and licenses, to unpack anywhere.

import { gzip } from "./compress.ts";
import type { Program } from "./musl.ts";
import { type Release, sharedFiles } from "./release.ts";
import { type Entry, tar } from "./tar.ts";
import type { Target } from "./targets.ts";

export async function archive(
  release: Release,
  target: Target,
  { binary, libraries }: Program,
): Promise<{ readonly file: string; readonly body: Uint8Array }> {
  const stem = `matrix-${release.version}-${target.name}`;
  const entries: readonly Entry[] = [
    { path: `${stem}/bin/matrix`, body: binary, mode: 0o755 },
    ...[...libraries].map(([path, body]) => ({ path: `${stem}/${path}`, body, mode: 0o755 })),
    ...[...sharedFiles(release)].map(([path, body]) => ({ path: `${stem}/share/${path}`, body })),
  ];
  const body = gzip(await tar(entries, release.epoch), release.level);
  return { file: `${stem}.tar.gz`, body };
}
