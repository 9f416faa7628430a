// The Docker engine that answers: what it is reported as, and which of its containers are ours.

import { expect, test } from "bun:test";
import {
  findContainers,
  hintFor,
  LABEL,
  removeContainer,
  reportDocker,
} from "../../../src/sandbox/docker/client.ts";
import { DockerEngine } from "../../parts/docker-engine.ts";
import { withEnv } from "../../parts/env.ts";

test("a local engine is usable, with its version, its address and every limit enforced", () =>
  DockerEngine.within(async () => {
    expect(await reportDocker()).toEqual({
      usable: true,
      says: `Docker 99.1 at ${process.env["DOCKER_HOST"]}`,
      unenforced: [],
      hints: [],
    });
  }));

test.each([
  [{ MemoryLimit: false, CpuCfsQuota: false, PidsLimit: false }, ["memory", "cpus", "pids"]],
  [{ MemoryLimit: true, CpuCfsQuota: true, PidsLimit: true }, []],
  [{ MemoryLimit: true, CpuCfsQuota: false }, ["cpus"]],
  [{ MemoryLimit: false }, ["memory"]],
  [{ PidsLimit: false }, ["pids"]],
])("an engine that reports %j does not enforce %j", (info, unenforced) =>
  DockerEngine.within(async (engine) => {
    engine.replies.set("GET /info", { status: 200, json: info });
    expect((await reportDocker()).unenforced).toEqual(unenforced as never);
  }),
);

test("an engine that is not there is reported with its address and what to do", () =>
  withEnv({ DOCKER_HOST: "unix:///no/such/docker.sock" }, async () => {
    expect(await reportDocker()).toEqual({
      usable: false,
      says: expect.stringMatching(
        /^no Docker engine answers at unix:\/\/\/no\/such\/docker.sock: .+/,
      ),
      unenforced: [],
      hints: ["start Docker or `podman system service`, set DOCKER_HOST, or use Apptainer"],
    });
  }));

test("an address that cannot be read is reported without one", () =>
  withEnv(
    { DOCKER_HOST: undefined, DOCKER_CONTEXT: "gone", DOCKER_CONFIG: "/no/such" },
    async () => {
      const { usable, says } = await reportDocker();
      expect(usable).toBe(false);
      expect(says).toStartWith('no Docker engine answers: cannot read the Docker context "gone"');
    },
  ));

test("an engine on another machine cannot be used, and says what to do", () =>
  DockerEngine.within(async (engine) => {
    const address = `tcp://${"localhost.localdomain"}:1`;
    await withEnv({ DOCKER_HOST: address }, async () => {
      expect(await reportDocker()).toMatchObject({ usable: false });
    });
    expect(engine.requests).toEqual([]);
  }));

test.each([
  ["EACCES", "this user may not talk to Docker: add it to the group `docker`, or use Apptainer"],
  ["ENOENT", "start Docker or `podman system service`, set DOCKER_HOST, or use Apptainer"],
  ["ECONNREFUSED", "start Docker or `podman system service`, set DOCKER_HOST, or use Apptainer"],
  [
    "FailedToOpenSocket",
    "start Docker or `podman system service`, set DOCKER_HOST, or use Apptainer",
  ],
  ["EPIPE", "run `matrix sandbox check` to see what this machine can do"],
  [undefined, "run `matrix sandbox check` to see what this machine can do"],
])("the advice for the error %p is: %s", (code, hint) => {
  expect(hintFor(Object.assign(new Error("x"), code === undefined ? {} : { code }))).toBe(hint);
});

test("our containers are asked for by their label, and read from their labels", () =>
  DockerEngine.within(async (engine) => {
    expect(LABEL).toEqual({
      sandbox: "matrix.sandbox",
      run: "matrix.run",
      host: "matrix.host",
      lease: "matrix.lease",
      machine: "matrix.machine",
    });
    const labels = {
      "matrix.run": "r",
      "matrix.host": "h",
      "matrix.lease": "/l",
      "matrix.machine": "m",
    };
    engine.replies.set("GET /containers/json", {
      status: 200,
      json: [
        { Names: ["/one"], Labels: labels, Image: "x:1", Created: 1234 },
        { Names: [], Labels: {}, Image: "y", Created: 0 },
      ],
    });
    expect(await findContainers()).toEqual([
      {
        engine: "docker",
        id: "one",
        run: "r",
        host: "h",
        lease: "/l",
        machine: "m",
        image: "x:1",
        startedAt: 1_234_000,
      },
      {
        engine: "docker",
        id: "",
        run: "?",
        host: "?",
        lease: "",
        machine: "",
        image: "y",
        startedAt: 0,
      },
    ]);
    const [asked] = engine.asked("GET /containers/json");
    expect(asked?.query.get("all")).toBe("true");
    expect(JSON.parse(asked?.query.get("filters") ?? "")).toEqual({ label: ["matrix.lease"] });
  }));

test.each([
  [204, "removed"],
  [404, "removed"],
  [409, "removed"],
  [500, "failed"],
])("the removal of a container that the engine answers with %d has %s", (status, outcome) =>
  DockerEngine.within(async (engine) => {
    const json = status === 204 ? {} : { json: { message: "m" } };
    engine.replies.set("DELETE /containers/one", { status, ...json });
    const ended = await removeContainer("one").then(
      () => "removed",
      () => "failed",
    );
    expect(ended).toBe(outcome);
    expect(engine.asked("DELETE /containers/one")[0]?.query.get("force")).toBe("true");
  }),
);

test.each([
  [{}, {}, "Docker"],
  [{ Components: [{ Name: "Engine" }] }, { SecurityOptions: ["name=seccomp"] }, "Docker"],
  [{}, { SecurityOptions: ["name=rootless"] }, "rootless Docker"],
  [{ Components: [{ Name: "Conmon" }, { Name: "Podman Engine" }] }, {}, "Podman"],
])("an engine that reports %j and %j is called %3$s", (version, info, name) =>
  DockerEngine.within(async (engine) => {
    engine.replies.set("GET /version", { status: 200, json: { Version: "9", ...version } });
    engine.replies.set("GET /info", { status: 200, json: info });
    expect((await reportDocker()).says).toStartWith(`${name} 9 at unix://`);
  }),
);
