// The npm packages: one for each platform with the binary, of which npm installs the one that fits,
// and one that users name, with the command and the types.

import { gzip } from "./compress.ts";
import type { Program } from "./musl.ts";
import { DESCRIPTION, NAME, type Release, SUMMARY } from "./release.ts";
import { type Entry, tar } from "./tar.ts";
import { TARGETS, type Target } from "./targets.ts";

export interface NpmPackage {
  readonly file: string;
  readonly body: Uint8Array;
}

/** Starts the binary of this platform in place of Node, or beside it where Node cannot do that. */
const LAUNCHER = `#!/usr/bin/env node
"use strict";
const { spawn } = require("node:child_process");

const musl =
  process.platform === "linux" && process.report.getReport().header.glibcVersionRuntime === undefined;
const platform = \`\${process.platform}-\${process.arch}\${musl ? "-musl" : ""}\`;
let binary;
try {
  binary = require.resolve(\`${NAME}-\${platform}/bin/matrix\`);
} catch {
  console.error(
    \`error: ${NAME} has no program for \${platform} here\\n\` +
      "hint: install it with optional dependencies, on Linux or macOS with x64 or arm64",
  );
  process.exit(2);
}
const args = process.argv.slice(2);
if (process.execve !== undefined) {
  process.removeAllListeners("warning").on("warning", () => {});
  process.execve(binary, ["matrix", ...args], process.env);
}
const child = spawn(binary, args, { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
  process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(\`error: \${binary} does not start: \${error.message}\`);
  process.exit(2);
});
child.on("exit", (code, signal) => {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.removeAllListeners(name);
  if (signal !== null) process.kill(process.pid, signal);
  else process.exitCode = code;
});
`;

export function platformPackage(
  release: Release,
  target: Target,
  { binary, libraries }: Program,
): Promise<NpmPackage> {
  const { name, os, arch, libc } = target;
  const manifest = {
    ...common(`${NAME}-${name}`, `${SUMMARY}: the program for ${name}`, release),
    ...{ os: [os], cpu: [arch] },
    ...(libc === null ? {} : { libc: [libc] }),
    files: ["bin", "lib"],
  };
  return packed(manifest, release, [
    { path: "bin/matrix", body: binary, mode: 0o755 },
    ...[...libraries].map(([path, body]) => ({ path, body, mode: 0o755 })),
  ]);
}

export function mainPackage(release: Release): Promise<NpmPackage> {
  const { manual, completions, types } = release.texts;
  const manifest = {
    ...common(NAME, SUMMARY, release),
    bin: { matrix: "bin/matrix.js" },
    man: "man/matrix.1",
    types: "matrix.d.ts",
    exports: { ".": { types: "./matrix.d.ts" }, "./package.json": "./package.json" },
    engines: { node: ">=18" },
    optionalDependencies: Object.fromEntries(
      TARGETS.map(({ name }) => [`${NAME}-${name}`, release.version]),
    ),
  };
  return packed(manifest, release, [
    { path: "bin/matrix.js", body: LAUNCHER, mode: 0o755 },
    { path: "matrix.d.ts", body: types },
    { path: "man/matrix.1", body: manual },
    { path: "completions/matrix.bash", body: completions.bash },
    { path: "completions/_matrix", body: completions.zsh },
    { path: "completions/matrix.fish", body: completions.fish },
    { path: "README.md", body: DESCRIPTION },
  ]);
}

function common(name: string, description: string, { version }: Release) {
  return { name, version, description, license: "MIT" };
}

async function packed(
  manifest: { readonly name: string; readonly version: string },
  { epoch, level, texts }: Release,
  files: readonly Entry[],
): Promise<NpmPackage> {
  const entries: readonly Entry[] = [
    { path: "package.json", body: `${JSON.stringify(manifest, null, 2)}\n` },
    ...files,
    { path: "LICENSE", body: texts.license },
    { path: "THIRD-PARTY-NOTICES", body: texts.notices },
  ];
  const inFolder = entries.map((entry) => ({ ...entry, path: `package/${entry.path}` }));
  const body = gzip(await tar(inFolder, epoch), level);
  return { file: `${manifest.name}-${manifest.version}.tgz`, body };
}
