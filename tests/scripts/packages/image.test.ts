// The image: its digests, its configuration, and the files of its layer.

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { extract } from "tar-stream";
import { image } from "../../../scripts/packages/image.ts";
import { PROGRAM, RELEASE, targetNamed } from "./release.ts";

interface Entry {
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly body: Buffer;
}

async function read(body: Uint8Array): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>();
  for await (const entry of Readable.from(Buffer.from(body)).pipe(extract())) {
    const { name, mode, uid } = entry.header;
    entries.set(name.replace(/\/$/, ""), { mode, uid, body: await buffer(entry) });
  }
  return entries;
}

const native = targetNamed(`linux-${process.arch}`);
const made = await image(RELEASE, native, PROGRAM.binary);
const files = await read(made?.body ?? new Uint8Array());
const json = (path: string) => JSON.parse(files.get(path)?.body.toString() ?? "null");
const pathOf = (digest: string) => `blobs/${digest.replace(":", "/")}`;
const manifest = json(pathOf(json("index.json").manifests[0].digest));
const config = json(pathOf(manifest.config.digest));
const packed = files.get(pathOf(manifest.layers[0].digest))?.body ?? Buffer.alloc(0);
const layer = gunzipSync(packed);

test("every blob of the image is named by its hash, and Docker's list names the same blobs", () => {
  const blobs = [...files].filter(([path]) => /^blobs\/sha256\/./.test(path));
  expect(blobs).toHaveLength(3);
  for (const [path, { body }] of blobs)
    expect(path).toBe(`blobs/sha256/${createHash("sha256").update(body).digest("hex")}`);
  expect(json("manifest.json")).toEqual([
    {
      Config: pathOf(manifest.config.digest),
      RepoTags: ["matrix:1.2.3"],
      Layers: [pathOf(manifest.layers[0].digest)],
    },
  ]);
  expect(manifest.layers[0].size).toBe(packed.length);
  const hash = createHash("sha256").update(layer).digest("hex");
  expect(config.rootfs.diff_ids).toEqual([`sha256:${hash}`]);
});

test("the image runs matrix as user 1000 in /runs, and has a health check", () => {
  expect(config.config).toMatchObject({
    User: "1000:1000",
    Entrypoint: ["matrix"],
    WorkingDir: "/runs",
    Healthcheck: { Test: ["CMD", "matrix", "--version"] },
    Labels: { "org.opencontainers.image.revision": "0123456789ab" },
  });
  expect(config.created).toBe("2026-09-21T14:13:20.000Z");
});

test("the layer belongs to root, any user may write to /tmp and /runs, and no shell is in it", async () => {
  const entries = await read(layer);
  expect([...entries.values()].filter(({ uid }) => uid !== 0)).toEqual([]);
  expect(entries.get("tmp")?.mode).toBe(0o1777);
  expect(entries.get("runs")?.mode).toBe(0o1777);
  expect(entries.get("usr/local/bin/matrix")).toMatchObject({ mode: 0o755, body: PROGRAM.binary });
  expect([...entries.keys()].filter((path) => /\/(ba|da)?sh$/.test(path))).toEqual([]);
});
