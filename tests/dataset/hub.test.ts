// A server of the test plays the hub: it answers with pages, redirects to another host, asks for a
// token and knows commits.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fetchFromHub } from "../../src/dataset/hub.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

const FIRST = "a".repeat(40);
const SECOND = "b".repeat(40);
const FILES: Readonly<Record<string, string>> = {
  "README.md": "---\n---\n",
  "data/train-00000-of-00002.jsonl": '{"q":1}\n{"q":2}\n',
  "data/train-00001-of-00002.jsonl": '{"q":3}\n',
  "data/test.jsonl": '{"q":9}\n',
  "odd name #1.jsonl": '{"q":7}\n',
};

interface Asked {
  readonly path: string;
  readonly authorization: string | null;
}

/** A hub with one dataset, acme/questions, and the server that stores its files. */
async function withHub<T>(
  use: (hub: {
    env: Record<string, string>;
    asked: Asked[];
    stored: Asked[];
    folder: string;
    move(): void;
    cut(yes: boolean): void;
    swell(yes: boolean): void;
  }) => Promise<T>,
) {
  const [asked, stored]: [Asked[], Asked[]] = [[], []];
  let head = FIRST;
  let cuts = false;
  let swells = false;
  const note = (list: Asked[], request: Request): URL => {
    const url = new URL(request.url);
    list.push({
      path: decodeURIComponent(url.pathname),
      authorization: request.headers.get("authorization"),
    });
    return url;
  };
  const store = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const { pathname } = note(stored, request);
      const text = FILES[decodeURIComponent(pathname.slice(1))] ?? "";
      if (swells) return new Response(`${text}\n`);
      return new Response(cuts ? text.slice(0, -1) : text);
    },
  });
  const hub = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const { pathname, searchParams, origin } = note(asked, request);
      const path = decodeURIComponent(pathname);
      if (request.headers.get("authorization") !== "Bearer secret")
        return new Response("no", { status: 401 });
      if (path === "/api/datasets/acme/questions/revision/main")
        return Response.json({ sha: head });
      if (path === "/api/datasets/acme/questions/revision/v1") return Response.json({ sha: FIRST });
      if (path.startsWith("/api/datasets/acme/questions/tree/")) {
        const names = Object.keys(FILES);
        const page = Number(searchParams.get("cursor") ?? "0");
        const next = `<${origin}${pathname}?recursive=true&cursor=${page + 1}>; rel="next"`;
        const entries = [
          { type: "directory", path: "data" },
          { type: "file", path: "../escaped.jsonl", size: 1 },
          {
            type: "file",
            path: names[page],
            size: Buffer.byteLength(FILES[names[page] ?? ""] ?? ""),
          },
        ];
        return Response.json(entries, page + 1 < names.length ? { headers: { link: next } } : {});
      }
      const file = new RegExp(
        `^/datasets/acme/questions/resolve/(?:${FIRST}|${SECOND})/(.*)$`,
      ).exec(path)?.[1];
      if (file !== undefined)
        return Response.redirect(`${store.url}${encodeURIComponent(file)}`, 302);
      return new Response("no", { status: 404 });
    },
  });
  try {
    return await withFolder((folder) => {
      const env = {
        HF_ENDPOINT: hub.url.href,
        HF_TOKEN: "secret",
        XDG_CACHE_HOME: join(folder, "cache"),
      };
      return use({
        env,
        asked,
        stored,
        folder,
        move: () => (head = SECOND),
        cut: (yes) => (cuts = yes),
        swell: (yes) => (swells = yes),
      });
    });
  } finally {
    await Promise.all([hub.stop(true), store.stop(true)]);
  }
}

const contents = async (paths: readonly string[]) =>
  Promise.all(paths.map((path) => readFile(path, "utf8")));

test("files on the hub are fetched by split, path or glob, and only once", () =>
  withHub(async ({ env, stored, folder }) => {
    const train = await fetchFromHub("hf://acme/questions/train", env);
    expect(await contents(train)).toEqual(['{"q":1}\n{"q":2}\n', '{"q":3}\n']);
    expect(
      await contents(await fetchFromHub("hf://acme/questions/data/train-*.jsonl", env)),
    ).toEqual(await contents(train));
    expect(
      await contents(await fetchFromHub("hf://acme/questions/odd name #1.jsonl", env)),
    ).toEqual(['{"q":7}\n']);
    // The card is fetched, too.
    expect(stored).toHaveLength(4);
    expect(
      (await readdir(folder, { recursive: true })).filter(
        (name) => name.includes("escaped") || name.endsWith(".part"),
      ),
    ).toEqual([]);
    // Shards in data/ are the whole dataset, as `datasets` reads it.
    expect(await fetchFromHub("hf://datasets/acme/questions", env)).toEqual(train);
  }));

