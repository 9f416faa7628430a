// Apptainer against the cases that every engine passes, and what is its own.

import { describe } from "bun:test";
import { ApptainerSandboxes, findApptainer } from "../../src/sandbox/apptainer.ts";
import { sandboxCases } from "./cases.ts";

const program = await findApptainer();
const image = "/tmp/exp/py.sif";

describe.skipIf(program === null)("apptainer", () =>
  sandboxCases({ image, connect: async (lease, log) => new ApptainerSandboxes(program ?? "", lease, log) }),
);
