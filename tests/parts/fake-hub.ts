// A Hugging Face hub in memory: datasets with commits, large files by content, uploads whole and in
// parts, and downloads as the hub's own Python clients ask for them.

import { createHash, randomBytes } from "node:crypto";

interface Stored {
  /** The git blob's hash of a small file; that of the pointer of a large one. */
  readonly oid: string;
  /** The SHA-256 of a large file; null for a small one. */
  readonly lfs: string | null;
  readonly content: Uint8Array<ArrayBuffer>;
}

interface Commit {
  readonly sha: string;
  readonly title: string;
  readonly files: ReadonlyMap<string, Stored>;
}

interface Repository {
  readonly isPrivate: boolean;
  readonly branches: Map<string, Commit>;
  readonly commits: Map<string, Commit>;
}

export interface HubRequest {
  readonly method: string;
  readonly path: string;
}

/**
 * What happens to a request in place of its answer: another answer, or a cut connection. "lost"
 * does what was asked and cuts the connection then.
 */
export type Fault = (request: HubRequest, hub: FakeHub) => Outcome | Promise<Outcome>;
type Outcome = Response | "cut" | "lost" | null;

export interface FakeHubOptions {
  /** Files of at least so many bytes, and Parquet files, are uploaded before the commit. */
  readonly largeFromBytes?: number;
  /** Larger files than this are uploaded in parts of this size. */
  readonly partBytes?: number;
}

export const WRITE_TOKEN = "hf_write";
export const READ_TOKEN = "hf_read";

