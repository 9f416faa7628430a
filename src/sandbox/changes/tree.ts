// A tree: the files and links of a folder in a sandbox, with contents, at one moment. One command
// reads all of it, with what a POSIX shell and `tar` give. Git is not asked, so no configuration,
// ignore list or repository of the program's own decides what is seen.
//
// Names are bytes, one letter each (Latin-1), because they need not be UTF-8.

import { createHash } from "node:crypto";
import { type Extract, extract, type Header } from "tar-stream";
import { MatrixError } from "../../error.ts";
import type { Sandbox } from "../contract.ts";
import { exec } from "../exec.ts";
import type { FileOptions } from "../files.ts";

/** A mode as git writes it. */
export type Mode = "100644" | "100755" | "120000";

export interface Entry {
  readonly mode: Mode;
  /** Git's id of a content that was read, or another mark of it; null where there is neither. */
  readonly mark: string | null;
  readonly isRead: boolean;
  /** The content; null where it was not read or is not kept. A link's is its target. */
  readonly content: Buffer | null;
  /** True for text in UTF-8. */
  readonly isText: boolean;
}

/** The entries of a folder, by their paths from it. */
export type Tree = ReadonlyMap<string, Entry>;

export interface TreeOptions extends FileOptions {
  /** Called with each content; the tree keeps what it returns. */
  readonly keep: (content: Buffer, id: string, isText: boolean) => Buffer | null;
  /** Default: 64 MiB. */
  readonly bytesMax?: number;
}

/** Bytes of a file that is kept. A larger file is compared by a checksum alone. */
export const FILE_BYTES_MAX = 2 ** 20;
/** Files from here on are compared by what `ls` says of them. */
const CHECKED_BYTES_MAX = 256 * 2 ** 20;
/** Bytes of names and contents of a folder. Of a larger folder, the first half of them is read. */
const TREE_BYTES_MAX = 64 * 2 ** 20;
/** Bytes before a cut that may be missing: those of a character that was cut. */
const CUT_BYTES = 3;
const BLOCK_BYTES = 512;
/** Folders and files that tools leave behind, and repositories. */
const NOISE = [
  ...[".git", "__pycache__", "*.py[co]", ".pytest_cache", ".mypy_cache", ".ruff_cache"],
  ...[".hypothesis", ".tox", ".nox", ".ipynb_checkpoints", "*.egg-info", "node_modules"],
  ...[".DS_Store", "*.o", "*.obj", "*.class"],
];
const ZERO = "\0";

/**
 * Prints three parts, each with an empty name after it: the names of all files and links; each name
 * that `tar` does not read with a mark of its content; archives of the rest. `find` passes names as
 * arguments, so no letter in them is special.
 */
const SCRIPT = `cd -- "$1" || exit 1
unset TAR_OPTIONS POSIXLY_CORRECT
export LC_ALL=C PATH="/usr/bin:/bin:$PATH"
list() { find . -xdev '(' ${NOISE.map((name) => `-name '${name}'`).join(" -o ")} ')' -prune -o "$@"; }
each() { sh='for f; do
  if [ -x "$f" ]; then x=x; else x=-; fi
  printf "%s\\0%s %s\\0" "$f" "$x" "$('"$1"' "$f" 2>/dev/null)"; done'; shift
  list "$@" -exec /bin/sh -c "$sh" sh {} +; }
large="-size +${FILE_BYTES_MAX / BLOCK_BYTES}"
command -v tar >/dev/null || large=
list '(' -type f -o -type l ')' -exec /bin/sh -c 'printf "%s\\0" "$@"' sh {} +
printf '\\0'
each 'cksum <' -type f $large ! -size +${CHECKED_BYTES_MAX / BLOCK_BYTES}
each 'ls -lnd --' -type f -size +${CHECKED_BYTES_MAX / BLOCK_BYTES}
[ -n "$large" ] || each 'readlink --' -type l
printf '\\0'
[ -z "$large" ] || list '(' -type l -o -type f ! $large ')' -exec tar -cf - {} +
:`;

