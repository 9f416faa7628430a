// The sandbox that tests ask for unless they say otherwise.

import type { SandboxSpec } from "../../src/sandbox/contract.ts";

const MIB = 2 ** 20;

export const SPEC: SandboxSpec = {
  name: "case",
  image: "",
  memoryBytes: 256 * MIB,
  diskBytes: null,
  cpus: 1,
  pids: 64,
  network: "none",
  readOnly: true,
  user: "caller",
  mounts: [],
  env: {},
  workdir: "/work",
};