export class FakeHub implements AsyncDisposable {
  readonly requests: HubRequest[] = [];
  /** Authorization headers that uploads and downloads of large files came with. */
  readonly storageTokens: (string | null)[] = [];
  readonly repositories = new Map<string, Repository>();
  readonly #large = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #parts = new Map<string, Map<number, Uint8Array>>();
  readonly #options: Required<FakeHubOptions>;
  readonly #server: ReturnType<typeof Bun.serve>;
  /** The server of large files, which has another address than the hub. */
  readonly #storage: ReturnType<typeof Bun.serve>;
  /** A server that ends each connection at once: Bun's own server cannot cut one. */
  readonly #closer = Bun.listen({
    ...{ hostname: "127.0.0.1", port: 0 },
    socket: { open: (socket) => void socket.end(), data: () => undefined },
  });
  fault: Fault = () => null;

  constructor({ largeFromBytes = 10_000, partBytes = 5_000_000 }: FakeHubOptions = {}) {
    this.#options = { largeFromBytes, partBytes };
    const serve = (answer: (request: Request, url: URL) => Promise<Response>) =>
      Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        idleTimeout: 60,
        fetch: (request) => this.#withFault(request, answer),
      });
    this.#server = serve((request, url) => this.#answer(request, url));
    this.#storage = serve((request, url) => this.#store(request, url));
  }

  get url(): string {
    return this.#server.url.origin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closer.stop(true);
    await Promise.all([this.#server.stop(true), this.#storage.stop(true)]);
  }

  /** Number of large files that were uploaded. */
  get uploads(): number {
    return this.#large.size;
  }

  head(id: string, branch = "main"): Commit {
    const commit = this.repositories.get(id)?.branches.get(branch);
    if (commit === undefined) throw new Error(`${id} has no ${branch}`);
    return commit;
  }

  textOf(id: string, path: string): string {
    return Buffer.from(this.head(id).files.get(path)?.content ?? []).toString();
  }

  /** Paths of requests with this method whose path has this text. */
  asked(method: string, part: string): readonly string[] {
    return this.requests
      .filter((request) => request.method === method && request.path.includes(part))
      .map(({ path }) => path);
  }

  create(id: string, isPrivate: boolean): void {
    this.repositories.set(id, { isPrivate, branches: new Map(), commits: new Map() });
    this.commit(id, "main", "initial commit", { ".gitattributes": "*.parquet filter=lfs\n" });
  }

  /** Makes a commit as another user would. */
  commit(id: string, branch: string, title: string, files: Readonly<Record<string, string>>): void {
    const stored = Object.entries(files).map(
      ([path, text]) => [path, small(Buffer.from(text))] as const,
    );
    const before = this.repositories.get(id)?.branches.get(branch)?.files ?? [];
    this.#add(id, branch, title, new Map([...before, ...stored]));
  }

  #add(id: string, branch: string, title: string, files: Commit["files"]): Commit {
    const repository = this.repositories.get(id);
    if (repository === undefined) throw new Error(`there is no ${id}`);
    const commit = { sha: randomBytes(20).toString("hex"), title, files };
    repository.branches.set(branch, commit);
    repository.commits.set(commit.sha, commit);
    return commit;
  }

  async #withFault(
    request: Request,
    answer: (request: Request, url: URL) => Promise<Response>,
  ): Promise<Response> {
    const url = new URL(request.url);
    const noted = { method: request.method, path: decodeURIComponent(url.pathname) };
    this.requests.push(noted);
    const fault = await this.fault(noted, this);
    if (fault instanceof Response) return fault;
    if (fault === "cut") await request.arrayBuffer();
    const given = fault === "cut" ? null : await answer(request, url);
    if (fault === null && given !== null) return given;
    return Response.redirect(`http://127.0.0.1:${this.#closer.port}/`, 307);
  }

  async #answer(request: Request, url: URL): Promise<Response> {
    const path = decodeURIComponent(url.pathname);
    const token = request.headers.get("authorization")?.replace("Bearer ", "") ?? "";
    const isKnown = [WRITE_TOKEN, READ_TOKEN].includes(token);
    if (token !== "" && !isKnown)
      return refusal(401, "Invalid credentials in Authorization header");
    if (path === "/api/repos/create") return this.#createFor(token, await jsonOf(request));
    const [, , id = "", verb = "", rest = ""] =
      /^(\/api)?\/datasets\/([^/]+\/[^/]+?)(?:\.git)?(?:\/([^/]+)(?:\/(.*))?)?$/.exec(path) ?? [];
    const repository = this.repositories.get(id);
    if (repository === undefined || (repository.isPrivate && !isKnown))
      return isKnown
        ? refusal(404, "Repository not found")
        : refusal(401, "Invalid username or password");
    const isWrite = ["preupload", "commit", "info"].includes(verb);
    if (isWrite && token !== WRITE_TOKEN)
      return refusal(token === "" ? 401 : 403, "You do not have write access");
    switch (verb) {
      case "preupload":
        return this.#preupload(await jsonOf(request));
      case "info":
        return this.#batch(await jsonOf(request));
      case "commit":
        return this.#commitOf(id, rest, await request.text());
      default:
        return this.#read(request, { id, verb, rest, repository, url });
    }
  }

  #createFor(
    token: string,
    { name, organization, visibility, type }: Readonly<Record<string, string>>,
  ): Response {
    if (token !== WRITE_TOKEN) return refusal(token === "" ? 401 : 403, "You may not create it");
    const id = `${organization}/${name}`;
    if (type !== "dataset") return refusal(400, "not a dataset");
    if (this.repositories.has(id)) return refusal(409, "You already created this dataset repo");
    this.create(id, visibility === "private");
    return Response.json({ url: `${this.url}/datasets/${id}`, id, name: id });
  }

  #preupload({ files }: { files: readonly { path: string; size: number }[] }): Response {
    const isLarge = (path: string, size: number) =>
      size >= this.#options.largeFromBytes || path.endsWith(".parquet");
    return Response.json({
      files: files.map(({ path, size }) => ({
        ...{ path, uploadMode: isLarge(path, size) ? "lfs" : "regular", shouldIgnore: false },
      })),
    });
  }

  #batch({ objects }: { objects: readonly { oid: string; size: number }[] }): Response {
    const { partBytes } = this.#options;
    const base = `${this.#storage.url.origin}/upload`;
    const isInParts = objects.some(({ size }) => size > partBytes);
    const actionsOf = (oid: string, size: number) => {
      if (this.#large.has(oid)) return {};
      if (size <= partBytes) return { actions: { upload: { href: `${base}/${oid}` } } };
      const parts = Array.from({ length: Math.ceil(size / partBytes) }, (_, i) => i + 1);
      const header = Object.fromEntries(parts.map((part) => [part, `${base}/${oid}/${part}`]));
      const href = `${base}/${oid}/complete`;
      return {
        actions: { upload: { href, header: { chunk_size: String(partBytes), ...header } } },
      };
    };
    return Response.json({
      transfer: isInParts ? "multipart" : "basic",
      objects: objects.map(({ oid, size }) => ({ oid, size, ...actionsOf(oid, size) })),
    });
  }

  /** The storage of large files: PUT of a whole or a part, and the end of parts. */
  async #store(request: Request, url: URL): Promise<Response> {
    this.storageTokens.push(request.headers.get("authorization"));
    const [, , oid = "", part] = url.pathname.split("/");
    const body = new Uint8Array(await request.arrayBuffer());
    if (part === undefined) return this.#keep(oid, body);
    const parts = this.#parts.get(oid) ?? new Map<number, Uint8Array>();
    this.#parts.set(oid, parts);
    if (part !== "complete") {
      parts.set(Number(part), body);
      return new Response("", { headers: { etag: `"${part}"` } });
    }
    const sorted = [...parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
    return this.#keep(oid, new Uint8Array(Buffer.concat(sorted)));
  }

  #keep(oid: string, content: Uint8Array<ArrayBuffer>): Response {
    if (sha256(content) !== oid) return refusal(400, "the content does not have this hash");
    this.#large.set(oid, content);
    return new Response("", { headers: { etag: `"${oid}"` } });
  }

  #commitOf(id: string, branch: string, body: string): Response {
    const head = this.head(id, branch);
    const lines = body.split("\n").map((line) => JSON.parse(line));
    const [{ value: header }] = lines;
    if (header.parentCommit !== undefined && header.parentCommit !== head.sha)
      return refusal(412, "A commit has happened since. Please refresh and try again.");
    const files = new Map(head.files);
    for (const { key, value } of lines.slice(1)) {
      if (key === "deletedFile") files.delete(value.path);
      if (key === "file") files.set(value.path, small(Buffer.from(value.content, "base64")));
      if (key !== "lfsFile") continue;
      const content = this.#large.get(value.oid);
      if (content === undefined) return refusal(400, `${value.path} was not uploaded`);
      files.set(value.path, { ...small(Buffer.from(value.oid)), lfs: value.oid, content });
    }
    const { sha } = this.#add(id, branch, header.summary, files);
    return Response.json({ commitOid: sha, commitUrl: `${this.url}/commit/${sha}` });
  }

  async #read(
    request: Request,
    asked: { id: string; verb: string; rest: string; repository: Repository; url: URL },
  ): Promise<Response> {
    const { id, verb, rest, repository } = asked;
    const revisions = [...repository.branches.keys(), ...repository.commits.keys(), "HEAD"];
    const revision = revisions.find((name) => rest === name || rest.startsWith(`${name}/`));
    if (revision === undefined && rest !== "")
      return Response.json(
        { error: "Invalid rev id" },
        { status: 404, headers: { "x-error-code": "RevisionNotFound" } },
      );
    const name = revision === undefined || revision === "HEAD" ? "main" : revision;
    const commit = repository.branches.get(name) ?? (repository.commits.get(name) as Commit);
    const path = rest.slice((revision ?? "").length + 1);
    if (verb === "" || verb === "revision") return infoOf(id, commit, repository);
    if (verb === "tree") return Response.json(entriesOf(commit, path));
    if (verb === "paths-info") return Response.json(await pathsInfo(request, commit));
    if (verb === "resolve") return contentOf(request, commit, path);
    return refusal(404, `no ${verb} here`);
  }
}