/** Fails with `agent_failed` when the folder cannot be read. */
export async function takeTree(
  sandbox: Sandbox,
  folder: string,
  { keep, bytesMax = TREE_BYTES_MAX, ...options }: TreeOptions,
): Promise<Tree> {
  const outcome = await exec(sandbox, {
    ...options,
    args: ["/bin/sh", "-c", SCRIPT, "sh", folder],
    outputBytesMax: bytesMax,
  });
  const { ending, exitCode, stdout, stderr, droppedBytes } = outcome;
  // Output past the limit leaves contents unread, and is no failure.
  if (ending === "timeout" || (ending === "exit" && exitCode !== 0)) {
    const said = Buffer.from(stderr).toString("utf8").trim() || `exit ${exitCode}`;
    const why = ending === "timeout" ? `it took longer than ${options.timeoutMs} ms` : said;
    throw new MatrixError("agent_failed", `cannot list ${folder} in the sandbox: ${why}`);
  }
  // Output that is too long has its end after its beginning, where it means nothing here.
  const read = droppedBytes === 0 ? stdout : stdout.subarray(0, bytesMax / 2 - CUT_BYTES);
  return parseTree(Buffer.from(read), keep);
}

async function parseTree(output: Buffer, keep: TreeOptions["keep"]): Promise<Tree> {
  const tree = new Map<string, Entry>();
  const [names, afterNames] = texts(output, 0);
  for (const name of names) tree.set(pathOf(name), unread("100644", null));
  const [marks, afterMarks] = texts(output, afterNames);
  for (let at = 0; at + 1 < marks.length; at += 2) {
    const [name = "", mark = ""] = marks.slice(at, at + 2);
    tree.set(pathOf(name), unread(mark.startsWith("x") ? "100755" : "100644", mark.slice(2)));
  }
  await readArchives(output.subarray(afterMarks), (path, mode, content) => {
    const [mark, text] = [gitId(content), isText(content)];
    const kept = keep(content, mark, text);
    tree.set(path, { mode, mark, isRead: true, content: kept, isText: text });
  });
  return tree;
}

function unread(mode: Mode, mark: string | null): Entry {
  return { mode, mark, isRead: false, content: null, isText: false };
}

/** The texts up to an empty one or the end of the output, and the place after them. */
function texts(output: Buffer, from: number): [texts: string[], end: number] {
  const found: string[] = [];
  for (let at = from; ; ) {
    const end = output.indexOf(ZERO, at);
    if (end === -1) return [found, output.length];
    if (end === at) return [found, end + 1];
    found.push(output.toString("latin1", at, end));
    at = end + 1;
  }
}

function pathOf(name: string): string {
  return name.startsWith("./") ? name.slice(2) : name;
}

/** Reads archives that follow each other. The last one may be cut. */
async function readArchives(
  bytes: Buffer,
  onFile: (path: string, mode: Mode, content: Buffer) => void,
): Promise<void> {
  // The types of the package lack this option.
  const archive = extract({ filenameEncoding: "latin1" } as object);
  const found = new Map<string, readonly [Mode, Buffer]>();
  archive.end(bytes);
  await readEntries(archive, ({ name, type, mode = 0, linkname }, content) => {
    const target = linkname ?? "";
    const isExecutable = (mode & 0o100) !== 0;
    const own =
      type === "symlink"
        ? (["120000", Buffer.from(target, "latin1")] as const)
        : ([isExecutable ? "100755" : "100644", content] as const);
    // A file with two names has its content at the first one alone.
    const file = type === "link" ? found.get(target) : own;
    if (file === undefined) return;
    found.set(name, file);
    onFile(pathOf(name), ...file);
  });
}

/** Reads each whole entry. An archive that ends too early ends the reading. */
async function readEntries(
  archive: Extract,
  onEntry: (header: Header, content: Buffer) => void,
): Promise<void> {
  try {
    for await (const entry of archive) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      onEntry(entry.header, Buffer.concat(chunks));
    }
  } catch {
    return;
  }
}

function gitId(content: Buffer): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

function isText(content: Buffer): boolean {
  if (content.includes(0)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(content);
    return true;
  } catch {
    return false;
  }
}
