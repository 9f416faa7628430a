// Docker against the cases that every engine passes.

import { describe } from "bun:test";

<<<<<<<< HEAD:tests/e2e/sandbox/docker.test.ts

import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { sandboxCases } from "./cases.ts";
import { docker } from "./engines.ts";

========

import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { sandboxCases } from "../cases.ts";
import { docker } from "../engines.ts";

>>>>>>>> ee17cf6 (refactor(sandbox): Docker and Apptainer have folders, a pool's sandboxes and an agent's lines files of their own; one error class):tests/sandbox/docker/sandboxes.test.ts

describe.skipIf(docker.image === null)("docker", () =>
  sandboxCases({
    image: docker.image ?? "",
    connect: (lease, log) => DockerSandboxes.connect(lease, log),
  }),
);
