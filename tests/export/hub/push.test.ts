// Pushes to a hub that the test plays, with the answers and faults of the real one.

import { expect, test } from "bun:test";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkHub, type PushOptions, pushFolder } from "../../../src/export/hub/push.ts";
import { FakeHub, type FakeHubOptions, READ_TOKEN, WRITE_TOKEN } from "../../parts/fake-hub.ts";
import { withFolder } from "../../parts/folder.ts";

const CARD = "# set\nMade with matrix 0.1.0\n";
const FILES = { "README.md": CARD, "train.parquet": "t".repeat(25), "test.parquet": "e".repeat(7) };

interface Stage {
  readonly hub: FakeHub;
  readonly folder: string;
  readonly waits: number[];
  push(more?: Partial<PushOptions>): ReturnType<typeof pushFolder>;
}

/** A hub, and a folder with these files. */
async function onStage(
  use: (stage: Stage) => Promise<void>,
  files: Readonly<Record<string, string>> = FILES,
  options: FakeHubOptions = {},
): Promise<void> {
  await using hub = new FakeHub(options);
  await withFolder(async (root) => {
    const folder = join(root, "set");
    await mkdir(folder);
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const waits: number[] = [];
    const wait = async (ms: number) => {
      waits.push(ms);
    };
    const settings: PushOptions = {
      folder,
      target: { id: "acme/set", name: "set", branch: "main" },
      access: { endpoint: hub.url, token: WRITE_TOKEN },
      ...{ force: false, isPublic: false, title: "a title", wait },
    };
    await use({ hub, folder, waits, push: (more = {}) => pushFolder({ ...settings, ...more }) });
  });
}

const pathsOf = (hub: FakeHub) => [...hub.head("acme/set").files.keys()].sort();
const isCommit = ({ path }: { path: string }) => path.includes("/commit/");
const isUpload = ({ method }: { method: string }) => method === "PUT";
const token = (hub: FakeHub, token: string | null) => ({
  access: { endpoint: hub.url, token },
});

test("a push makes a private dataset with the files of the folder, in one commit", () =>
  onStage(async ({ hub, waits, push }) => {
    const pushed = await push();
    expect(pushed).toEqual({
      url: `${hub.url}/datasets/acme/set`,
      commit: hub.head("acme/set").sha,
      isPrivate: true,
      uploadedBytes: 32,
    });
    expect(hub.repositories.get("acme/set")?.isPrivate).toBe(true);
    expect(hub.head("acme/set").title).toBe("a title");
    expect(pathsOf(hub)).toEqual([".gitattributes", "README.md", "test.parquet", "train.parquet"]);
    for (const [name, text] of Object.entries(FILES))
      expect(hub.textOf("acme/set", name)).toBe(text);
    expect(hub.asked("POST", "/commit/")).toHaveLength(1);
    expect(waits).toEqual([]);
  }));

test("a push has the files of folders in the folder, too", () =>
  onStage(async ({ hub, folder, push }) => {
    await mkdir(join(folder, "train-media"));
    await writeFile(join(folder, "train-media/a.png"), "p");
    await push();
    expect(hub.textOf("acme/set", "train-media/a.png")).toBe("p");
    expect((await push()).commit).toBeNull();
  }));

test("a push makes a public dataset only when that is wanted, and changes no other", () =>
  onStage(async ({ hub, push }) => {
    expect((await push({ isPublic: true })).isPrivate).toBe(false);
    expect(hub.repositories.get("acme/set")?.isPrivate).toBe(false);
    expect((await push()).isPrivate).toBe(false);
  }));

test("only the hub receives the token, and the storage of large files does not", () =>
  onStage(async ({ hub, push }) => {
    await push({ access: { endpoint: hub.url, token: WRITE_TOKEN } });
    expect(hub.storageTokens).toEqual([null, null]);
  }));

test("a push of the same files is no commit and uploads nothing", () =>
  onStage(async ({ hub, push }) => {
    await push();
    const before = hub.requests.length;
    expect(await push()).toMatchObject({ commit: null, uploadedBytes: 0, isPrivate: true });
    expect(hub.requests.slice(before).filter(({ method }) => method !== "GET")).toEqual([]);
  }));

