// The hub, by a server of the tests that answers as it does: pages, redirects to another host, tokens, commits.

import { describe, expect, test } from "bun:test";
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

/** A hub with one dataset, acme/questions, and the server that its files come from. */
async function withHub<T>(
  use: (hub: {
    env: Record<string, string>;
    asked: Asked[];
    stored: Asked[];
    folder: string;
    move(): void;
    cut(yes: boolean): void;
  }) => Promise<T>,
) {
  const [asked, stored]: [Asked[], Asked[]] = [[], []];
  let head = FIRST;
  let cuts = false;
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
      });
    });
  } finally {
    await Promise.all([hub.stop(true), store.stop(true)]);
  }
}

const contents = async (paths: readonly string[]) =>
  Promise.all(paths.map((path) => readFile(path, "utf8")));

describe("a dataset of the hub", () => {
  test("is fetched by split, path or glob, and once", () =>
    withHub(async ({ env, stored, folder }) => {
      const train = await fetchFromHub("hf://acme/questions/train", env);
      expect(await contents(train)).toEqual(['{"q":1}\n{"q":2}\n', '{"q":3}\n']);
      expect(
        await contents(await fetchFromHub("hf://acme/questions/data/train-*.jsonl", env)),
      ).toEqual(await contents(train));
      expect(
        await contents(await fetchFromHub("hf://acme/questions/odd name #1.jsonl", env)),
      ).toEqual(['{"q":7}\n']);
      expect(stored).toHaveLength(3);
      expect(
        (await readdir(folder, { recursive: true })).filter(
          (name) => name.includes("escaped") || name.endsWith(".part"),
        ),
      ).toEqual([]);
      await expect(fetchFromHub("hf://acme/questions", env)).rejects.toMatchObject({
        message: expect.stringContaining("several splits"),
      });
    }));

  test("stays what it was at its commit, and is another when the branch moved", () =>
    withHub(async ({ env, move }) => {
      const before = await fetchFromHub("hf://acme/questions/test", env);
      move();
      expect(await fetchFromHub("hf://acme/questions/test", env)).not.toEqual(before);
      expect(await fetchFromHub("hf://acme/questions@v1/test", env)).toEqual(before);
    }));

  test("gets the token, and the server that it sends us to does not", () =>
    withHub(async ({ env, asked, stored }) => {
      await fetchFromHub("hf://acme/questions/test", env);
      expect(new Set(asked.map(({ authorization }) => authorization))).toEqual(
        new Set(["Bearer secret"]),
      );
      expect(stored).toEqual([{ path: "/data/test.jsonl", authorization: null }]);
    }));

  test("that came in part is not kept", () =>
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

  test("that is not there or not open is refused with what to do, and never with the token", () =>
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

  test("drives a run", () =>
    withHub(async ({ env, folder }) => {
      await writeFile(join(folder, "a.ts"), "export default ({ row }) => ({ score: row.q });\n");
      await writeFile(
        join(folder, "r.toml"),
        'name = "h"\ndataset.path = "hf://acme/questions/train"\nroles.a.agent = "a.ts"\n[orchestrator]\npattern = "sequence"\nroles = ["a"]\n',
      );
      const { stdout, stderr } = await matrix(["drive", "r.toml", "-q"], { cwd: folder, env });
      expect(stderr).toBe("");
      expect(stdout).toContain("score: mean 2.000 over 3");
      expect(await readFile(join(folder, "runs/h/recipe.toml"), "utf8")).toContain(
        'path = "hf://acme/questions/train"',
      );
      expect(existsSync(join(folder, "cache/matrix/hub/acme/questions", FIRST))).toBe(true);
    }));
});
