// Pushes an exported folder to a dataset of the Hugging Face hub, as one commit. Large files are
// uploaded first and named by their content, so a push that is started again uploads only what the
// hub does not have. The commit names the one before it, so that no other push is lost.

import { createHash } from "node:crypto";
import { createReadStream, openAsBlob, readdirSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import {
  type CommitOperation,
  commit,
  createRepo,
  datasetInfo,
  type ListFileEntry,
  listFiles,
} from "@huggingface/hub";
import { isDataFile } from "../../dataset/format.ts";
import type { HubAccess } from "../../dataset/hub-access.ts";
import { MatrixError } from "../../error.ts";
import { isStatus, pushFailed } from "./failure.ts";
import { createPatientFetch } from "./patient-fetch.ts";
import type { HubTarget } from "./target.ts";

export interface PushOptions {
  /** Its files are pushed, and those of the folders in it. */
  readonly folder: string;
  readonly target: HubTarget;
  readonly access: HubAccess;
  /** True to replace the data files and the card of a dataset that has some. */
  readonly force: boolean;
  /** True to make a new dataset readable by all. */
  readonly isPublic: boolean;
  readonly title: string;
  readonly wait: (ms: number) => Promise<void>;
}

export interface Pushed {
  /** The page of the dataset. */
  readonly url: string;
  /** Null when the dataset had exactly these files. */
  readonly commit: string | null;
  readonly isPrivate: boolean;
  /** Bytes of large files that were uploaded by this push. */
  readonly uploadedBytes: number;
}

/** Fails with `usage` when the hub refuses the user, and with `storage_failed` otherwise. */
export async function pushFolder(options: PushOptions): Promise<Pushed> {
  return translated(options, () => new Push(options).run());
}

/** Fails as a push does when the hub cannot be reached or does not know the user. */
export async function checkHub(options: PushOptions): Promise<void> {
  await translated(options, () => new Push(options).look());
}

async function translated<T>(options: PushOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw thrown instanceof MatrixError ? thrown : pushFailed(options, thrown);
  }
}

/** The library wants a token of this form. The real one is set by the fetch of the push. */
const STAND_IN = "hf_";
/** Statuses of a commit that another one overtook. */
const OVERTAKEN: readonly number[] = [409, 412];
/** A file of every dataset, which the hub makes itself. */
const MADE_BY_HUB = ".gitattributes";

class Push {
  readonly #options: PushOptions;
  readonly #hub: { readonly hubUrl: string; readonly fetch: typeof fetch };
  readonly #repo: { readonly type: "dataset"; readonly name: string };
  #uploadedBytes = 0;

  constructor(options: PushOptions) {
    this.#options = options;
    const { access, target, wait } = options;
    const onUploaded = (bytes: number) => {
      this.#uploadedBytes += bytes;
    };
    const patient = createPatientFetch({ ...access, wait, onUploaded });
    this.#hub = { hubUrl: access.endpoint, fetch: patient as typeof fetch };
    this.#repo = { type: "dataset", name: target.id };
  }

