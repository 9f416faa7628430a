// Docker against the cases that every engine passes, and what is its own.

import { describe } from "bun:test";
import { DockerSandboxes, dockerImageId, reportDocker } from "../../src/sandbox/docker.ts";
import { sandboxCases } from "./cases.ts";

const IMAGE = "python:3.12-slim";
const { usable, says } = await reportDocker();
const missing = !usable ? says : (await dockerImageId(IMAGE)) !== null ? null : `Docker has no image ${IMAGE}`;
if (missing !== null) console.log(`skipped: ${missing}`);

describe.skipIf(missing !== null)("docker", () =>
  sandboxCases({ image: IMAGE, connect: (lease, log) => DockerSandboxes.connect(lease, log) }),
);
