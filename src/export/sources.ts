// The run directories of an export, each with the perspective from which its records are read.

import { existsSync, realpathSync } from "node:fs";
import { MatrixError } from "../error.ts";
import { type Manifest, readManifest } from "../records/manifest.ts";
import type { ExportFormat } from "./contract.ts";
import { createPerspective, type Perspective, type PerspectiveOptions } from "./perspective.ts";
import type { SelectionRules } from "./selection.ts";

export interface Source {
  readonly directory: string;
  readonly manifest: Manifest;
  /** Null when the export needs no conversations. */
  readonly perspective: Perspective | null;
}

export interface SourceOptions {
  readonly directories: readonly string[];
  readonly format: ExportFormat;
  readonly rules: SelectionRules;
  readonly perspective: PerspectiveOptions;
}

/**
 * Opens the run directories in order. Fails with `usage` when one is not a run directory or its
 * records cannot be read from the perspective that the user chose.
 */
export async function openSources({
  directories,
  format,
  rules,
  perspective,
}: SourceOptions): Promise<readonly Source[]> {
  // Duplicates are found by their conversations, also for a format of whole records.
  const conversations = format.reads === "conversations" || rules.dedupe !== null;
  const sources: Source[] = [];
  const seen = new Set<string>();
  for (const directory of directories) {
    const path = existsSync(directory) ? realpathSync(directory) : directory;
    if (seen.size === seen.add(path).size)
      throw new MatrixError("usage", `${directory} is named twice, and has each record once`);
    const manifest = await readManifest(directory);
    if (manifest === null)
      throw new MatrixError(
        "usage",
        `${directory} is not a run directory: it has no manifest.json`,
      );
    sources.push({
      directory,
      manifest,
      perspective: conversations ? await createPerspective(directory, manifest, perspective) : null,
    });
  }
  return sources;
}
