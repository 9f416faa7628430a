// Bundles the web page of `matrix view` (src/view/page) into dist/page. scripts/build embeds these
// files; a run from source makes them when they are missing or older than their sources.
//
// Every file is compressed with gzip, as it is served. `files.js` lists them for the bundler.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
const PAGE = join(ROOT, "src/view/page");
const OUT = join(ROOT, "dist/page");
const STAMP = "sources";
const FONTS = join(ROOT, "node_modules/katex/dist/fonts");

/** Scripts of the page: the program, and what shows text, which loads beside it. */
const PAGE_SCRIPTS = ["main.tsx", "text/main.ts"] as const;
const NAMES = ["app.js", "text.js"] as const;

/** Makes dist/page unless it is of these sources. Several processes may do so at once. */
export async function buildPage(): Promise<void> {
  const sources = hashOfPage();
  if (readOr(join(OUT, STAMP)) === sources) return;
  const files = new Map<string, Uint8Array>();
  for (const [index, script] of PAGE_SCRIPTS.entries()) {
    for (const [name, bytes] of await bundle(script, NAMES[index] ?? script))
      files.set(name, bytes);
  }
  for (const font of readdirSync(FONTS).filter((name) => name.endsWith(".woff2")))
    files.set(`fonts/${font}`, readFileSync(join(FONTS, font)));
  files.set("index.html", readFileSync(join(PAGE, "index.html")));
  files.set("icon.svg", readFileSync(join(PAGE, "icon.svg")));
  mkdirSync(OUT, { recursive: true });
  const names = [...files.keys()].sort();
  for (const name of names)
    write(`${flat(name)}.gz`, Bun.gzipSync(files.get(name) as Uint8Array<ArrayBuffer>));
  write("files.js", listing(names));
  write(STAMP, sources);
}

/** The paths of all sources that have a part in the page. */
export async function pageInputs(): Promise<readonly string[]> {
  const built = await Promise.all(PAGE_SCRIPTS.map((script) => bundleOf(script)));
  return built.flatMap(({ metafile }) => Object.keys(metafile?.inputs ?? {}));
}

/** A script of the page, and the style sheet that it imports. */
async function bundle(script: string, name: string): Promise<[string, Uint8Array][]> {
  const built = await bundleOf(script);
  return Promise.all(
    built.outputs.map(async (output): Promise<[string, Uint8Array]> => {
      const own = output.kind === "entry-point" ? name : basename(output.path);
      const styled = output.path.endsWith(".css") ? name.replace(".js", ".css") : own;
      return [styled, new Uint8Array(await output.arrayBuffer())];
    }),
  );
}

function bundleOf(script: string): ReturnType<typeof Bun.build> {
  return Bun.build({
    entrypoints: [join(PAGE, script)],
    target: "browser",
    // Modules do not load from file://, which a static bundle must.
    format: "iife",
    minify: true,
    metafile: true,
    jsx: { runtime: "automatic", importSource: "preact", development: false },
    external: ["*.woff2"],
    plugins: [fontsOfFormulas],
    define: { "process.env.NODE_ENV": '"production"' },
  });
}

/** Fonts stay files of their own, which a browser loads when it shows a formula. */
const fontsOfFormulas: Bun.BunPlugin = {
  name: "fonts of formulas",
  setup: (build) =>
    void build.onLoad({ filter: /katex\.css$/ }, async ({ path }) => {
      const css = await Bun.file(path).text();
      // Every browser that runs the page knows WOFF2.
      const contents = css.replace(/,\s*url\([^)]*\) format\("(woff|truetype)"\)/g, "");
      return { contents, loader: "css" };
    }),
};

/** A module whose default export is the list of names and paths; the bundler embeds the paths. */
function listing(names: readonly string[]): string {
  const imports = names.map(
    (name, index) => `import f${index} from "./${flat(name)}.gz" with { type: "file" };`,
  );
  const entries = names.map((name, index) => `[${JSON.stringify(name)}, f${index}]`);
  return `${imports.join("\n")}\nexport default [${entries.join(", ")}];\n`;
}

function flat(name: string): string {
  return name.replaceAll("/", "-");
}

/** Writes whole or not at all: another process may read. */
function write(name: string, content: string | Uint8Array): void {
  const path = join(OUT, `${name}.${process.pid}.tmp`);
  writeFileSync(path, content);
  renameSync(path, join(OUT, name));
}

function hashOfPage(): string {
  const hash = createHash("sha256").update(Bun.version);
  const own = readdirSync(PAGE, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.\w+$/.test(name))
    .sort()
    .map((name) => join(PAGE, name));
  for (const path of [join(ROOT, "bun.lock"), import.meta.path, ...own])
    hash.update(`\n${path}\n`).update(readFileSync(path));
  return hash.digest("hex");
}

function readOr(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

if (import.meta.main) await buildPage();
