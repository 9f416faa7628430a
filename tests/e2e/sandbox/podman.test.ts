// Podman against the cases that every engine passes, at the address in MATRIX_TEST_PODMAN, such as
// unix:///run/podman/podman.sock. Continuous integration has no Podman, so a person runs this file.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dockerImageId } from "../../../src/sandbox/docker/image.ts";
import { DockerSandboxes } from "../../../src/sandbox/docker/sandboxes.ts";
import { Lease } from "../../../src/sandbox/lease.ts";
import { withEnv } from "../../parts/env.ts";
import { withFolder } from "../../parts/folder.ts";
import { quiet } from "../../parts/quiet.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { until } from "../../parts/until.ts";
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

/** A service of Podman with more in its configuration, and its address. */
async function withService(more: string, use: (address: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const given = process.env["CONTAINERS_CONF"];
    const base = given === undefined ? "" : await readFile(given, "utf8");
    const conf = join(folder, "containers.conf");
    await writeFile(conf, `[containers]\n${more}\n${base.replace("[containers]", "")}`);
    const socket = join(folder, "podman.sock");
    const service = Bun.spawn(["podman", "system", "service", "--time=0", `unix://${socket}`], {
      ...{ env: { ...process.env, CONTAINERS_CONF: conf }, stdout: "ignore", stderr: "ignore" },
    });
    try {
      await until(() => existsSync(socket), "the service listens");
      await use(`unix://${socket}`);
    } finally {
      service.kill();
      await service.exited;
    }
  });
}

test.skipIf(!hasImage).each([
  ['env = ["LEAK=1"]', "the variable LEAK"],
  ['volumes = ["/etc:/leaked"]', "a mount at /leaked (from /etc)"],
  ['volumes = ["matrix-test:/vol"]', "a mount at /vol (from "],
])("Podman with %s in its configuration starts no sandbox, and the error says why", (more, what) =>
  withService(more, (own) =>
    withEnv({ DOCKER_HOST: own }, async () => {
      const lease = await Lease.take({ run: "foreign", host: "test" });
      try {
        const sandboxes = await DockerSandboxes.connect(lease, quiet);
        await expect(sandboxes.start({ ...SPEC, image: IMAGE })).rejects.toMatchObject({
          code: "sandbox_invalid",
          message: expect.stringContaining(`Podman puts ${what}`),
        });
      } finally {
        await lease.release();
      }
    }),
  ),
);
