// Datasets on the Hugging Face hub: `hf://OWNER/NAME[@REVISION][/PATH, config or split]`. The
// chosen files are fetched once and whole into a cache, under the commit that they belong to, and
// then read like local files. So a continued run reads the rows that it began with.

import { createWriteStream, existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { MatrixError, messageOf } from "../error.ts";
import { randomId } from "../random-id.ts";
import { makeOwnFolder, OWN_FILE } from "../task/own-files.ts";
import { type HubAccess, hubAccess } from "./hub-access.ts";
import { CARD_FILES, parseCard } from "./layout/card.ts";
import { chooseFiles } from "./layout/choose.ts";

/** Bytes of an answer of the hub, which lists 1000 files a page. */
const JSON_BYTES_MAX = 64 * 2 ** 20;
const PAGES_MAX = 2000;
const FILES_MAX = 1_000_000;

export const HUB_PREFIX = "hf://";
const ADDRESS =
  /^hf:\/\/(?:datasets\/)?(?<name>[\w.-]+\/[\w.-]+)(?:@(?<revision>[^/]+))?(?:\/(?<path>.*))?$/;

type Environment = Readonly<Record<string, string | undefined>>;

/** Fetches the chosen files and answers their local paths. Fails with `dataset_invalid`. */
export async function fetchFromHub(address: string, env: Environment): Promise<readonly string[]> {
  const { name, revision = "main", path = "" } = ADDRESS.exec(address)?.groups ?? {};
  if (name === undefined)
    throw new MatrixError("dataset_invalid", `${address} is not the name of a dataset on the hub`, {
      hint: "write hf://OWNER/NAME, hf://OWNER/NAME/SPLIT or hf://OWNER/NAME/CONFIG/SPLIT",
    });
  const hub = new Hub(address, name, await hubAccess(env));
  const commit = await hub.commitOf(revision);
  const sizes = await hub.list(commit);
  const cache = cacheFolder(env);
  await makeOwnFolder(cache);
  const folder = join(cache, "hub", name, commit);
  const fetched = async (file: string): Promise<string> => {
    const path = join(folder, file);
    await hub.fetch(commit, file, { path, size: sizes.get(file) ?? 0 });
    return path;
  };
  const root = `${HUB_PREFIX}${name}`;
  const texts = new Map<string, string>();
  for (const file of CARD_FILES)
    if (sizes.has(file)) texts.set(file, await readFile(await fetched(file), "utf8"));
  const layout = { root, paths: [...sizes.keys()], card: parseCard(root, texts) };
  const files = chooseFiles(layout, path.replace(/\/$/, ""));
  const missing = files.filter((file) => !existsSync(join(folder, file)));
  const bytes = missing.reduce((sum, file) => sum + (sizes.get(file) ?? 0), 0);
  await refuseWithoutRoom(address, cache, bytes);
  const paths: string[] = [];
  for (const file of files) paths.push(await fetched(file));
  return paths;
}

/** Fails when the disk of the cache has less room than the files need. */
async function refuseWithoutRoom(address: string, cache: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(cache);
  if (bytes <= bavail * bsize) return;
  const mebibytes = (count: number) => Math.ceil(count / 2 ** 20);
  throw new MatrixError(
    "dataset_invalid",
    `the files of ${address} have ${mebibytes(bytes)} MiB, and the disk of ${cache} has room for ` +
      `${mebibytes(bavail * bsize)} MiB`,
    { hint: "free some, set XDG_CACHE_HOME to a folder on another disk, or name fewer files" },
  );
}

/** The same bytes. Fails when they become more than were announced, before they fill the disk. */
async function* atMost(chunks: AsyncIterable<Uint8Array>, bytes: number, what: string) {
  let came = 0;
  for await (const chunk of chunks) {
    came += chunk.length;
    if (came > bytes) throw new Error(`more than ${what} arrived`);
    yield chunk;
  }
}

class Hub {
  readonly #address: string;
  readonly #name: string;
  readonly #endpoint: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(address: string, name: string, { endpoint, token }: HubAccess) {
    this.#address = address;
    this.#name = name;
    this.#endpoint = endpoint;
    this.#headers = token === null ? {} : { authorization: `Bearer ${token}` };
  }

  /** The commit that a branch, a tag or a commit of the dataset stands for. */
  async commitOf(revision: string): Promise<string> {
    const response = await this.#get(
      `${this.#endpoint}/api/datasets/${this.#name}/revision/${encodeURIComponent(revision)}`,
    );
    const { sha } = (await this.#json(response)) as { readonly sha?: unknown };
    // The commit becomes the name of a folder, so only a hash is accepted.
    if (typeof sha === "string" && /^[0-9a-f]{7,64}$/.test(sha)) return sha;
    throw this.#failed("the hub did not answer with a commit");
  }

  /** The size in bytes of every file of the commit, by its path. The hub answers in pages. */
  async list(commit: string): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>();
    let url: string | null =
      `${this.#endpoint}/api/datasets/${this.#name}/tree/${commit}?recursive=true`;
    for (let pages = 0; url !== null; pages++) {
      if (pages === PAGES_MAX || sizes.size > FILES_MAX)
        throw this.#failed(
          `its list of files does not end: after ${pages} pages it has ${sizes.size} files ` +
            `(allowed: ${PAGES_MAX} pages, ${FILES_MAX} files)`,
        );
      const response: Response = await this.#get(url);
      const page = await this.#json(response);
      if (!Array.isArray(page)) throw this.#failed("the hub did not answer with a list of files");
      for (const { type, path, size } of page)
        if (
          type === "file" &&
          typeof path === "string" &&
          isInside(path) &&
          typeof size === "number"
        )
          sizes.set(path, size);
      url = nextPage(response, url);
    }
    return sizes;
  }

  /** Fetches a file unless the cache has it. A file in the cache is always whole. */
  async fetch(
    commit: string,
    file: string,
    { path, size }: { readonly path: string; readonly size: number },
  ): Promise<void> {
    if (existsSync(path)) return;
    const part = `${path}.${randomId(8)}.part`;
    const response = await this.#get(
      `${this.#endpoint}/datasets/${this.#name}/resolve/${commit}/${file.split("/").map(encodeURIComponent).join("/")}`,
    );
    try {
      await mkdir(dirname(path), { recursive: true });
      if (response.body === null) throw new Error("the answer is empty");
      await pipeline(
        Readable.from(atMost(response.body, size, `its ${size} bytes`)),
        createWriteStream(part, { flags: "wx", mode: OWN_FILE }),
      );
      const { size: came } = await stat(part);
      if (came !== size) throw new Error(`only ${came} of ${size} bytes arrived`);
      await rename(part, path);
    } catch (cause) {
      await rm(part, { force: true });
      throw this.#failed(`${file}: ${messageOf(cause)}`, cause);
    }
  }

  async #get(url: string): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(url, { headers: this.#headers });
    } catch (cause) {
      throw this.#failed(messageOf(cause), cause);
    }
    if (response.ok) return response;
    await response.body?.cancel();
    throw this.#refused(response.status);
  }

  async #json(response: Response): Promise<unknown> {
    let text = "";
    try {
      if (response.body !== null)
        text = await textOf(atMost(response.body, JSON_BYTES_MAX, `${JSON_BYTES_MAX} bytes`));
    } catch (cause) {
      throw this.#failed(messageOf(cause), cause);
    }
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw this.#failed("the hub's answer is not JSON", cause);
    }
  }

  #refused(status: number): MatrixError {
    const withToken = "authorization" in this.#headers;
    // The hub answers 401 also for a dataset that does not exist, so that private names stay
    // unknown.
    if (status === 401 || status === 403 || status === 404)
      return new MatrixError(
        "dataset_invalid",
        `cannot read ${this.#address}: it does not exist, or you may not read it (HTTP ${status})`,
        {
          hint: withToken
            ? "check the name, and the datasets that HF_TOKEN may read"
            : "check the name; for a private or gated dataset, set HF_TOKEN",
        },
      );
    return this.#failed(`the hub answered with HTTP ${status}`);
  }

  #failed(why: string, cause?: unknown): MatrixError {
    return new MatrixError(
      "dataset_invalid",
      `cannot fetch ${this.#address} from ${this.#endpoint}: ${why}`,
      {
        cause,
        hint: "run the same command again; it keeps the files that were fetched",
      },
    );
  }
}

/**
 * The next page by the Link header (RFC 8288); null at the last page. A page on another server is
 * not read, because that server would receive the token.
 */
function nextPage(response: Response, current: string): string | null {
  const next = /<([^<>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  if (next === undefined) return null;
  const url = new URL(next, current);
  return url.origin === new URL(current).origin ? url.href : null;
}

/** False for a path that would lead out of the cache. */
function isInside(path: string): boolean {
  return (
    !path.startsWith("/") &&
    !path.split("/").some((part) => part === "" || part === "." || part === "..") &&
    !/[\0\\]/.test(path)
  );
}

function cacheFolder(env: Environment): string {
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "matrix");
}
