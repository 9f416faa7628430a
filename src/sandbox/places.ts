// The places of a sandbox where its programs may write, and how much fits there. All of them are
// memory, under every engine that isolates.

import { SCRATCH } from "../recipe/schema/sandbox-schema.ts";
import type { SandboxSpec } from "./contract.ts";

/** The part of the memory that each place may take unless the recipe gives it more. */
const PART = 1 / 4;

/** Bytes that fit into /tmp, and as many into /work. */
export function placeBytes({ diskBytes, memoryBytes }: SandboxSpec): number {
  return Math.floor(diskBytes ?? memoryBytes * PART);
}

/** /tmp, and /work where commands start there. */
export function writablePlaces({ workdir }: SandboxSpec): readonly string[] {
  return workdir === SCRATCH ? ["/tmp", SCRATCH] : ["/tmp"];
}

/**
 * The memory of the whole sandbox. Room that the recipe gives to files is added, so that full
 * places take nothing from programs.
 */
export function wholeBytes(spec: SandboxSpec): number {
  const { diskBytes, memoryBytes } = spec;
  return diskBytes === null ? memoryBytes : memoryBytes + diskBytes * writablePlaces(spec).length;
}

/**
 * The home folder, which exists and can be written to. Root of a writable container has the image's
 * own.
 */
export function homeOf({ user, readOnly }: SandboxSpec): string {
  return user === "root" && !readOnly ? "/root" : "/tmp";
}