  async run(): Promise<Pushed> {
    const { target, isPublic, force } = this.#options;
    const found = await this.look();
    if (found === null) await this.#create();
    const head = found ?? (await this.look());
    if (head === null) throw new Error(`the hub made no branch ${target.branch}`);
    const there = await this.#list(head.sha);
    const isDone = !(force && this.#staleIn(there).length > 0);
    const same = isDone && (await this.#hasSameFiles(there));
    if (!same) this.#refuseOther(there);
    return {
      url: `${this.#hub.hubUrl}/datasets/${target.id}`,
      commit: same ? null : await this.#commit(head.sha, there),
      isPrivate: found === null ? !isPublic : found.private,
      uploadedBytes: this.#uploadedBytes,
    };
  }

  /** The newest commit of the branch; null when there is no such dataset. */
  async look(): Promise<{ readonly sha: string; readonly private: boolean } | null> {
    const { id, branch } = this.#options.target;
    const options = { name: id, additionalFields: ["sha" as const], ...this.#hub };
    try {
      return await datasetInfo({ ...options, revision: branch });
    } catch (thrown) {
      if (!isStatus(thrown, [404])) throw thrown;
      if (await this.#isMissing(options)) return null;
      throw new MatrixError("usage", `${id} has no branch ${branch}`, {
        hint: "make the branch first, or leave out @BRANCH",
      });
    }
  }

  async #isMissing(options: Parameters<typeof datasetInfo>[0]): Promise<boolean> {
    return datasetInfo(options).then(
      () => false,
      (thrown) => isStatus(thrown, [404]),
    );
  }

  async #create(): Promise<void> {
    const visibility = this.#options.isPublic ? "public" : "private";
    await createRepo({
      ...{ repo: this.#repo, visibility, accessToken: STAND_IN },
      ...this.#hub,
    }).catch((thrown) => {
      // Another push has made it meanwhile.
      if (!isStatus(thrown, [409])) throw thrown;
    });
  }

  async #list(revision: string): Promise<ReadonlyMap<string, ListFileEntry>> {
    const files = new Map<string, ListFileEntry>();
    const options = { repo: this.#repo, revision, recursive: true, ...this.#hub };
    for await (const entry of listFiles(options))
      if (entry.type === "file") files.set(entry.path, entry);
    return files;
  }

  async #hasSameFiles(there: ReadonlyMap<string, ListFileEntry>): Promise<boolean> {
    for (const name of this.#names()) {
      const entry = there.get(name);
      if (entry === undefined || !(await isSame(join(this.#options.folder, name), entry)))
        return false;
    }
    return true;
  }

  /** Fails with `usage` when the dataset has files and the user did not say to replace them. */
  #refuseOther(there: ReadonlyMap<string, ListFileEntry>): void {
    const { force, target } = this.#options;
    const files = [...there.keys()].filter((path) => path !== MADE_BY_HUB);
    if (force || files.length === 0) return;
    throw new MatrixError("usage", `hf://${target.id} has files already: ${files[0]} and others`, {
      hint: "--force replaces its data files and its card; its history keeps them",
    });
  }

  /** Paths of the folder's files, relative to it. */
  #names(): readonly string[] {
    const entries = readdirSync(this.#options.folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(this.#options.folder, join(entry.parentPath, entry.name)))
      .sort();
  }

  /** Data files of the dataset that are not in the folder. */
  #staleIn(there: ReadonlyMap<string, ListFileEntry>): readonly string[] {
    const names = this.#names();
    return [...there.keys()].filter((path) => isDataFile(path) && !names.includes(path));
  }

  async #commit(parent: string, there: ReadonlyMap<string, ListFileEntry>): Promise<string> {
    const { target, title } = this.#options;
    try {
      const made = await commit({
        ...{ repo: this.#repo, branch: target.branch, parentCommit: parent, title },
        ...{ operations: await this.#operations(there), accessToken: STAND_IN, useXet: false },
        ...this.#hub,
      });
      return made?.commit.oid ?? "";
    } catch (thrown) {
      if (!isStatus(thrown, OVERTAKEN)) throw thrown;
      // The answer to a commit may be lost, and its repetition is then overtaken by itself.
      const head = await this.look();
      if (head !== null && (await this.#hasSameFiles(await this.#list(head.sha)))) return head.sha;
      throw new MatrixError("storage_failed", `another commit was made to hf://${target.id}`, {
        cause: thrown,
        hint: "look at that commit, and run the same command again; uploaded files are kept",
      });
    }
  }

  /** The files of the folder, and the removal of data files that are not among them. */
  async #operations(there: ReadonlyMap<string, ListFileEntry>): Promise<CommitOperation[]> {
    const added = this.#names().map(async (path) => ({
      operation: "addOrUpdate" as const,
      path,
      // The library's own lazy files are sent as empty bodies by Bun. This one is native.
      content: await openAsBlob(join(this.#options.folder, path)),
    }));
    const removed = this.#staleIn(there).map((path) => ({ operation: "delete" as const, path }));
    return [...(await Promise.all(added)), ...removed];
  }
}

/** Compares a file with one on the hub: a large one by its SHA-256, another by its git blob. */
async function isSame(path: string, { size, oid, lfs }: ListFileEntry): Promise<boolean> {
  if ((await stat(path)).size !== (lfs?.size ?? size)) return false;
  if (lfs === undefined) {
    const content = await readFile(path);
    return (
      createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex") === oid
    );
  }
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex") === lfs.oid;
}