test("a dataset on the hub stays what it was at its commit when the branch moves", () =>
  withHub(async ({ env, move }) => {
    const before = await fetchFromHub("hf://acme/questions/test", env);
    move();
    expect(await fetchFromHub("hf://acme/questions/test", env)).not.toEqual(before);
    expect(await fetchFromHub("hf://acme/questions@v1/test", env)).toEqual(before);
  }));

test("the hub receives the token, and a server that it redirects to does not", () =>
  withHub(async ({ env, asked, stored }) => {
    await fetchFromHub("hf://acme/questions/test", env);
    expect(new Set(asked.map(({ authorization }) => authorization))).toEqual(
      new Set(["Bearer secret"]),
    );
    expect(stored).toEqual([
      { path: "/README.md", authorization: null },
      { path: "/data/test.jsonl", authorization: null },
    ]);
  }));

test("a file of the hub that arrives in part is not kept", () =>
  withHub(async ({ env, cut }) => {
    cut(true);
    await expect(fetchFromHub("hf://acme/questions/test", env)).rejects.toMatchObject({
      message: expect.stringContaining("only 7 of 8 bytes arrived"),
      hint: expect.stringContaining("run the same command again"),
    });
    cut(false);
    expect(await contents(await fetchFromHub("hf://acme/questions/test", env))).toEqual([
      '{"q":9}\n',
    ]);
  }));

test("a file of the hub that is longer than the hub said is not kept", () =>
  withHub(async ({ env, swell, folder }) => {
    swell(true);
    await expect(fetchFromHub("hf://acme/questions/test", env)).rejects.toMatchObject({
      message: expect.stringContaining("README.md: more than its 8 bytes arrived"),
    });
    const cached = await readdir(join(folder, "cache"), { recursive: true, withFileTypes: true });
    expect(cached.filter((entry) => entry.isFile())).toEqual([]);
  }));

test("files that the disk of the cache has no room for are refused before they are fetched", async () => {
  const asked: string[] = [];
  const answer = (path: string) => {
    asked.push(path);
    if (!path.includes("/tree/")) return COMMIT();
    const sizes = [2 ** 60, 2 ** 20];
    return Response.json(sizes.map((size, i) => ({ type: "file", path: `${i}.jsonl`, size })));
  };
  const { message, hint } = await refusalBy(answer);
  expect(message).toMatch(
    /^the files of hf:\/\/acme\/questions have 1099511627777 MiB, and the disk of \S+\/matrix has room for \d+ MiB$/,
  );
  expect(hint).toBe(
    "free some, set XDG_CACHE_HOME to a folder on another disk, or name fewer files",
  );
  expect(asked.filter((path) => path.includes("/resolve/"))).toEqual([]);
});

test("an answer of the hub beyond 64 MiB is refused", async () => {
  expect(await refusalBy(() => new Response(" ".repeat(64 * 2 ** 20 + 1)))).toMatchObject({
    message: `${CANNOT}more than 67108864 bytes arrived`,
  });
});

test("a dataset that is missing or private is refused with what to do, without the token", () =>
  withHub(async ({ env }) => {
    const { HF_TOKEN: _, ...open } = env;
    await expect(fetchFromHub("hf://acme/questions/train", open)).rejects.toMatchObject({
      code: "dataset_invalid",
      hint: expect.stringContaining("set HF_TOKEN"),
    });
    await expect(fetchFromHub("hf://acme/nothing", env)).rejects.toMatchObject({
      message: expect.stringContaining("(HTTP 404)"),
    });
    await expect(fetchFromHub("hf://acme", env)).rejects.toMatchObject({
      message: expect.stringContaining("is not the name of a dataset"),
    });
    const gone = { ...env, HF_ENDPOINT: "http://127.0.0.1:9" };
    await expect(fetchFromHub("hf://acme/questions/train", gone)).rejects.toMatchObject({
      message: expect.not.stringContaining("secret"),
    });
  }));

test("a run reads a dataset on the hub and records its address", () =>
  withHub(async ({ env, folder }) => {
    await writeFile(join(folder, "a.ts"), "export default ({ row }) => ({ score: row.q });\n");
    await writeFile(
      join(folder, "r.toml"),
      `name = "h"
dataset.path = "hf://acme/questions/train"
roles.a.agent = "a.ts"
orchestrator = { pattern = "sequence", roles = ["a"] }
`,
    );
    const { stdout, stderr } = await matrix(["drive", "r.toml", "-q"], { cwd: folder, env });
    expect(stderr).toBe("");
    expect(stdout).toContain("score: mean 2.000 over 3");
    expect(await readFile(join(folder, "runs/h/recipe.toml"), "utf8")).toContain(
      'path = "hf://acme/questions/train"',
    );
    expect(existsSync(join(folder, "cache/matrix/hub/acme/questions", FIRST))).toBe(true);
  }));

