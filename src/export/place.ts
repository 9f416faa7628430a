// The place of an export: the file or folder that the user named, and what may stand there already.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { MatrixError } from "../error.ts";
import { MANIFEST_FILE } from "../records/manifest.ts";
import type { ExportFormat } from "./contract.ts";
import { storageFailed } from "./files/storage.ts";
import type { Split } from "./split.ts";

export interface Place {
  readonly output: string;
  readonly format: ExportFormat;
  /** The name of the format, as --to takes it. */
  readonly formatName: string;
  readonly splits: readonly Split[];
}

/** An ending of a file's name. A version, such as that of data-v1.2, is not an ending. */
const FILE_ENDING = /^\.[a-z][a-z0-9]{0,6}$/i;

/**
 * The ending of the file that the output names; null for a folder. Fails with `usage` for a name
 * that looks like a file of another format.
 */
export function endingOf({ output, format, formatName, splits }: Place): string | null {
  if (output === "" || output === "-")
    throw new MatrixError("usage", `"${output}" names neither a file nor a folder`, {
      hint: "name one with -o; exports are not written to stdout",
    });
  const isFolder = output.endsWith("/");
  const ending = format.endings.find((known) => !isFolder && output.endsWith(known)) ?? null;
  const endings = format.endings.join(" or ");
  if (ending !== null && format.only === "folder")
    throw new MatrixError("usage", `${output} names a file, but ${formatName} is a folder`, {
      hint: "name a folder with -o",
    });
  if (ending === null && format.only === "file")
    throw new MatrixError("usage", `${output} does not name a ${endings} file`, {
      hint: `${formatName} is written to such a file; name one with -o`,
    });
  if (ending === null && !isFolder && FILE_ENDING.test(extname(output))) {
    const folder = `write ${output}/ for a folder of that name`;
    throw new MatrixError(
      "usage",
      `${output} ends in ${extname(output)}, and ${formatName} is not written to such a file`,
      {
        hint:
          format.only === "folder"
            ? `${formatName} is a folder; ${folder}`
            : `${formatName} is written to ${endings}, or to a folder; ${folder}`,
      },
    );
  }
  if (ending !== null && splits.length > 1)
    throw new MatrixError(
      "usage",
      `${output} is one file and cannot hold ${splits.length} splits`,
      { hint: "name a folder with -o" },
    );
  return ending;
}

/** Files of a run directory that an export could take for its own. */
const RUN_FILES = /^(?:manifest\.json|(?:trajectories|superseded)\.jsonl)$/;

/** Files that an export writes into a folder. */
const OWN_FILES = /^(?:README\.md|\w+(?:-[\w.-]+)?\.(?:jsonl|parquet|json))$/;

/** Names of images and audio in a folder beside the rows: the hash of their content. */
const MEDIA_FOLDER = /-media$/;
const MEDIUM = /^[0-9a-f]{64}\.\w+$/;
/** The line by which a dataset card tells that this program made it. */
const OWN_CARD = /^Made with matrix /m;

/**
 * Fails with `usage` when something stands at the path that may not be replaced: anything, unless
 * `force` is set, a file of a run directory, and a folder that is neither empty nor an export.
 */
export function refuseExisting(path: string, force: boolean): void {
  const stands = existsSync(path);
  const isInRun = existsSync(join(dirname(path), MANIFEST_FILE));
  if (isInRun && (RUN_FILES.test(basename(path)) || (stands && statSync(path).isFile())))
    throw new MatrixError("usage", `${path} is a file of a run directory, and stays as it is`, {
      hint: "name another place with -o",
    });
  if (!stands) return;
  if (!force)
    throw new MatrixError("usage", `${path} exists already`, { hint: "--force replaces it" });
  if (!statSync(path).isDirectory()) return;
  if (hasOnlyMedia(path)) return;
  const entries = readdirSync(path, { withFileTypes: true });
  const other = entries.find((entry) =>
    entry.isFile() ? !OWN_FILES.test(entry.name) : !hasOnlyMedia(join(path, entry.name)),
  );
  if (entries.length === 0 || (other === undefined && hasOwnCard(path))) return;
  throw new MatrixError("usage", `${path} is not an export, and --force replaces exports alone`, {
    hint:
      other === undefined
        ? "it has no dataset card of an export; name another place with -o"
        : `it has ${other.name}; name another place with -o`,
  });
}

/** True for a folder of images and audio that an export has made. */
function hasOnlyMedia(path: string): boolean {
  return (
    MEDIA_FOLDER.test(path) &&
    statSync(path).isDirectory() &&
    readdirSync(path).every((name) => MEDIUM.test(name))
  );
}

function hasOwnCard(folder: string): boolean {
  const card = join(folder, "README.md");
  return existsSync(card) && OWN_CARD.test(readFileSync(card, "utf8"));
}

export interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * A part that a format adds to the name of its file is kept: train-PART.json becomes
 * OUTPUT-PART.json.
 */
export async function movesOf(
  folder: string,
  path: string,
  output: string,
  ending: string,
): Promise<readonly Move[]> {
  const [name, stem] = [basename(path, ending), output.slice(0, -ending.length)];
  return (await readdir(folder))
    .sort()
    .map((file) => ({ from: join(folder, file), to: `${stem}${file.slice(name.length)}` }));
}

export async function moveAll(moves: readonly Move[], force: boolean): Promise<void> {
  for (const { to } of moves) refuseExisting(to, force);
  for (const { from, to } of moves) {
    await rm(to, { recursive: true, force: true });
    await rename(from, to).catch(storageFailed(to));
  }
}
