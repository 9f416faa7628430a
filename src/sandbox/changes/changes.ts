// Changes that a task made in its sandbox, from one tree to another, and the patch that makes them.
// A file that the patch leaves out is in the list, with the reason.

import { gitPatch, quoted } from "./git-patch.ts";
import { type Entry, FILE_BYTES_MAX, type Tree } from "./tree.ts";

export interface Change {
  /** The path. Git's own spelling stands for one that is not UTF-8. */
  readonly path: string;
  readonly change: "added" | "changed" | "removed";
  /** The reason why the patch lacks it. */
  readonly left_out?: string;
}

export interface Changes {
  /** In the order of the bytes of their paths. */
  readonly changes: readonly Change[];
  /** Empty when nothing changed. `git apply` takes it. */
  readonly patch: string;
  /** Changes that are not in the list, because it would be too long. */
  readonly more_changes?: number;
  /** Files whose contents were not read at one of the two moments. They are not compared. */
  readonly unread_files?: number;
}

const CHANGES_MAX = 10_000;
const NOT_READ = `its content was not read: it has more than ${FILE_BYTES_MAX} bytes, or the folder is too large`;

export function compareTrees(before: Tree, after: Tree, patchBytesMax: number): Changes {
  const changes: Change[] = [];
  const patch = new Patch(patchBytesMax);
  let [more, unread] = [0, 0];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [old = null, young = null] = [before.get(path), after.get(path)];
    if (old !== null && young !== null && (old.mark === null || young.mark === null)) unread++;
    else if (old?.mark !== young?.mark || old?.mode !== young?.mode) {
      const reason = patch.add(path, old, young);
      if (changes.length === CHANGES_MAX) more++;
      else changes.push({ path: shown(path), change: kindOf(old, young), ...reason });
    }
  }
  return {
    changes,
    patch: patch.text,
    ...(more === 0 ? {} : { more_changes: more }),
    ...(unread === 0 ? {} : { unread_files: unread }),
  };
}

/** A patch of bounded length, with whole files alone. */
class Patch {
  readonly #bytesMax: number;
  readonly #parts: string[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get text(): string {
    return this.#parts.join("");
  }

  /** Adds a file, or answers why not. */
  add(path: string, before: Entry | null, after: Entry | null): { readonly left_out?: string } {
    if (before?.isRead === false || after?.isRead === false) return { left_out: NOT_READ };
    const part = gitPatch(path, before, after);
    const bytes = Buffer.byteLength(part);
    if (this.#bytes + bytes > this.#bytesMax)
      return { left_out: `the patch would be longer than ${this.#bytesMax} bytes` };
    this.#parts.push(part);
    this.#bytes += bytes;
    return {};
  }
}

function kindOf(before: Entry | null, after: Entry | null): Change["change"] {
  if (before === null) return "added";
  return after === null ? "removed" : "changed";
}

/** UTF-8 as it is, and other bytes as git writes them. */
function shown(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(path, "latin1"));
  } catch {
    return quoted(path);
  }
}
