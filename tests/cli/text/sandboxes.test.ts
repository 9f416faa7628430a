// Engines and sandboxes as text.

import { expect, test } from "bun:test";
import {
  type CheckedEngine,
  renderEngine,
  renderSandboxes,
} from "../../../src/cli/text/sandboxes.ts";
import { LIMITS } from "../../../src/sandbox/contract.ts";
import type { SandboxStatus } from "../../../src/sandbox/reaper.ts";

const engine: CheckedEngine = {
  engine: "docker",
  usable: true,
  says: "Docker 27",
  unenforced: [],
  hints: [],
  trial: null,
};

test("an engine shows what it says, its limits, how a trial went and what to fix", () => {
  expect(renderEngine(engine).split("\n")).toEqual([
    "docker: Docker 27",
    `  limits ${LIMITS.join(", ")}`,
  ]);
  const [first, ...others] = LIMITS;
  const weak = { ...engine, unenforced: [first], hints: ["be root", "or not"] };
  expect(renderEngine({ ...weak, trial: { ms: 12 } }).split("\n")).toEqual([
    "docker: Docker 27",
    `  limits ${others.join(", ")}`,
    `  cannot limit ${first}`,
    "  started and answered within 12 ms",
    "  hint: be root",
    "  hint: or not",
  ]);
  expect(renderEngine({ ...engine, trial: { failure: "no image" } })).toEndWith(
    "\n  failed: no image",
  );
  expect(renderEngine({ ...engine, usable: false, says: "not here" })).toBe("docker: not here");
});

test("sandboxes are listed with their owner, age and state", () => {
  const sandbox: SandboxStatus = {
    id: "box-1",
    engine: "docker",
    run: "coral",
    host: "node7",
    lease: "/tmp/l",
    machine: "m",
    image: "python:3.12",
    startedAt: 10_000,
    kept: true,
    ours: true,
  };
  const left = { ...sandbox, id: "b", kept: false, startedAt: 9_400 };
  const foreign = { ...left, ours: false, image: "" };
  expect(renderSandboxes([sandbox, left, foreign], 12_000).split("\n")).toEqual([
    "SANDBOX  ENGINE  RUN    HOST   AGE  STATE        IMAGE",
    "box-1    docker  coral  node7  2 s  in use       python:3.12",
    "b        docker  coral  node7  3 s  left behind  python:3.12",
    "b        docker  coral  node7  3 s  another's",
  ]);
});
