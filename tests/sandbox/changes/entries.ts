// Entries of trees as tests need them.

import { createHash } from "node:crypto";
import type { Entry, Mode } from "../../../src/sandbox/changes/tree.ts";

export function entryOf(content: string | Buffer, mode: Mode = "100644"): Entry {
  const bytes = Buffer.from(content as string);
  const id = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  return { mode, mark: id, isRead: true, content: bytes, isText: typeof content === "string" };
}

export function unreadEntry(mark: string | null, mode: Mode = "100644"): Entry {
  return { mode, mark, isRead: false, content: null, isText: false };
}
