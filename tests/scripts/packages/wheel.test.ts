// What is in a wheel, read back as an installer does.

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { Uint8ArrayReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js";
import { wheel } from "../../../scripts/packages/wheel.ts";
import { PROGRAM, RELEASE, targetNamed, WITH_LIBRARY } from "./release.ts";

async function read(body: Uint8Array) {
  const reader = new ZipReader(new Uint8ArrayReader(body), { useWebWorkers: false });
  const entries = (await reader.getEntries()).flatMap((entry) => (entry.directory ? [] : [entry]));
  const files = await Promise.all(
    entries.map(async (entry) => ({
      path: entry.filename,
      mode: entry.externalFileAttributes >>> 16,
      method: entry.compressionMethod,
      body: Buffer.from(await entry.getData(new Uint8ArrayWriter(), { checkSignature: true })),
    })),
  );
  await reader.close();
  return files;
}

const made = await wheel(RELEASE, targetNamed("darwin-arm64"), WITH_LIBRARY);
const files = await read(made.body);
const textOf = (path: string) => files.find((file) => file.path === path)?.body.toString();

test("a wheel is named for its platform", () => {
  expect(made.file).toBe("matrix_agents-1.2.3-py3-none-macosx_13_0_arm64.whl");
});

test("a wheel has the program, the modules, the manual, the completions and the licenses", () => {
  const data = "matrix_agents-1.2.3.data";
  const info = "matrix_agents-1.2.3.dist-info";
  expect(files.map(({ path }) => path)).toEqual([
    "matrix_agent.py",
    `${data}/scripts/matrix`,
    `${data}/data/lib/matrix-agents/libx.so`,
    `${data}/scripts/matrix-agents`,
    `${data}/data/share/man/man1/matrix.1`,
    `${data}/data/share/bash-completion/completions/matrix`,
    `${data}/data/share/zsh/site-functions/_matrix`,
    `${data}/data/share/fish/vendor_completions.d/matrix.fish`,
    `${info}/licenses/LICENSE`,
    `${info}/licenses/THIRD-PARTY-NOTICES`,
    `${info}/METADATA`,
    `${info}/WHEEL`,
    `${info}/RECORD`,
  ]);
  expect(textOf(`${data}/scripts/matrix`)).toBe(PROGRAM.binary.toString());
});

test("the programs of a wheel are executable, and every entry is deflated", () => {
  const executable = files.filter(({ mode }) => mode === 0o100755).map(({ path }) => path);
  expect(executable.map((path) => path.replace(/^.*\.data\//, ""))).toEqual([
    "scripts/matrix",
    "data/lib/matrix-agents/libx.so",
    "scripts/matrix-agents",
  ]);
  expect(files.filter(({ method }) => method !== 8)).toEqual([]);
  expect(files.filter(({ mode }) => ![0o100755, 0o100644].includes(mode))).toEqual([]);
});

test("the notices of a wheel name the command that prints the licenses, and its libraries", () => {
  const notices = textOf("matrix_agents-1.2.3.dist-info/licenses/THIRD-PARTY-NOTICES");
  expect(notices).toContain('run "matrix licenses"');
  expect(notices).toContain("libstdc++ and libgcc of GCC");
});

test("RECORD has hash and size of every file but itself", () => {
  const lines = files.slice(0, -1).map(({ path, body }) => {
    const hash = createHash("sha256").update(body).digest("base64url");
    return `${path},sha256=${hash},${body.length}\n`;
  });
  expect(textOf("matrix_agents-1.2.3.dist-info/RECORD")).toBe(
    `${lines.join("")}matrix_agents-1.2.3.dist-info/RECORD,,\n`,
  );
});

test("WHEEL and METADATA state tags, name and version", () => {
  const info = "matrix_agents-1.2.3.dist-info";
  expect(textOf(`${info}/WHEEL`)).toContain("Tag: py3-none-macosx_13_0_arm64\n");
  expect(textOf(`${info}/METADATA`)).toStartWith(
    "Metadata-Version: 2.4\nName: matrix-agents\nVersion: 1.2.3\n",
  );
});

test("a second wheel of the same release is the same to the byte", async () => {
  const again = await wheel(RELEASE, targetNamed("darwin-arm64"), WITH_LIBRARY);
  expect(Buffer.from(again.body).equals(Buffer.from(made.body))).toBe(true);
});
