// The npm packages: what their manifests say, and the starter of the command.

import { expect, test } from "bun:test";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { extract } from "tar-stream";
import { mainPackage, platformPackage } from "../../../scripts/packages/npm.ts";
import { withFolder } from "../../parts/folder.ts";
import { RELEASE, targetNamed, WITH_LIBRARY } from "./release.ts";

async function read(body: Uint8Array) {
  const files = new Map<string, { readonly mode: number | undefined; readonly body: Buffer }>();
  for await (const entry of Readable.from(gunzipSync(body)).pipe(extract()))
    files.set(entry.header.name, { mode: entry.header.mode, body: await buffer(entry) });
  return files;
}

const main = await mainPackage(RELEASE);
const mainFiles = await read(main.body);
const manifestOf = (files: typeof mainFiles) =>
  JSON.parse(files.get("package/package.json")?.body.toString() ?? "null");

test("the package of a platform states system, processor and C library, and has the program", async () => {
  const made = await platformPackage(RELEASE, targetNamed("linux-arm64-musl"), WITH_LIBRARY);
  const files = await read(made.body);
  expect(made.file).toBe("matrix-agents-linux-arm64-musl-1.2.3.tgz");
  expect(manifestOf(files)).toMatchObject({
    ...{ name: "matrix-agents-linux-arm64-musl", version: "1.2.3", license: "MIT" },
    ...{ os: ["linux"], cpu: ["arm64"], libc: ["musl"] },
  });
  expect(files.get("package/bin/matrix")).toEqual({ mode: 0o755, body: WITH_LIBRARY.binary });
  expect(files.has("package/lib/matrix-agents/libx.so")).toBe(true);
  expect(files.has("package/THIRD-PARTY-NOTICES")).toBe(true);
});

test("a package for macOS states no C library", async () => {
  const made = await platformPackage(RELEASE, targetNamed("darwin-x64"), WITH_LIBRARY);
  const manifest = manifestOf(await read(made.body));
  expect(manifest).toMatchObject({ os: ["darwin"], cpu: ["x64"] });
  expect("libc" in manifest).toBe(false);
});

test("the main package depends on each platform in its own version, as far as it fits", () => {
  expect(main.file).toBe("matrix-agents-1.2.3.tgz");
  expect(manifestOf(mainFiles).optionalDependencies).toEqual({
    "matrix-agents-linux-x64": "1.2.3",
    "matrix-agents-linux-arm64": "1.2.3",
    "matrix-agents-linux-x64-musl": "1.2.3",
    "matrix-agents-linux-arm64-musl": "1.2.3",
    "matrix-agents-darwin-arm64": "1.2.3",
    "matrix-agents-darwin-x64": "1.2.3",
  });
  expect(mainFiles.get("package/matrix.d.ts")?.body.toString()).toBe("export {};");
  expect(mainFiles.get("package/bin/matrix.js")?.mode).toBe(0o755);
});

/** Lays the main package out, with `program` as that of this platform, and runs its command. */
async function start(program: string | null, args: readonly string[]) {
  return withFolder(async (folder) => {
    const modules = join(folder, "node_modules");
    for (const [path, { body }] of mainFiles) {
      const file = join(modules, path.replace("package/", "matrix-agents/"));
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, body);
    }
    if (program !== null) {
      for (const suffix of ["", "-musl"]) {
        const name = `matrix-agents-${process.platform}-${process.arch}${suffix}`;
        const file = join(modules, name, "bin/matrix");
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, program);
        await chmod(file, 0o755);
      }
    }
    const command = ["node", join(modules, "matrix-agents/bin/matrix.js"), ...args];
    const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
    const stdout = await new Response(child.stdout).text();
    const stderr = await new Response(child.stderr).text();
    await child.exited;
    return { code: child.exitCode, signal: child.signalCode, stdout, stderr };
  });
}

const hasNode = Bun.which("node") !== null;
if (!hasNode) console.log("skipped: the starter of the npm package needs Node.js");

test.skipIf(!hasNode)("the starter passes arguments, output and exit code on", async () => {
  expect(await start('#!/bin/sh\necho "$1-$2"\nexit 3\n', ["a b", "c"])).toMatchObject({
    ...{ code: 3, stdout: "a b-c\n" },
  });
});

test.skipIf(!hasNode)("the starter ends by the signal that ended the program", async () => {
  expect((await start("#!/bin/sh\nkill -TERM $$\n", [])).signal).toBe("SIGTERM");
});

test.skipIf(!hasNode)(
  "without the package of its platform the starter says what to install",
  async () => {
    const { code, stderr } = await start(null, []);
    expect(stderr).toContain(`matrix-agents has no program for ${process.platform}-`);
    expect(stderr).toContain("hint: install it with optional dependencies");
    expect(code).toBe(2);
  },
);
