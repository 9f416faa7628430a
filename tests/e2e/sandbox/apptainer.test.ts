// Apptainer against the cases that every engine passes.

import { describe } from "bun:test";
import { findApptainer } from "../../../src/sandbox/apptainer/program.ts";
import { ApptainerSandboxes } from "../../../src/sandbox/apptainer/sandboxes.ts";
import { sandboxCases } from "./cases.ts";
import { apptainer } from "./engines.ts";

describe.skipIf(apptainer.image === null)("apptainer", () =>
  sandboxCases({
    image: apptainer.image ?? "",
    connect: async (lease, log) =>
      new ApptainerSandboxes((await findApptainer()) ?? "", lease, log),
  }),
);
