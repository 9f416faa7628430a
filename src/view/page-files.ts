// The files of the page, as they are served: compressed with gzip, which every browser reads.
// scripts/page.ts makes them. The binary carries them; a run from source makes them when needed.

import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { isCompiled } from "../platform.ts";

export interface PageFile {
  /** The media type. */
  readonly type: string;
  readonly gzip: Uint8Array<ArrayBuffer>;
}

/** Files by their names, such as index.html. */
export type PageFiles = ReadonlyMap<string, PageFile>;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

export async function loadPage(): Promise<PageFiles> {
  if (!isCompiled) {
    // The path is no literal, so that the bundler leaves it out.
    const builder = new URL("../../scripts/page.ts", import.meta.url).href;
    await (await import(builder)).buildPage();
  }
  const { default: files } = await import("../../dist/page/files.js");
  return new Map(
    await Promise.all(
      files.map(async ([name, path]): Promise<[string, PageFile]> => {
        const gzip = new Uint8Array(await readFile(path));
        return [name, { type: TYPES[extname(name)] ?? "application/octet-stream", gzip }];
      }),
    ),
  );
}
