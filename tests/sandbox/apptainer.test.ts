// Apptainer against the cases that every engine passes, and what is its own.

import { describe } from "bun:test";
import { ApptainerSandboxes, findApptainer } from "../../src/sandbox/apptainer.ts";
import { prepareImage } from "../../src/sandbox/image.ts";
import { sandboxCases } from "./cases.ts";

const log = { write: () => undefined, close: async () => undefined };
const apptainer = await findApptainer();
// Made once from a local Docker image, or pulled where there is a registry.
const image = apptainer === null ? null : await prepareImage("python:3.12-slim", "apptainer", { log, apptainer }).catch(String);
const missing = apptainer === null ? "no apptainer in PATH" : image?.endsWith(".sif") === true ? null : String(image);
if (missing !== null) console.log(`skipped: ${missing}`);

describe.skipIf(missing !== null)("apptainer", () =>
  sandboxCases({ image: image ?? "", connect: async (lease) => new ApptainerSandboxes(apptainer ?? "", lease, log) }),
);