/** The error of fetching hf://acme/questions from a hub that answers requests like this. */
async function refusalBy(
  answer: (path: string, origin: string) => Response,
  more: Record<string, string> = {},
): Promise<{ message: string; hint: string }> {
  const hub = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => {
      const { pathname, search, origin } = new URL(url);
      return answer(`${pathname}${search}`, origin);
    },
  });
  try {
    return await withFolder(async (folder) => {
      const env = { HF_ENDPOINT: `${hub.url.origin}//`, XDG_CACHE_HOME: folder, ...more };
      const thrown = await fetchFromHub("hf://acme/questions", env).then(
        (paths) => new Error(`fetched ${paths.map((path) => path.slice(folder.length))}`),
        (error) => error,
      );
      const message = thrown.message.replace(hub.url.origin, "HUB");
      return { message, hint: thrown.hint };
    });
  } finally {
    await hub.stop(true);
  }
}

const COMMIT = Response.json.bind(null, { sha: FIRST });
const CANNOT = "cannot fetch hf://acme/questions from HUB: ";

test.each<[answer: string, response: () => Response, why: string]>([
  ["no commit", () => Response.json({}), "the hub did not answer with a commit"],
  [
    "a commit that is a path",
    () => Response.json({ sha: "../up" }),
    "the hub did not answer with a commit",
  ],
  ["a short hash", () => Response.json({ sha: "abcdef" }), "the hub did not answer with a commit"],
  ["text", () => new Response("hello"), "the hub's answer is not JSON"],
  ["HTTP 500", () => new Response("", { status: 500 }), "the hub answered with HTTP 500"],
  ["HTTP 429", () => new Response("", { status: 429 }), "the hub answered with HTTP 429"],
])(
  "a hub that answers with %s is refused, and the command may be run again",
  async (_, response, why) => {
    expect(await refusalBy(response)).toEqual({
      message: `${CANNOT}${why}`,
      hint: "run the same command again; it keeps the files that were fetched",
    });
  },
);

test.each<[status: number, token: boolean, hint: string]>([
  [401, false, "check the name; for a private or gated dataset, set HF_TOKEN"],
  [403, true, "check the name, and the datasets that HF_TOKEN may read"],
  [404, true, "check the name, and the datasets that HF_TOKEN may read"],
])("HTTP %p of the hub is refused with what to check", async (status, token, hint) => {
  const env: Record<string, string> = token ? { HF_TOKEN: "secret" } : {};
  expect(await refusalBy(() => new Response("", { status }), env)).toEqual({
    message:
      "cannot read hf://acme/questions: it does not exist, or you may not read it " +
      `(HTTP ${status})`,
    hint,
  });
});

test("an answer that is not a list of files is refused", async () => {
  const answer = (path: string) => (path.includes("/tree/") ? Response.json({}) : COMMIT());
  expect((await refusalBy(answer)).message).toBe(
    `${CANNOT}the hub did not answer with a list of files`,
  );
});

test("a next page on another server is not asked for", async () => {
  const answer = (path: string, origin: string) => {
    if (!path.includes("/tree/")) return COMMIT();
    const elsewhere = origin.replace("127.0.0.1", "localhost");
    const link = `<${elsewhere}${path}&cursor=1>; rel="next"`;
    return Response.json([], path.includes("cursor") ? {} : { headers: { link } });
  };
  expect((await refusalBy(answer)).message).toBe("hf://acme/questions has no data files");
});

test.each([
  "../a.jsonl",
  "/a.jsonl",
  "a/../b.jsonl",
  "a//b.jsonl",
  "./a.jsonl",
  "a\\b.jsonl",
  "a\u0000.jsonl",
])("the path %j on the hub is left out, because it could leave the cache", async (path) => {
  const answer = (url: string) =>
    url.includes("/tree/") ? Response.json([{ type: "file", path, size: 1 }]) : COMMIT();
  expect((await refusalBy(answer)).message).toBe("hf://acme/questions has no data files");
});

test.each([
  { type: "directory", path: "a.jsonl", size: 1 },
  { type: "file", path: 3, size: 1 },
  { type: "file", path: "a.jsonl" },
])("the entry %j in the hub's list is left out", async (entry) => {
  const answer = (url: string) => (url.includes("/tree/") ? Response.json([entry]) : COMMIT());
  expect((await refusalBy(answer)).message).toBe("hf://acme/questions has no data files");
});

