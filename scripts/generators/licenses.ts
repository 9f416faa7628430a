// Generates src/cli/licenses/notices.txt: every third-party package in the binary with its version
// and the texts of its license, and the parts of Bun. `matrix licenses` reads it.

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Notices, ThirdParty } from "../../src/cli/licenses/notices.ts";
import { buildPage, pageInputs } from "../page.ts";
import { BUN_PARTS } from "./bun-parts.ts";

const ROOT = join(import.meta.dir, "../..");
export const NOTICES = join(ROOT, "src/cli/licenses/notices.txt");
/** The files that scripts/build puts into the binary. */
const ENTRIES = ["src/main.ts", "src/host/watch/thread.ts"];
const LICENSE_FILE = /^(licen[cs]e|copying|notice|unlicense)/i;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string | { readonly type: string };
  readonly licenses?: readonly { readonly type: string }[];
  readonly author?: string | { readonly name?: string };
}

/** Folders of all packages whose code is in the binary, from the top of the project. */
export async function bundledFolders(): Promise<readonly string[]> {
  await buildPage();
  const built = await Bun.build({
    entrypoints: ENTRIES.map((entry) => join(ROOT, entry)),
    target: "bun",
    metafile: true,
  });
  const folders = new Set<string>();
  const inputs = [...Object.keys(built.metafile?.inputs ?? {}), ...(await pageInputs())];
  for (const input of inputs) {
    const path = relative(ROOT, join(process.cwd(), input));
    const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
    if (folder !== undefined) folders.add(folder);
  }
  return [...folders].sort();
}

export async function renderNotices(): Promise<string> {
  const texts: string[] = [];
  const indexOf = (text: string): number => {
    const tidy = text.replaceAll("\r\n", "\n").trim();
    const known = texts.indexOf(tidy);
    return known === -1 ? texts.push(tidy) - 1 : known;
  };
  const hashes = hashesOfLockfile();
  // An installer may place the same packages in other folders, so their names give the order.
  const folders = new Map((await bundledFolders()).map((folder) => [packageName(folder), folder]));
  const named = [...folders].sort(([a], [b]) => compare(a, b));
  const notices: Notices = {
    packages: named.map(([, folder]) => packageIn(folder, hashes, indexOf)),
    runtime: runtimeParts(indexOf),
    texts,
  };
  return `${JSON.stringify(notices, null, 1)}\n`;
}

function packageIn(
  folder: string,
  hashes: ReadonlyMap<string, string>,
  indexOf: (text: string) => number,
): ThirdParty {
  const path = join(ROOT, folder);
  const manifest = manifestIn(folder);
  const { name, version } = manifest;
  const license = licenseOf(manifest);
  const files = readdirSync(path)
    .filter((file) => LICENSE_FILE.test(file) && statSync(join(path, file)).isFile())
    .sort()
    .map((file) => readFileSync(join(path, file), "utf8"));
  const own = files.length > 0 ? files : [standardText(license, `${authorOf(manifest)} (${name})`)];
  return {
    ...{ name, version, license, url: `https://www.npmjs.com/package/${name}/v/${version}` },
    sha512: hashes.get(`${name}@${version}`) ?? null,
    texts: own.map(indexOf),
  };
}

function manifestIn(folder: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, folder, "package.json"), "utf8"));
}

function packageName(folder: string): string {
  const { name, version } = manifestIn(folder);
  return `${name}@${version}`;
}

function licenseOf({ name, license, licenses }: Manifest): string {
  const stated = typeof license === "string" ? license : (license?.type ?? licenses?.[0]?.type);
  if (stated === undefined) throw new Error(`${name} states no license`);
  return stated;
}

function authorOf({ author }: Manifest): string {
  const text = typeof author === "string" ? author : author?.name;
  return text ?? "the authors";
}

/** The text of a license whose package has no file of it. */
function standardText(license: string, holder: string): string {
  const notice = `Copyright (c) ${holder}`;
  if (license === "MIT") return `MIT License\n\n${notice}\n\n${MIT}`;
  if (license === "ISC") return `ISC License\n\n${notice}\n\n${ISC}`;
  throw new Error(`there is no text of ${license} for ${holder}`);
}

function runtimeParts(indexOf: (text: string) => number): readonly ThirdParty[] {
  const text = (name: string): number =>
    indexOf(readFileSync(join(import.meta.dir, "texts", `${name}.txt`), "utf8"));
  const bun: ThirdParty = {
    ...{ name: "bun", version: Bun.version, license: "MIT", url: "https://github.com/oven-sh/bun" },
    sha512: null,
    texts: [indexOf(standardText("MIT", "Oven (bun)"))],
  };
  const parts = BUN_PARTS.map(
    (part): ThirdParty => ({
      ...part,
      version: null,
      sha512: null,
      texts: part.license.startsWith("LGPL-2.0")
        ? [text("LGPL-2.0")]
        : part.license.startsWith("LGPL-2.1")
          ? [text("LGPL-2.1")]
          : [],
    }),
  );
  return [bun, ...parts];
}

/** The sha512 of each package in hexadecimal, from bun.lock. */
function hashesOfLockfile(): ReadonlyMap<string, string> {
  const text = readFileSync(join(ROOT, "bun.lock"), "utf8");
  const lines = text.matchAll(/^\s+"[^"]+": \["([^"]+)",.*"sha512-([A-Za-z0-9+/=]+)"\],?$/gm);
  return new Map(
    [...lines].map(([, id = "", hash = ""]) => [id, Buffer.from(hash, "base64").toString("hex")]),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this
software and associated documentation files (the "Software"), to deal in the Software without
restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const ISC = `Permission to use, copy, modify, and/or distribute this software for any purpose with
or without fee is hereby granted, provided that the above copyright notice and this permission
notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS
SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE
AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE
OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS
SOFTWARE.`;

if (import.meta.main) {
  // The bundler wants the file that is made here.
  if (!existsSync(NOTICES)) writeFileSync(NOTICES, "");
  writeFileSync(NOTICES, await renderNotices());
}
