// What protects the page and its user.

import { expect, test } from "bun:test";
import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RecordAnswer, RecordsAnswer } from "../../src/view/api.ts";
import { loadPage } from "../../src/view/page-files.ts";
import { type ServeOptions, serveView, type ViewServer } from "../../src/view/serve.ts";
import { withFolder } from "../parts/folder.ts";
import { DIALOGUE, said, writeRun } from "../parts/run-directory.ts";
import { withServer } from "./parts/served.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const RECORD = { id: "a", history: [["student", said("hello")]] } as const;
const VERDICT = { id: "a", trial: 0, who: "eve", verdict: "accepted" };

const withRun = (use: (folder: string) => Promise<void>) =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "one"), DIALOGUE, [RECORD]);
    await use(folder);
  });

const served = (
  use: (server: ViewServer, folder: string) => Promise<void>,
  more: Partial<ServeOptions> = {},
) =>
  withRun(async (folder) => {
    const server = await serveView({
      ...{ places: [folder], cwd: "/", page: await loadPage(), token: TOKEN, who: "ann" },
      address: { hostname: "127.0.0.1", port: 0 },
      ...more,
    });
    try {
      await use(server, folder);
    } finally {
      await server.stop();
    }
  });

test("every answer forbids scripts of others, guessing of types, frames and caching", () =>
  withRun((folder) =>
    withServer([folder], async ({ get }) => {
      for (const path of ["/api/runs", "/api/nothing", "/nothing", "/api/runs/x"]) {
        const { headers } = await get(path);
        const policy = headers.get("content-security-policy") ?? "";
        expect(policy).toStartWith("default-src 'none'; script-src 'self'; ");
        expect(policy).not.toMatch(/script-src[^;]*unsafe|connect-src[^;]*\*|https?:/);
        expect(policy).toContain("frame-ancestors 'none'");
        expect(headers.get("x-content-type-options")).toBe("nosniff");
        expect(headers.get("referrer-policy")).toBe("no-referrer");
        expect(headers.get("cache-control")).toBe("no-store");
        expect(headers.get("access-control-allow-origin")).toBeNull();
      }
    }),
  ));

test("with a token, nothing is answered without it, and guesses are refused", () =>
  withRun((folder) =>
    withServer(
      [folder],
      async ({ get, post, key: _key }) => {
        const refused = [
          await get("/"),
          await get("/api/runs"),
          await get("/?token=wrong"),
          await get("/api/runs", { headers: { authorization: "Bearer wrong" } }),
          await get("/api/runs", { headers: { authorization: TOKEN } }),
          await get("/api/runs", { headers: { cookie: "matrix-view-localhost=wrong" } }),
          await post("/runs/x/annotations", VERDICT),
          await post(`/runs/x/annotations?token=${TOKEN}`, VERDICT),
        ];
        expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 401));
        const bearer = { headers: { authorization: `Bearer ${TOKEN}` } };
        expect((await get("/api/runs", bearer)).status).toBe(200);
      },
      { token: TOKEN },
    ),
  ));

test("the URL with the token sets a cookie that scripts cannot read, and leaves the address", () =>
  withRun((folder) =>
    withServer(
      [folder],
      async ({ get }) => {
        const first = await get(`/?token=${TOKEN}&view=runs`);
        expect(first.status).toBe(302);
        expect(first.headers.get("location")).toBe("/?view=runs");
        const cookie = first.headers.get("set-cookie") ?? "";
        expect(cookie).toContain("HttpOnly");
        expect(cookie).toContain("SameSite=Lax");
        const headers = { cookie: cookie.split(";")[0] ?? "" };
        expect((await get("/api/runs", { headers })).status).toBe(200);
      },
      { token: TOKEN },
    ),
  ));

test("pages of other origins may neither read nor judge", () =>
  withRun((folder) =>
    withServer([folder], async ({ get, post, key }) => {
      const path = `/runs/${await key("one")}/annotations`;
      const strangers = [
        { origin: "http://evil.example" },
        { origin: "http://localhost:9999" },
        { origin: "null" },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
      ];
      for (const headers of strangers) {
        expect([headers, (await get("/api/runs", { headers })).status]).toEqual([headers, 403]);
        expect([headers, (await post(path, VERDICT, headers)).status]).toEqual([headers, 403]);
      }
      const form = { "content-type": "text/plain" };
      expect((await post(path, VERDICT, form)).status).toBe(403);
      const own = {
        origin: "http://localhost",
        host: "localhost",
        "sec-fetch-site": "same-origin",
      };
      expect((await post(path, VERDICT, own)).status).toBe(200);
    }),
  ));

test("a name that leads to loopback is refused, so that DNS rebinding reads nothing", () =>
  served(async ({ port }) => {
    const status = async (host: string) =>
      (await fetch(`http://127.0.0.1:${port}/api/runs`, { headers: { host } })).status;
    expect(await status("evil.example")).toBe(403);
    expect(await status(`localhost:${port}`)).toBe(200);
    expect(await status(`127.0.0.1:${port}`)).toBe(200);
  }));