async function jsonOf<T>(request: Request): Promise<T> {
  return (await request.json()) as T;
}

function infoOf(id: string, { sha, files }: Commit, { isPrivate }: Repository): Response {
  const siblings = [...files.keys()].map((rfilename) => ({ rfilename }));
  const facts = { downloads: 0, likes: 0, gated: false, disabled: false, tags: [] };
  const lastModified = "2026-11-30T00:00:00.000Z";
  return Response.json({ _id: id, id, sha, private: isPrivate, siblings, lastModified, ...facts });
}

function entryOf(path: string, { oid, lfs, content }: Stored): object {
  const size = content.length;
  return {
    ...{ type: "file", path, oid, size },
    ...(lfs === null ? {} : { lfs: { oid: lfs, size, pointerSize: 130 } }),
  };
}

function entriesOf({ files }: Commit, folder: string): readonly object[] {
  return [...files]
    .filter(([path]) => folder === "" || path.startsWith(`${folder}/`))
    .map(([path, stored]) => entryOf(path, stored));
}

async function pathsInfo(request: Request, { files }: Commit): Promise<readonly object[]> {
  const text = await request.text();
  const isJson = request.headers.get("content-type")?.includes("json");
  const wanted: readonly string[] = isJson
    ? JSON.parse(text).paths
    : new URLSearchParams(text).getAll("paths");
  return wanted.flatMap((path) => {
    const stored = files.get(path);
    return stored === undefined ? [] : [entryOf(path, stored)];
  });
}

function contentOf(request: Request, { sha, files }: Commit, path: string): Response {
  const stored = files.get(path);
  if (stored === undefined)
    return Response.json(
      { error: "Entry not found" },
      { status: 404, headers: { "x-error-code": "EntryNotFound", "x-repo-commit": sha } },
    );
  const { content, oid, lfs } = stored;
  const [, from = "0", to = ""] =
    /bytes=(\d+)-(\d*)/.exec(request.headers.get("range") ?? "") ?? [];
  const isPart = request.headers.has("range");
  const end = to === "" ? content.length : Math.min(Number(to) + 1, content.length);
  const part = content.slice(Number(from), end);
  const headers = {
    ...{ "x-repo-commit": sha, etag: `"${lfs ?? oid}"`, "accept-ranges": "bytes" },
    "content-length": String(part.length),
    ...(isPart ? { "content-range": `bytes ${from}-${end - 1}/${content.length}` } : {}),
  };
  const body = request.method === "HEAD" ? null : part;
  return new Response(body, { status: isPart ? 206 : 200, headers });
}

function small(content: Buffer): Stored {
  const hash = createHash("sha1").update(`blob ${content.length}\0`).update(content);
  return { oid: hash.digest("hex"), lfs: null, content: new Uint8Array(content) };
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function refusal(status: number, error: string): Response {
  return Response.json({ error }, { status });
}
