// An image with the program and the C library that it needs, and no shell. The file is an OCI
// layout and what `docker load` reads, in one.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { gzip } from "./compress.ts";
import { type Release, sharedFiles } from "./release.ts";
import { type Entry, tar } from "./tar.ts";
import type { Target } from "./targets.ts";

/** The user that the program runs as. */
const USER = 1000;

/** Folders of this machine that may hold Debian's C library of an architecture. */
const LIBRARIES = {
  x64: ["/lib/x86_64-linux-gnu", "/usr/x86_64-linux-gnu/lib"],
  arm64: ["/lib/aarch64-linux-gnu", "/usr/aarch64-linux-gnu/lib"],
} as const;
/** The place where the kernel finds the loader, and its names among the libraries. */
const LOADERS = {
  x64: "/lib64/ld-linux-x86-64.so.2",
  arm64: "/lib/ld-linux-aarch64.so.1",
} as const;
/** The libraries that the binary names, and those with which glibc looks up names of hosts. */
const FILES = ["c.so.6", "m.so.6", "pthread.so.0", "dl.so.2", "resolv.so.2"].map((n) => `lib${n}`);
const LOOKUPS = ["libnss_files.so.2", "libnss_dns.so.2"];

/** Null where this machine has no C library of that architecture. */
export async function image(
  release: Release,
  target: Target,
  binary: Buffer,
): Promise<{ readonly file: string; readonly body: Uint8Array } | null> {
  const libraries = LIBRARIES[target.arch].find((folder) => existsSync(`${folder}/libc.so.6`));
  if (libraries === undefined) return null;
  const layer = await tar(layerOf(release, target, binary, libraries), release.epoch);
  const packed = Buffer.from(gzip(layer, release.level));
  const config = blobOf(configOf(release, target, sha256(layer)));
  const manifest = blobOf({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...sizeOf(config) },
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", ...sizeOf(packed) }],
  });
  const name = `matrix:${release.version}`;
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        ...sizeOf(manifest),
        platform: { os: "linux", architecture: target.debian },
        annotations: { "org.opencontainers.image.ref.name": release.version },
      },
    ],
  };
  const pathOf = (blob: Buffer) => `blobs/sha256/${sha256(blob)}`;
  const files = [config, manifest, packed].map((body) => ({ path: pathOf(body), body }));
  const docker = [{ Config: pathOf(config), RepoTags: [name], Layers: [pathOf(packed)] }];
  const body = await tar(
    [
      { path: "blobs", body: null },
      { path: "blobs/sha256", body: null },
      { path: "oci-layout", body: `{"imageLayoutVersion":"1.0.0"}` },
      { path: "index.json", body: JSON.stringify(index) },
      { path: "manifest.json", body: JSON.stringify(docker) },
      ...files,
    ],
    release.epoch,
  );
  return { file: `matrix-${release.version}-image-${target.debian}.tar`, body };
}

function layerOf(
  release: Release,
  { arch }: Target,
  binary: Buffer,
  libraries: string,
): readonly Entry[] {
  const loader = LOADERS[arch];
  const multiarch = arch === "x64" ? "lib/x86_64-linux-gnu" : "lib/aarch64-linux-gnu";
  const lookups = LOOKUPS.filter((file) => existsSync(`${libraries}/${file}`));
  const notice = "/usr/share/doc/libc6/copyright";
  const folders = ["etc", "lib", "lib64", multiarch, "usr", "usr/local", "usr/local/bin"];
  return [
    ...folders.map((path) => ({ path, body: null })),
    ...["tmp", "runs"].map((path) => ({ path, body: null, mode: 0o1777 })),
    { path: "etc/passwd", body: `matrix:x:${USER}:${USER}::/tmp:/sbin/nologin\n` },
    { path: "etc/group", body: `matrix:x:${USER}:\n` },
    { path: "etc/nsswitch.conf", body: "hosts: files dns\n" },
    ...file(loader.slice(1), `${libraries}/${basename(loader)}`),
    ...[...FILES, ...lookups].flatMap((name) =>
      file(`${multiarch}/${name}`, `${libraries}/${name}`),
    ),
    ...(existsSync(notice)
      ? [{ path: "usr/local/share/licenses/libc6", body: readFileSync(notice) }]
      : []),
    ...[...sharedFiles(release)].map(([path, body]) => ({ path: `usr/local/share/${path}`, body })),
    { path: "usr/local/bin/matrix", body: binary, mode: 0o755 },
  ];
}

function file(path: string, source: string): readonly Entry[] {
  return [{ path, body: readFileSync(source), mode: 0o755 }];
}

function configOf(release: Release, target: Target, layer: string): object {
  return {
    created: new Date(release.epoch * 1000).toISOString(),
    architecture: target.debian,
    os: "linux",
    config: {
      User: `${USER}:${USER}`,
      Env: ["PATH=/usr/local/bin", "HOME=/tmp"],
      Entrypoint: ["matrix"],
      Cmd: ["--help"],
      WorkingDir: "/runs",
      Healthcheck: { Test: ["CMD", "matrix", "--version"], Interval: 30e9, Timeout: 10e9 },
      Labels: {
        "org.opencontainers.image.title": "matrix",
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.revision": release.commit,
        "org.opencontainers.image.licenses": "MIT",
      },
    },
    rootfs: { type: "layers", diff_ids: [`sha256:${layer}`] },
    history: [{ created: new Date(release.epoch * 1000).toISOString(), created_by: "matrix" }],
  };
}

function blobOf(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function sizeOf(blob: Buffer): { readonly digest: string; readonly size: number } {
  return { digest: `sha256:${sha256(blob)}`, size: blob.length };
}

function sha256(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("hex");
}
