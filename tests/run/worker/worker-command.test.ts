// The command of each life of a worker.

import { expect, test } from "bun:test";
import { createIdentity } from "../../../src/http/identity.ts";
import { ownCommand } from "../../../src/platform.ts";
import {
  HOST_KEY,
  LAST_ERROR,
  type WorkerFlags,
  WorkerLives,
} from "../../../src/run/worker/worker-command.ts";

const FLAGS: Omit<WorkerFlags, "name"> = {
  join: "/runs/a",
  patienceMs: 1500,
  insecure: false,
  watcher: "driver",
};
const OWN = ownCommand();
const idIn = (args: readonly string[]) => args[args.indexOf("--id") + 1];

test("the first life of a worker has its flags, its own id, and no life before it", () => {
  const lives = new WorkerLives(FLAGS);
  expect(lives.idOf("worker-1")).toBeUndefined();
  const { file, args, env } = lives.next("worker-1", null);
  const id = idIn(args) ?? "";
  expect(id).toMatch(/^worker-1-[\w-]{10}\.[\w-]{15}$/);
  expect(lives.idOf("worker-1")).toBe(id);
  expect(file).toBe(OWN.file);
  expect(args).toEqual([
    ...OWN.args,
    ...["agent", "--join", "/runs/a", "--name", "worker-1", "--id", id],
    ...["--patience", "1500ms", "--watcher", "driver"],
  ]);
  expect(env).toEqual({
    MATRIX_LISTEN: undefined,
    MATRIX_ADVERTISE: undefined,
    MATRIX_ROLE: undefined,
    MATRIX_JOIN: undefined,
    MATRIX_NAME: undefined,
    MATRIX_WORKERS: undefined,
    MATRIX_PATIENCE: undefined,
    MATRIX_HEALTH: undefined,
    MATRIX_INSECURE: undefined,
    [LAST_ERROR]: "",
    [HOST_KEY]: expect.stringMatching(/^[\w-]{43}$/),
  });
});

test("every next life replaces the one before it, and is told how that one ended", () => {
  const lives = new WorkerLives(FLAGS);
  const first = idIn(lives.next("w", null).args);
  const { args, env } = lives.next("w", null, "it broke");
  expect(args[args.indexOf("--replaces") + 1]).toBe(first as string);
  expect(idIn(args)).not.toBe(first);
  expect(lives.idOf("w")).toBe(idIn(args));
  expect(env[LAST_ERROR]).toBe("it broke");
});

test("the lives of one worker have one key, which proves their ids, and no other worker has it", () => {
  const lives = new WorkerLives(FLAGS);
  const [one, two, other] = [lives.next("w", null), lives.next("w", null), lives.next("x", null)];
  for (const { args, env } of [one, two]) {
    const id = idIn(args) ?? "";
    expect(createIdentity(id.split(".")[0] ?? "", env[HOST_KEY]).id).toBe(id);
  }
  expect(two.env[HOST_KEY]).toBe(one.env[HOST_KEY] as string);
  expect(other.env[HOST_KEY]).not.toBe(one.env[HOST_KEY]);
});

test("the life after an adopted one replaces that one", () => {
  const lives = new WorkerLives(FLAGS);
  lives.adopt("w", "w-of-before");
  expect(lives.idOf("w")).toBe("w-of-before");
  const { args } = lives.next("w", null);
  expect(args[args.indexOf("--replaces") + 1]).toBe("w-of-before");
});

test("roles, an address, cleartext, a parent and a token are passed on when they are given", () => {
  const flags = { ...FLAGS, role: "a,b", listen: "0.0.0.0:0", advertise: "ib0", insecure: true };
  const more = { ...flags, watcher: 77 };
  const { args, env } = new WorkerLives(more).next("w", "the-token");
  const flagOf = (flag: string) => args[args.indexOf(flag) + 1];
  const passed = ["--role", "--listen", "--advertise", "--watcher"].map(flagOf);
  expect(passed).toEqual(["a,b", "0.0.0.0:0", "ib0", "77"]);
  expect(args.at(-1)).toBe("--insecure");
  expect(env["MATRIX_TOKEN"]).toBe("the-token");
});

test("an id has the first 37 characters of the name, with a dash for each that an id cannot have", () => {
  const lives = new WorkerLives(FLAGS);
  expect(idIn(lives.next("node 7.a/b", null).args)).toMatch(/^node-7-a-b-[\w-]{10}\.[\w-]{15}$/);
  const long = idIn(lives.next("x".repeat(60), null).args) ?? "";
  expect(long).toMatch(/^x{37}-[\w-]{10}\.[\w-]{15}$/);
});
