// A wheel: the binary as a script, so that no Python runs before it; the Python modules; the texts.

import { createHash } from "node:crypto";
import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js";
import { deflate } from "./compress.ts";
import { withEnglishAlone } from "./locale-data.ts";
import { LIBRARY_NOTICE, type Program } from "./musl.ts";
import { DESCRIPTION, NAME, type Release, SUMMARY, sharedFiles } from "./release.ts";
import type { Target } from "./targets.ts";

interface WheelFile {
  readonly path: string;
  readonly body: Buffer;
  readonly executable?: boolean;
}

const DISTRIBUTION = NAME.replaceAll("-", "_");

/** A second name, so that `uvx matrix-agents` runs the program. It takes the command beside it. */
const ALIAS = `#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/matrix" "$@"
`;

/** A wheel must stay small, so it has these texts once. */
const IN_PROGRAM = `The program has the licenses of all third-party software in it, with their texts:
run "matrix licenses".
`;

export async function wheel(
  release: Release,
  target: Target,
  program: Program,
): Promise<{ readonly file: string; readonly body: Uint8Array }> {
  const stem = `${DISTRIBUTION}-${release.version}`;
  const files = filesOf(release, target, program, stem);
  const record = `${stem}.dist-info/RECORD`;
  const lines = [...files.map(recordLine), `${record},,`, ""].join("\n");
  const body = await zip([...files, { path: record, body: Buffer.from(lines) }], release);
  return { file: `${stem}-py3-none-${target.wheel.join(".")}.whl`, body };
}

function filesOf(
  release: Release,
  target: Target,
  { binary, libraries }: Program,
  stem: string,
): readonly WheelFile[] {
  const info = `${stem}.dist-info`;
  const { license } = release.texts;
  const notices = libraries.size === 0 ? IN_PROGRAM : `${IN_PROGRAM}\n${LIBRARY_NOTICE}`;
  const lean = target.os === "linux" ? withEnglishAlone(binary) : binary;
  return [
    ...[...release.python].map(([path, body]) => ({ path, body })),
    { path: `${stem}.data/scripts/matrix`, body: lean, executable: true },
    ...[...libraries].map(([path, body]) => ({
      path: `${stem}.data/data/${path}`,
      body,
      executable: true,
    })),
    { path: `${stem}.data/scripts/${NAME}`, body: Buffer.from(ALIAS), executable: true },
    ...[...sharedFiles(release)]
      .filter(([path]) => !path.startsWith("licenses/"))
      .map(([path, text]) => ({
        path: `${stem}.data/data/share/${path}`,
        body: Buffer.from(text),
      })),
    { path: `${info}/licenses/LICENSE`, body: Buffer.from(license) },
    { path: `${info}/licenses/THIRD-PARTY-NOTICES`, body: Buffer.from(notices) },
    { path: `${info}/METADATA`, body: Buffer.from(metadata(release.version)) },
    { path: `${info}/WHEEL`, body: Buffer.from(description(target)) },
  ];
}

function metadata(version: string): string {
  return `Metadata-Version: 2.4
Name: ${NAME}
Version: ${version}
Summary: ${SUMMARY}
License-Expression: MIT
License-File: LICENSE
License-File: THIRD-PARTY-NOTICES
Keywords: synthetic data,agents,llm
Classifier: Environment :: Console
Classifier: Operating System :: MacOS
Classifier: Operating System :: POSIX :: Linux
Classifier: Typing :: Typed
Requires-Python: >=3.9
Description-Content-Type: text/markdown

${DESCRIPTION}`;
}

function description({ wheel: platforms }: Target): string {
  return [
    "Wheel-Version: 1.0",
    `Generator: ${NAME}`,
    "Root-Is-Purelib: false",
    ...platforms.map((platform) => `Tag: py3-none-${platform}`),
    "",
  ].join("\n");
}

function recordLine({ path, body }: WheelFile): string {
  return `${path},sha256=${createHash("sha256").update(body).digest("base64url")},${body.length}`;
}

/** Python's index takes entries that are stored or deflated, and no others. */
async function zip(
  files: readonly WheelFile[],
  { epoch, level }: Release,
): Promise<Uint8Array<ArrayBuffer>> {
  const writer = new ZipWriter(new Uint8ArrayWriter(), {
    ...{ useWebWorkers: false, dataDescriptor: false, extendedTimestamp: false },
    // The system of the file modes is Unix.
    versionMadeBy: (3 << 8) | 20,
  });
  for (const { path, body, executable = false } of files) {
    await writer.add(path, new Uint8ArrayReader(deflate(body, level)), {
      ...{ passThrough: true, compressionMethod: 8, uncompressedSize: body.length },
      signature: Bun.hash.crc32(body),
      lastModDate: new Date(epoch * 1000),
      externalFileAttributes: ((executable ? 0o100755 : 0o100644) << 16) >>> 0,
    });
  }
  return (await writer.close()) as Uint8Array<ArrayBuffer>;
}
