// A release of a test's own: a program of a few bytes, and short texts.

import type { Release } from "../../../scripts/packages/release.ts";
import { TARGETS, type Target } from "../../../scripts/packages/targets.ts";

export const RELEASE: Release = {
  ...{ version: "1.2.3", commit: "0123456789ab", epoch: 1_790_000_000, level: 1 },
  texts: {
    manual: "the manual",
    completions: { bash: "in bash", zsh: "in zsh", fish: "in fish" },
    license: "the license",
    notices: "the notices",
    types: "export {};",
  },
  python: new Map([["matrix_agent.py", Buffer.from("x = 1\n")]]),
};

export const PROGRAM = { binary: Buffer.from("#!/bin/sh\necho it runs\n"), libraries: new Map() };
export const WITH_LIBRARY = {
  ...PROGRAM,
  libraries: new Map([["lib/matrix-agents/libx.so", Buffer.from("a library")]]),
};

export function targetNamed(name: string): Target {
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) throw new Error(`no target ${name}`);
  return target;
}
