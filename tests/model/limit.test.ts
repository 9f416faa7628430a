// The semaphore in front of a model: who runs, in which order, and what becomes of those who give
// up.

import { expect, test } from "bun:test";
import { RequestLimit } from "../../src/model/limit.ts";
import { listenersOn } from "../parts/listeners.ts";

const patient = new AbortController().signal;

/** Starts tasks that end only when they are told to, and notes which have started. */
function createTasks(limit: RequestLimit) {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (name: string, signal = patient) =>
    limit.run(() => {
      started.push(name);
      return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
    }, signal);
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { started, run, end: (name: string) => ends.get(name)?.(), settle };
}

test("a limit lets that many tasks run at once, in order of arrival", async () => {
  const { started, run, end, settle } = createTasks(new RequestLimit(2));
  const all = ["a", "b", "c", "d"].map((name) => run(name));
  await settle();
  expect(started).toEqual(["a", "b"]);
  end("b");
  await settle();
  expect(started).toEqual(["a", "b", "c"]);
  end("a");
  await settle();
  expect(started).toEqual(["a", "b", "c", "d"]);
  end("c");
  end("d");
  expect(await Promise.all(all)).toEqual(["a", "b", "c", "d"]);
});

test("a place that is free again is given to the next task", async () => {
  const { started, run, end, settle } = createTasks(new RequestLimit(1));
  const first = run("a");
  end("a");
  await first;
  const second = run("b");
  const third = run("c");
  await settle();
  expect(started).toEqual(["a", "b"]);
  end("b");
  await second;
  await settle();
  end("c");
  await third;
});

test("a task that fails gives its place back", async () => {
  const limit = new RequestLimit(1);
  await expect(limit.run(() => Promise.reject(new Error("no")), patient)).rejects.toThrow("no");
  expect(await limit.run(async () => "next", patient)).toBe("next");
});

test("a task that gives up fails with its reason, and the next one gets its place", async () => {
  const { started, run, end, settle } = createTasks(new RequestLimit(1));
  const controller = new AbortController();
  const first = run("a");
  const second = run("b", controller.signal).catch((reason: unknown) => reason);
  const third = run("c");
  controller.abort(new Error("stop"));
  expect(await second).toEqual(new Error("stop"));
  end("a");
  await first;
  await settle();
  expect(started).toEqual(["a", "c"]);
  end("c");
  await third;
  const fourth = run("d");
  await settle();
  expect(started).toEqual(["a", "c", "d"]);
  end("d");
  await fourth;
});

test("a task whose signal has aborted already does not start and takes no place", async () => {
  const { started, run, end, settle } = createTasks(new RequestLimit(1));
  await expect(run("a", AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
  const second = run("b");
  await settle();
  expect(started).toEqual(["b"]);
  end("b");
  await second;
});

test("a task that ran leaves no listener on its signal, whether it waited or not", async () => {
  const { run, end, settle } = createTasks(new RequestLimit(1));
  const { signal } = new AbortController();
  const both = [run("a", signal), run("b", signal)];
  await settle();
  expect(listenersOn(signal)).toBe(1);
  end("a");
  await settle();
  end("b");
  await Promise.all(both);
  expect(listenersOn(signal)).toBe(0);
});
