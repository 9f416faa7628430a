// Plain processes against the cases that every engine passes.

import { describe } from "bun:test";
import { ProcessSandboxes } from "../../../src/sandbox/process.ts";
import { sandboxCases } from "./cases.ts";

describe("process", () =>
  sandboxCases({ image: "", connect: async (lease) => new ProcessSandboxes(lease) }));
