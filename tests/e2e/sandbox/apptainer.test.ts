// Apptainer against the cases that every engine passes.

import { describe } from "bun:test";

<<<<<<<< HEAD:tests/e2e/sandbox/apptainer.test.ts

import { findApptainer } from "../../../src/sandbox/apptainer/program.ts";
import { ApptainerSandboxes } from "../../../src/sandbox/apptainer/sandboxes.ts";
import { sandboxCases } from "./cases.ts";
import { apptainer } from "./engines.ts";

========

import { findApptainer } from "../../../src/sandbox/apptainer/program.ts";
import { ApptainerSandboxes } from "../../../src/sandbox/apptainer/sandboxes.ts";
import { sandboxCases } from "../cases.ts";
import { apptainer } from "../engines.ts";

>>>>>>>> ee17cf6 (refactor(sandbox): Docker and Apptainer have folders, a pool's sandboxes and an agent's lines files of their own; one error class):tests/sandbox/apptainer/sandboxes.test.ts

describe.skipIf(apptainer.image === null)("apptainer", () =>
  sandboxCases({
    image: apptainer.image ?? "",
    connect: async (lease, log) =>
      new ApptainerSandboxes((await findApptainer()) ?? "", lease, log),
  }),
);
