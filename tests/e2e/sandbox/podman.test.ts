// Podman against the cases that every engine passes, at the address in MATRIX_TEST_PODMAN, such as
// unix:///run/podman/podman.sock. Continuous integration has no Podman, so a person runs this file.

import { describe } from "bun:test";
import { dockerImageId } from "../../../src/sandbox/docker/image.ts";
import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { withEnv } from "../../parts/env.ts";
import { sandboxCases } from "./cases.ts";

const IMAGE = "docker.io/library/python:3.12-slim";
const address = process.env["MATRIX_TEST_PODMAN"];
const env = { DOCKER_HOST: address };
const hasImage = address !== undefined && (await withEnv(env, () => dockerImageId(IMAGE))) !== null;
if (address === undefined) console.log("not run: Podman, because MATRIX_TEST_PODMAN is not set");
else if (!hasImage) console.log(`skipped: Podman has no image ${IMAGE}`);

describe.skipIf(!hasImage)("podman", () =>
  sandboxCases({
    image: IMAGE,
    connect: (lease, log) => withEnv(env, () => DockerSandboxes.connect(lease, log)),
  }),
);
