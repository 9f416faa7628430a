// An export that becomes a dataset on the Hugging Face hub: it is written to a temporary folder and
// pushed from there. The same records give the same files, so a push that was killed goes on with
// the same command.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { HubAccess } from "../../dataset/hub-access.ts";
import { MatrixError } from "../../error.ts";
import { makeTemporaryFolder } from "../../task/temporary-folder.ts";
import { version } from "../../version.ts";
import { type ExportOptions, type ExportSummary, exportRuns } from "../export.ts";
import { checkHub, type PushOptions, pushFolder } from "./push.ts";
import { parseTarget } from "./target.ts";

export type HubExportOptions = ExportOptions &
  Pick<PushOptions, "isPublic" | "wait"> & { readonly access: HubAccess };

export interface HubExportSummary extends ExportSummary {
  readonly hub: {
    readonly url: string;
    /** Null when the dataset had exactly these files. */
    readonly commit: string | null;
    readonly private: boolean;
    readonly uploaded_bytes: number;
  };
}

/** `options.output` is the address of the dataset. Fails as an export and a push do. */
export async function exportToHub(options: HubExportOptions): Promise<HubExportSummary> {
  const { output, format, formatName, access, force, isPublic, wait } = options;
  const target = parseTarget(output);
  if (format.only === "file")
    throw new MatrixError(
      "usage",
      `${formatName} is a file, and a dataset of the hub is a folder`,
      {
        hint: "choose another format with --to",
      },
    );
  const temporary = await makeTemporaryFolder("matrix-push-");
  try {
    const folder = join(temporary, target.name);
    const title = `Upload an export of matrix ${version}`;
    const push = { folder, target, access, force, isPublic, title, wait };
    // A refused token shows before the work.
    await checkHub(push);
    const summary = await exportRuns({ ...options, output: `${folder}/` });
    const pushed = await pushFolder(push);
    const { url, commit, isPrivate, uploadedBytes } = pushed;
    return {
      ...summary,
      files: [`hf://${target.id}`],
      hub: { url, commit, private: isPrivate, uploaded_bytes: uploadedBytes },
    };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
