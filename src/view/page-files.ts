// The files of the page, as they are served: compressed with gzip, which every browser reads.

import { gzipSync } from "node:zlib";

export interface PageFile {
  /** The media type. */
  readonly type: string;
  readonly gzip: Uint8Array<ArrayBuffer>;
}

/** Files by their names, such as index.html. */
export type PageFiles = ReadonlyMap<string, PageFile>;

export async function loadPage(): Promise<PageFiles> {
  const html = "<!doctype html><title>matrix view</title><p>The API is at /api/runs.";
  const type = "text/html; charset=utf-8";
  return new Map([["index.html", { type, gzip: new Uint8Array(gzipSync(html)) }]]);
}
