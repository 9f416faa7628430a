// The ad hoc signature of a program for macOS: macOS starts it only when every page has the hash
// that the signature states.

import { createHash } from "node:crypto";

const LOAD_COMMANDS_AT = 32;
const CODE_SIGNATURE = 0x1d;
const CODE_DIRECTORY = 0xfade0c02;

export interface Signature {
  readonly cpu: number;
  readonly pages: number;
  /** Pages whose hash is another one. */
  readonly broken: number;
}

export function signatureOf(program: Buffer): Signature {
  const at = signatureAt(program);
  const count = program.readUInt32BE(at + 8);
  const blobs = Array.from({ length: count }, (_, i) => at + program.readUInt32BE(at + 16 + i * 8));
  const directory = blobs.find((blob) => program.readUInt32BE(blob) === CODE_DIRECTORY);
  if (directory === undefined) throw new Error("the signature has no code directory");
  const hashes = directory + program.readUInt32BE(directory + 16);
  const pages = program.readUInt32BE(directory + 28);
  const limit = program.readUInt32BE(directory + 32);
  const hashBytes = program.readUInt8(directory + 36);
  const pageBytes = 2 ** program.readUInt8(directory + 39);
  const broken = Array.from({ length: pages }, (_, page) => page).filter((page) => {
    const body = program.subarray(page * pageBytes, Math.min((page + 1) * pageBytes, limit));
    const hash = createHash("sha256").update(body).digest();
    const stated = program.subarray(hashes + page * hashBytes, hashes + (page + 1) * hashBytes);
    return !hash.equals(stated);
  });
  return { cpu: program.readUInt32LE(4), pages, broken: broken.length };
}

function signatureAt(program: Buffer): number {
  const count = program.readUInt32LE(16);
  let at = LOAD_COMMANDS_AT;
  for (let i = 0; i < count; i++) {
    if (program.readUInt32LE(at) === CODE_SIGNATURE) return program.readUInt32LE(at + 8);
    at += program.readUInt32LE(at + 4);
  }
  throw new Error("the program has no signature");
}
