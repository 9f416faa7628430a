// Images on a Docker engine: found, pulled and built.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dockerImageId } from "../../../src/sandbox/docker/image.ts";
import { hashFolder } from "../../../src/sandbox/image/image-folder.ts";
import { prepareImage } from "../../../src/sandbox/image/prepare.ts";
import type { Log } from "../../../src/telemetry/log.ts";
import { DockerEngine } from "../../parts/docker-engine.ts";
import { withEnv } from "../../parts/env.ts";
import { withFolder } from "../../parts/folder.ts";
import { keptLog } from "../../parts/kept-log.ts";

const prepare = (image: string, log = keptLog().log, signal?: AbortSignal) =>
  prepareImage(image, "docker", {
    log,
    apptainer: "none",
    ...(signal === undefined ? {} : { signal }),
  });

test("an image that the engine has is taken by its reference", () =>
  DockerEngine.within(async (engine) => {
    engine.images.set("team/x:1", "sha256:abc");
    expect(await dockerImageId("team/x:1")).toBe("sha256:abc");
    expect(await prepare("team/x:1")).toBe("team/x:1");
    expect(engine.asked("POST")).toEqual([]);
  }));

test("an unknown image has no id, and an engine that does not answer is an error", async () => {
  await DockerEngine.within(async () => {
    expect(await dockerImageId("x")).toBeNull();
  });
  await withEnv({ DOCKER_HOST: "unix:///no/such.sock" }, async () => {
    await expect(dockerImageId("x")).rejects.toBeDefined();
  });
});

test("an image that the engine lacks is pulled, and the log says so", () =>
  DockerEngine.within(async (engine) => {
    const { log, lines } = keptLog();
    engine.replies.set("POST /images/create", { status: 200, lines: [{ status: "Pulling" }] });
    expect(await prepare("team/x:1", log)).toBe("team/x:1");
    const [asked] = engine.asked("POST /images/create");
    expect(asked?.query.get("fromImage")).toContain("team/x");
    expect(lines).toEqual(["info Docker pulls team/x:1; this can take minutes"]);
  }));

test.each([
  { status: 200, lines: [{ status: "Pulling" }, { error: "manifest unknown" }] },
  { status: 404, json: { message: "manifest unknown" } },
])("an image that cannot be pulled is invalid, with the engine's reason (%#)", (reply) =>
  DockerEngine.within(async (engine) => {
    engine.replies.set("POST /images/create", reply);
    await expect(prepare("team/x:1")).rejects.toMatchObject({
      code: "sandbox_invalid",
      message: expect.stringMatching(
        /^Docker has no image team\/x:1, and cannot pull it: .*manifest unknown/,
      ),
      hint: "check its name, or bring it here with `docker load`",
    });
  }),
);

test("a pull that is given up ends with its caller's reason", () =>
  DockerEngine.within(async (engine) => {
    engine.replies.set("POST /images/create", { status: 200, lines: [{}], hangs: true });
    const controller = new AbortController();
    engine.onRequest = ({ method }) => {
      if (method === "POST") controller.abort(new Error("given up"));
    };
    await expect(prepare("team/x:1", keptLog().log, controller.signal)).rejects.toThrow("given up");
  }));

const inFolder = (use: (folder: string, engine: DockerEngine) => Promise<void>) =>
  withFolder((parent) =>
    DockerEngine.within(async (engine) => {
      const folder = join(parent, "My Image");
      await mkdir(folder);
      await writeFile(join(folder, "Dockerfile"), "FROM scratch\n");
      await writeFile(join(folder, "note.txt"), "a note");
      await use(folder, engine);
    }),
  );

test("a folder is built under a tag of its name and hash, with its files, and the steps are logged", () =>
  inFolder(async (folder, engine) => {
    const { log, lines } = keptLog();
    engine.replies.set("POST /build", {
      status: 200,
      lines: [{ stream: "Step 1\n" }, { stream: " \n" }, { aux: {} }],
    });
    const tag = `matrix-my-image:${await hashFolder(folder)}`;
    expect(await prepare(folder, log)).toBe(tag);
    const [asked] = engine.asked("POST /build");
    expect(Object.fromEntries(asked?.query ?? [])).toMatchObject({ t: tag, networkmode: "host" });
    expect(asked?.query.get("rm")).toMatch(/^(1|true)$/);
    expect(asked?.query.get("forcerm")).toMatch(/^(1|true)$/);
    expect(lines).toEqual([
      `info building the Docker image of ${folder}; this can take minutes {"tag":"${tag}"}`,
      `info Step 1 {"image":"${tag}"}`,
    ]);
  }));

test("a folder that was built before is not built again", () =>
  inFolder(async (folder, engine) => {
    const tag = `matrix-my-image:${await hashFolder(folder)}`;
    engine.images.set(tag, "sha256:abc");
    expect(await prepare(folder)).toBe(tag);
    expect(engine.asked("POST")).toEqual([]);
  }));

test.each([
  { status: 200, lines: [{ stream: "Step 1" }, { error: "no such command" }] },
  { status: 500, json: { message: "no such command" } },
])("a folder that cannot be built is unavailable, with the engine's reason (%#)", (reply) =>
  inFolder(async (folder, engine) => {
    engine.replies.set("POST /build", reply);
    await expect(prepare(folder)).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message: expect.stringContaining(`Docker cannot build ${folder}: `),
    });
    await expect(prepare(folder)).rejects.toThrow("no such command");
  }),
);

test("a build that is given up while the engine takes the request ends with its caller's reason", () =>
  inFolder(async (folder, engine) => {
    engine.replies.set("POST /build", { status: 200, lines: [{ stream: "1" }], hangs: true });
    const controller = new AbortController();
    engine.onRequest = ({ method }) => {
      if (method === "POST") controller.abort(new Error("given up"));
    };
    await expect(prepare(folder, keptLog().log, controller.signal)).rejects.toThrow("given up");
  }));

test("a build that is given up at one of its steps ends with its caller's reason", () =>
  inFolder(async (folder, engine) => {
    engine.replies.set("POST /build", { status: 200, lines: [{ stream: "1" }], hangs: true });
    const controller = new AbortController();
    const log: Log = {
      write: (_level, message) => {
        if (message === "1") controller.abort(new Error("given up"));
      },
      close: async () => undefined,
    };
    await expect(prepare(folder, log, controller.signal)).rejects.toThrow("given up");
  }));

test.each([
  ["./missing", "Docker takes an image's reference or a folder with a Dockerfile"],
  ["/usr/bin/env", "Docker takes an image's reference or a folder with a Dockerfile"],
  ["/usr/bin", "there is no Dockerfile in this folder"],
])("the path %s is not an image: %s", (path, why) =>
  DockerEngine.within(async () => {
    await expect(prepare(path)).rejects.toMatchObject({
      code: "sandbox_invalid",
      message: `${path} is not an image: ${why}`,
    });
  }),
);

test("plain processes take any image as it is", async () => {
  const options = { log: keptLog().log, apptainer: "none" };
  expect(await prepareImage("whatever", "process", options)).toBe("whatever");
});