test("on loopback the URL has no token, and off loopback it has one and needs it", async () => {
  await served(async ({ url, port }) => {
    expect(url).toBe(`http://127.0.0.1:${port}/`);
    expect((await fetch(`${url}api/runs`)).status).toBe(200);
  });
  await served(
    async ({ url, port }) => {
      expect(url).toBe(`http://localhost:${port}/?token=${TOKEN}`);
      expect((await fetch(`http://127.0.0.1:${port}/api/runs`)).status).toBe(401);
    },
    { address: { hostname: "0.0.0.0", port: 0 } },
  );
});

test("the page is served compressed, and no other path is a file", () =>
  served(async ({ url }) => {
    const page = await fetch(url);
    expect(page.headers.get("content-type")).toStartWith("text/html");
    expect(await page.text()).toStartWith("<!doctype html>");
    for (const path of ["etc/passwd", "..%2f..%2fetc%2fpasswd", "one/manifest.json"])
      expect((await fetch(url + path)).status).toBe(404);
  }));

test("a port that is taken is a usage error", () =>
  served(async ({ port }) => {
    const again = serveView({
      ...{ places: ["/tmp"], cwd: "/", page: new Map(), token: TOKEN, who: "ann" },
      address: { hostname: "127.0.0.1", port },
    });
    await expect(again).rejects.toMatchObject({ code: "usage" });
  }));

test("content of models stays JSON or text, whatever it says it is", () =>
  withFolder(async (folder) => {
    const html = "<script>alert(1)</script>";
    const history = [["student", said(html)]] as const;
    await writeRun(join(folder, "one"), DIALOGUE, [{ id: html, row: { html }, history }]);
    await withServer([folder], async ({ get, key }) => {
      const record = `/api/runs/${await key("one")}/records/${encodeURIComponent(html)}/0`;
      const types = {
        "": "application/json",
        "/hops": "application/json",
        "/prompts": "application/json",
        "/raw": "application/json",
        "/text?at=/row/html": "text/plain; charset=UTF-8",
      };
      for (const [path, type] of Object.entries(types))
        expect([path, (await get(record + path)).headers.get("content-type")]).toEqual([
          path,
          type,
        ]);
      const name = (await get(`${record}/raw`)).headers.get("content-disposition");
      expect(name).toBe('attachment; filename="_script_alert_1___script_-0.json"');
    });
  }));

test("records with 40,000 levels, long messages, broken UTF-8 and escapes are listed and shown", () =>
  withRun((folder) =>
    withServer([folder], async ({ json, key }) => {
      const path = join(folder, "one/trajectories.jsonl");
      const head = '{"format":"matrix-trajectory-1","status":"ok","trial":0,"attempt":1';
      const deep = "[".repeat(40_000) + "]".repeat(40_000);
      const long = JSON.stringify("long \u001b[31m\u0007 ".repeat(800_000));
      await appendFile(path, `${head},"id":"long","history":[{"role":"a","result":${long}}]}\n`);
      await appendFile(
        path,
        Buffer.concat([
          Buffer.from(`${head},"id":"utf8","history":[{"role":"a","result":"`),
          Buffer.from([0xff, 0xfe, 0xc3, 0x28]),
          Buffer.from('"}]}\n'),
        ]),
      );
      await writeFile(
        join(folder, "deep.jsonl"),
        `${head},"id":"deep","row":{"x":${deep}},"history":[]}\n`,
      );
      const run = `/runs/${await key("one")}`;
      const { rows } = await json<RecordsAnswer>(`${run}/records`);
      expect(rows.map(({ id }) => id)).toEqual(["a", "long", "utf8"]);
      const shown = await json<RecordAnswer>(`${run}/records/long/0`);
      expect(shown.first.hops[0]?.result.clips[0]?.chars).toBe(9_600_000);
      expect(JSON.stringify(shown).length).toBeLessThan(200_000);
      const broken = await json<RecordAnswer>(`${run}/records/utf8/0`);
      expect(broken.first.hops[0]?.result.value).toBe("\ufffd\ufffd\ufffd(");
    }),
  ));

test("a record that is too deep for the index is shown as the beginning of its JSON", () =>
  withFolder(async (folder) => {
    const deep = "[".repeat(40_000) + "]".repeat(40_000);
    const line = `{"format":"matrix-trajectory-1","id":"deep","status":"ok","trial":0,"row":{"x":${deep}},"history":[{"role":"a","result":${deep}}]}`;
    await writeFile(join(folder, "deep.jsonl"), `${line}\n`);
    await withServer([join(folder, "deep.jsonl")], async ({ json, key, get }) => {
      const run = `/runs/${await key("deep.jsonl")}`;
      const { first, input } = await json<RecordAnswer>(`${run}/records/deep/0`);
      expect(input.text?.startsWith('{"x":[[[')).toBeTrue();
      expect(first.hops[0]?.result.text?.startsWith("[[[")).toBeTrue();
      expect((await get(`/api${run}/scan?where=true`)).status).toBe(200);
      expect((await get(`/api${run}/records/deep/0/prompts`)).status).toBe(200);
    });
  }));