test("a file without content is fetched", async () => {
  const entry = { type: "file", path: "a.jsonl", size: 0 };
  const answer = (url: string) => {
    if (url.includes("/revision/")) return COMMIT();
    return url.includes("/tree/") ? Response.json([entry]) : new Response("");
  };
  expect((await refusalBy(answer)).message).toBe(
    `fetched /matrix/hub/acme/questions/${FIRST}/a.jsonl`,
  );
});

test("the addresses that the hub is asked for are those of its API", async () => {
  const asked: string[] = [];
  await refusalBy((path) => {
    asked.push(path);
    if (path.includes("/revision/")) return COMMIT();
    const entry = { type: "file", path: "a b/c#.jsonl", size: 1 };
    return path.includes("/tree/") ? Response.json([entry]) : new Response("x");
  });
  expect(asked).toEqual([
    "/api/datasets/acme/questions/revision/main",
    `/api/datasets/acme/questions/tree/${FIRST}?recursive=true`,
    `/datasets/acme/questions/resolve/${FIRST}/a%20b/c%23.jsonl`,
  ]);
});

test.each(["hf://acme", "hf://", "hf://a b/c", "hf:///acme/questions"])(
  "%s is not the name of a dataset on the hub",
  async (address) => {
    await expect(fetchFromHub(address, {})).rejects.toMatchObject({
      code: "dataset_invalid",
      message: `${address} is not the name of a dataset on the hub`,
      hint: "write hf://OWNER/NAME, hf://OWNER/NAME/SPLIT or hf://OWNER/NAME/CONFIG/SPLIT",
    });
  },
);

/** The texts of the files that an address chooses in a hub with these files. */
async function readFrom(
  files: Readonly<Record<string, string>>,
  address: string,
): Promise<readonly string[]> {
  const hub = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => {
      const path = decodeURIComponent(new URL(url).pathname);
      if (path.includes("/revision/")) return COMMIT();
      if (path.includes("/tree/"))
        return Response.json(
          Object.entries(files).map(([path, { length: size }]) => ({ type: "file", path, size })),
        );
      return new Response(files[path.split(FIRST).at(-1)?.slice(1) ?? ""]);
    },
  });
  try {
    return await withFolder(async (folder) =>
      contents(await fetchFromHub(address, { HF_ENDPOINT: hub.url.href, XDG_CACHE_HOME: folder })),
    );
  } finally {
    await hub.stop(true);
  }
}

test("the card of a dataset on the hub tells its configs, which are not mixed", async () => {
  const files = {
    "README.md":
      "---\nconfigs:\n- {config_name: en, data_dir: en}\n- {config_name: fr, data_files: fr/*}\n---\n",
    "en/train.csv": "en train",
    "en/test.csv": "en test",
    "fr/a.csv": "fr",
  };
  expect(await readFrom(files, "hf://acme/questions/fr")).toEqual(["fr"]);
  expect(await readFrom(files, "hf://acme/questions/en/test")).toEqual(["en test"]);
  await expect(readFrom(files, "hf://acme/questions")).rejects.toMatchObject({
    message: "hf://acme/questions has several configs: en, fr",
    hint: "choose one, for example hf://acme/questions/en",
  });
  await expect(readFrom(files, "hf://acme/questions/en")).rejects.toMatchObject({
    hint: "choose one, for example hf://acme/questions/en/train",
  });
  const yaml = ".huggingface.yaml";
  const alone = { ...files, "README.md": "", [yaml]: "configs: [{config_name: x, data_dir: fr}]" };
  expect(await readFrom(alone, "hf://acme/questions")).toEqual(["fr"]);
});

test.each([
  ["pages", 1, "after 2000 pages it has 2000 files"],
  ["files", 20_000, "after 51 pages it has 1020000 files"],
])("a list of too many %s is refused, and names the dataset", async (_, files, found) => {
  let pages = 0;
  using hub = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => {
      if (url.includes("/revision/")) return Response.json({ sha: FIRST });
      const page = pages++;
      const list = Array.from({ length: files }, (_, i) => ({
        ...{ type: "file", path: `${page}-${i}.jsonl`, size: 1 },
      }));
      return Response.json(list, { headers: { link: `</next?${page}>; rel="next"` } });
    },
  });
  const env = { HF_ENDPOINT: `http://127.0.0.1:${hub.port}` };
  await expect(fetchFromHub("hf://acme/endless", env)).rejects.toMatchObject({
    code: "dataset_invalid",
    message:
      `cannot fetch hf://acme/endless from ${env.HF_ENDPOINT}: its list of files does not end: ` +
      `${found} (allowed: 2000 pages, 1000000 files)`,
  });
});
