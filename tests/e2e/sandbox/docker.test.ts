// Docker against the cases that every engine passes.

import { describe } from "bun:test";
import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { sandboxCases } from "./cases.ts";
import { docker } from "./engines.ts";

describe.skipIf(docker.image === null)("docker", () =>
  sandboxCases({
    image: docker.image ?? "",
    connect: (lease, log) => DockerSandboxes.connect(lease, log),
  }),
);
