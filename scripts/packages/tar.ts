// Archives in which nothing tells where they were made: root owns every file, and all have the time
// of the commit.

import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";

export interface Entry {
  readonly path: string;
  /** Null for a folder. */
  readonly body: Uint8Array | string | null;
  readonly mode?: number;
  readonly owner?: number;
}

/** Entries in this order. */
export async function tar(entries: readonly Entry[], epoch: number): Promise<Buffer> {
  const archive = pack();
  const whole = buffer(archive);
  for (const { path, body, mode, owner = 0 } of entries) {
    const head = { mtime: new Date(epoch * 1000), uid: owner, gid: owner, uname: "", gname: "" };
    if (body === null)
      archive.entry({ ...head, name: path, type: "directory", mode: mode ?? 0o755 });
    else archive.entry({ ...head, name: path, mode: mode ?? 0o644 }, Buffer.from(body));
  }
  archive.finalize();
  return whole;
}
