// Packs the binaries of a release. scripts/release runs this after it has built them; see there.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createProgram } from "../../src/cli/program.ts";
import { archive } from "./archive.ts";
import { deb } from "./deb.ts";
import { image } from "./image.ts";
import { LIBRARY_NOTICE, withLibraries } from "./musl.ts";
import { mainPackage, platformPackage } from "./npm.ts";
import { type Release, readRelease } from "./release.ts";
import { sif } from "./sif.ts";
import { TARGETS, type Target } from "./targets.ts";
import { wheel } from "./wheel.ts";

const ROOT = join(import.meta.dir, "../..");
/** libdeflate goes from 1 to 12. */
const LEVEL_MAX = 12;
const LEVEL_QUICK = 1;
/** docs/decisions/package-name.md tells what a wheel leaves out for this. */
const WHEEL_BYTES_MAX = 45e6;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    commit: { type: "string" },
    epoch: { type: "string" },
    output: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});
const { commit = "", epoch = "0", output = "dist/release" } = values;
const folder = join(ROOT, output);

await main();

async function main(): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const level = values.quick ? LEVEL_QUICK : LEVEL_MAX;
  const origin = { commit, epoch: Number(epoch), level };
  const release = await readRelease(origin, await createProgram(), ask);
  for (const target of TARGETS.filter(({ name }) => positionals.includes(name)))
    await packTarget(release, target);
  await keep(mainPackage(release));
  const bill = await ask(["licenses", "--sbom"]);
  await keep({ file: `matrix-${release.version}.cdx.json`, body: Buffer.from(bill) });
  writeFileSync(join(folder, "SHA256SUMS"), sums());
}

async function packTarget(base: Release, target: Target): Promise<void> {
  const binary = readFileSync(join(ROOT, "dist", target.name, "matrix"));
  const program = await withLibraries(binary, target);
  const release = program.libraries.size === 0 ? base : withNotice(base);
  await keep(archive(release, target, program));
  const made = await wheel(release, target, program);
  await keep(made);
  if (!values.quick && made.body.length > WHEEL_BYTES_MAX)
    console.log(`warning: ${made.file} has more than ${WHEEL_BYTES_MAX / 1e6} MB`);
  await keep(platformPackage(release, target, program));
  if (target.debian === null) return;
  if (Bun.which("dpkg-deb") === null) console.log("skipped: the .deb needs dpkg-deb");
  else await keep(deb(release, target, binary));
  const container = await image(release, target, binary);
  if (container === null)
    return console.log(`skipped: the image of ${target.name} needs its C library on this machine`);
  await keep(container);
  const converted = await sif(join(folder, container.file), release);
  if (converted !== null) await keep(converted);
}

function withNotice(release: Release): Release {
  const notices = `${LIBRARY_NOTICE}\n${release.texts.notices}`;
  return { ...release, texts: { ...release.texts, notices } };
}

type Made = { readonly file: string; readonly body: Uint8Array };

async function keep(made: Made | Promise<Made>): Promise<void> {
  const { file, body } = await made;
  writeFileSync(join(folder, file), body);
  console.log(`${(body.length / 1e6).toFixed(1).padStart(6)} MB  ${file}`);
}

/** The output of a program with this source. */
async function ask(args: readonly string[]): Promise<string> {
  const child = Bun.spawn(["bun", "src/main.ts", ...args], { cwd: ROOT, stdout: "pipe" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`matrix ${args.join(" ")} failed`);
  return text;
}

function sums(): string {
  const lines = readdirSync(folder)
    .sort()
    .map((file) => {
      const hash = createHash("sha256").update(readFileSync(join(folder, file)));
      return `${hash.digest("hex")}  ${file}\n`;
    });
  return lines.join("");
}