test("a push that broke off goes on with the files that the hub does not have", () =>
  onStage(async ({ hub, push }) => {
    let uploads = 0;
    hub.fault = (request) => (isUpload(request) && ++uploads > 1 ? "cut" : null);
    await expect(push()).rejects.toMatchObject({
      code: "storage_failed",
      hint: "run the same command again; files that were uploaded are kept",
    });
    expect(hub.head("acme/set").title).toBe("initial commit");
    hub.fault = () => null;
    const before = hub.asked("PUT", "/upload/").length;
    const { uploadedBytes } = await push();
    expect([7, 25]).toContain(uploadedBytes);
    expect(hub.asked("PUT", "/upload/")).toHaveLength(before + 1);
    expect(hub.textOf("acme/set", "train.parquet")).toBe(FILES["train.parquet"]);
  }));

test("a large file is uploaded in parts, and a part that fails is uploaded again", () =>
  onStage(
    async ({ hub, waits, push }) => {
      let failed = 0;
      hub.fault = ({ path }) => (path.endsWith("/2") && failed++ === 0 ? "cut" : null);
      expect((await push()).uploadedBytes).toBe(32);
      expect(hub.textOf("acme/set", "train.parquet")).toBe(FILES["train.parquet"]);
      expect(hub.asked("PUT", "/upload/").filter((path) => path.endsWith("/2"))).toHaveLength(2);
      expect(waits).toEqual([1000]);
    },
    FILES,
    { partBytes: 10 },
  ));

test("a dataset with files is replaced only by force, which keeps what is no data file", () =>
  onStage(async ({ hub, folder, push }) => {
    hub.create("acme/set", false);
    const files = { "README.md": "# other", "old.csv": "1", "en/old.json": "[]", LICENSE: "MIT" };
    hub.commit("acme/set", "main", "earlier", files);
    await expect(push()).rejects.toMatchObject({
      code: "usage",
      message: "hf://acme/set has files already: README.md and others",
      hint: "--force replaces its data files and its card; its history keeps them",
    });
    expect(hub.head("acme/set").title).toBe("earlier");
    await push({ force: true });
    expect(pathsOf(hub)).toEqual([
      ...[".gitattributes", "LICENSE", "README.md", "test.parquet", "train.parquet"],
    ]);
    expect(hub.textOf("acme/set", "README.md")).toBe(CARD);
    await rm(join(folder, "test.parquet"));
    await push({ force: true });
    expect(pathsOf(hub)).toEqual([".gitattributes", "LICENSE", "README.md", "train.parquet"]);
  }));

test("a file that differs in its text alone is another one", () =>
  onStage(async ({ hub, folder, push }) => {
    await push();
    await writeFile(join(folder, "README.md"), CARD.toUpperCase());
    await push({ force: true });
    expect(hub.textOf("acme/set", "README.md")).toBe(CARD.toUpperCase());
    await writeFile(join(folder, "test.parquet"), "E".repeat(7));
    expect((await push({ force: true })).uploadedBytes).toBe(7);
    expect(hub.textOf("acme/set", "test.parquet")).toBe("E".repeat(7));
  }));

test("a commit that another one overtook is refused, and the other one stays", () =>
  onStage(async ({ hub, push }) => {
    hub.fault = (request) => {
      if (isCommit(request)) hub.commit("acme/set", "main", "theirs", { "a.csv": "1" });
      return null;
    };
    await expect(push()).rejects.toMatchObject({
      code: "storage_failed",
      message: "another commit was made to hf://acme/set",
      hint: "look at that commit, and run the same command again; uploaded files are kept",
    });
    expect(hub.head("acme/set").title).toBe("theirs");
    hub.fault = (request) =>
      isCommit(request) ? Response.json({ error: "busy" }, { status: 409 }) : null;
    await expect(push({ force: true })).rejects.toMatchObject({ code: "storage_failed" });
  }));

test("a commit whose answer was lost is found again, and not made twice", () =>
  onStage(async ({ hub, waits, push }) => {
    let commits = 0;
    hub.fault = (request) => (isCommit(request) && commits++ === 0 ? "lost" : null);
    expect((await push()).commit).toBe(hub.head("acme/set").sha);
    expect(hub.repositories.get("acme/set")?.commits.size).toBe(2);
    expect(waits).toEqual([1000]);
  }));

test("a dataset that another push makes at the same time is pushed to", () =>
  onStage(async ({ hub, push }) => {
    hub.fault = ({ path }) => {
      if (path === "/api/repos/create") hub.create("acme/set", true);
      return null;
    };
    expect((await push()).commit).toBe(hub.head("acme/set").sha);
  }));

test("a busy hub is waited for as long as it asks", () =>
  onStage(async ({ hub, waits, push }) => {
    const busy = (headers: Record<string, string>) => new Response("", { status: 429, headers });
    const answers = [busy({ "retry-after": "7" }), busy({ ratelimit: '"api";r=0;t=12' }), busy({})];
    hub.fault = (request) => (isCommit(request) ? (answers.shift() ?? null) : null);
    await push();
    expect(waits).toEqual([7000, 12_000, 4000]);
  }));

test("a hub that stays busy is given up after six tries, and the push can go on later", () =>
  onStage(async ({ hub, waits, push }) => {
    hub.fault = (request) =>
      isCommit(request) ? Response.json({ error: "slow down" }, { status: 429 }) : null;
    await expect(push()).rejects.toMatchObject({
      code: "storage_failed",
      message: `cannot push to hf://acme/set at ${hub.url}: HTTP 429: slow down`,
    });
    expect(waits).toHaveLength(5);
  }));

test("a hub that stays broken is given up after six tries", () =>
  onStage(async ({ hub, waits, push }) => {
    hub.fault = (request) =>
      isCommit(request) ? Response.json({ error: "Internal" }, { status: 503 }) : null;
    await expect(push()).rejects.toMatchObject({
      code: "storage_failed",
      message: `cannot push to hf://acme/set at ${hub.url}: HTTP 503: Internal`,
    });
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000]);
  }));

const CHECK = "check the name acme/set, and that the token may write to it";
const CHANGE = "change what the hub names, and run the command again";

test.each<[status: number, hint: string]>([
  [401, CHECK],
  [403, CHECK],
  [404, CHECK],
  [400, CHANGE],
  [413, CHANGE],
])("HTTP %p of the hub for a commit is refused with what to do", (status, hint) =>
  onStage(async ({ hub, waits, push }) => {
    hub.fault = (request) =>
      isCommit(request) ? Response.json({ error: "no" }, { status }) : null;
    await expect(push()).rejects.toMatchObject({
      code: "usage",
      message: `cannot push to hf://acme/set: the hub refuses it: HTTP ${status}: no`,
      hint,
    });
    expect(waits).toEqual([]);
  }),
);

test("a token that is missing, unknown or may only read is refused with what to do", () =>
  onStage(async ({ hub, push }) => {
    await expect(push(token(hub, null))).rejects.toMatchObject({
      message:
        "cannot push to hf://acme/set: the hub refuses it: HTTP 401: Invalid username or password",
      hint: "set HF_TOKEN to a token that may write, or log in with `hf auth login`",
    });
    await expect(push(token(hub, "x"))).rejects.toMatchObject({ code: "usage" });
    await expect(push(token(hub, READ_TOKEN))).rejects.toMatchObject({
      message: "cannot push to hf://acme/set: the hub refuses it: HTTP 403: You may not create it",
    });
    expect(hub.repositories.size).toBe(0);
  }));

test("a storage that refuses an upload is no matter of the token", () =>
  onStage(async ({ hub, push }) => {
    hub.fault = (request) => (isUpload(request) ? new Response("late", { status: 403 }) : null);
    const { message } = await push().then(
      () => new Error("it was pushed"),
      (thrown: Error) => thrown,
    );
    expect(message).toStartWith(`cannot push to hf://acme/set at ${hub.url}: HTTP 403: `);
    // The address of an upload opens the storage.
    expect(message).not.toContain("/upload/");
  }));

test("a branch that exists is pushed to, and another one is refused", () =>
  onStage(async ({ hub, push }) => {
    const at = (branch: string) => ({ target: { id: "acme/set", name: "set", branch } });
    hub.create("acme/set", true);
    await expect(push(at("draft"))).rejects.toMatchObject({
      code: "usage",
      message: "acme/set has no branch draft",
      hint: "make the branch first, or leave out @BRANCH",
    });
    hub.repositories.get("acme/set")?.branches.set("draft", hub.head("acme/set"));
    await push(at("draft"));
    expect(hub.head("acme/set", "draft").title).toBe("a title");
    expect(hub.head("acme/set").title).toBe("initial commit");
  }));

test("the hub is asked who the user is before the work, and nothing is written", () =>
  onStage(async ({ hub }) => {
    const options = (token: string | null): PushOptions => ({
      ...{ folder: "/nowhere", target: { id: "acme/set", name: "set", branch: "main" } },
      ...{ access: { endpoint: hub.url, token }, force: false, isPublic: false, title: "" },
      wait: async () => undefined,
    });
    await checkHub(options(WRITE_TOKEN));
    await expect(checkHub(options(null))).rejects.toMatchObject({ code: "usage" });
    expect(hub.repositories.size).toBe(0);
    const gone = { ...options(null), access: { endpoint: "http://127.0.0.1:9", token: null } };
    await expect(checkHub(gone)).rejects.toMatchObject({ code: "storage_failed" });
  }));
