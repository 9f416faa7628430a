// The records of a replay on a host: asked for once, kept while there is room.

import { expect, test } from "bun:test";
import { MatrixError } from "../../../src/error.ts";
import type { DriverCalls } from "../../../src/host/driver-calls.ts";
import type { Control } from "../../../src/peer/control.ts";
import { RemoteSource, recordingOf } from "../../../src/run/replay/remote-source.ts";
import { hopOf, taskOf } from "../../parts/task.ts";

const { signal } = new AbortController();
const HISTORY = [hopOf("a", "x"), hopOf("tool", "long"), hopOf("a", "y", { branch: 1 })];

/** A driver that answers with these, one after the other; the last one for ever. */
function driverOf(...answers: readonly (Control<"recording"> | Error | null)[]) {
  const asked: string[] = [];
  const call = async (route: string, _: string, { row, trial }: Control<"recorded">) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(`${route} ${row} ${trial}`);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { asked, driver: { call: call as unknown as DriverCalls["call"] } };
}

const recording = (redraws: number, history: unknown = []): Control<"recording"> => ({
  redraws,
  record: { seed: 3, history: Buffer.from(JSON.stringify(history)), error: null },
});

test("a host asks the driver for a record once, and answers at once from then on", async () => {
  const { asked, driver } = driverOf(recording(2, HISTORY));
  const source = new RemoteSource(driver);
  const task = taskOf({ rowId: "r", trial: 4 });
  const recorded = { seed: 3, history: HISTORY, error: null };
  expect(await source.find(task, signal)).toEqual(recorded);
  expect(source.find(task, signal)).toEqual(recorded);
  expect(await source.redraws(task, signal)).toBe(2);
  expect(asked).toEqual(["recorded r 4"]);
  await source.redraws(taskOf({ rowId: "other" }), signal);
  expect(asked).toEqual(["recorded r 4", "recorded other 0"]);
});

test("a task without a record is known as such", async () => {
  const { asked, driver } = driverOf({ redraws: 1, record: null });
  const source = new RemoteSource(driver);
  expect(await source.find(taskOf(), signal)).toBeNull();
  expect(source.find(taskOf(), signal)).toBeNull();
  expect(await source.redraws(taskOf(), signal)).toBe(1);
  expect(asked).toHaveLength(1);
});

test("a driver that is away is asked again until it is back", async () => {
  const away = new MatrixError("peer_failed", "no answer");
  const { asked, driver } = driverOf(null, away, recording(0, HISTORY));
  expect(await new RemoteSource(driver).find(taskOf(), signal)).toMatchObject({ seed: 3 });
  expect(asked).toHaveLength(3);
});

test("a step that is given up asks no more, and an answer that is none fails it", async () => {
  const stopped = AbortSignal.abort(new Error("given up"));
  const { driver } = driverOf(null);
  await expect(Promise.resolve(new RemoteSource(driver).find(taskOf(), stopped))).rejects.toThrow(
    "given up",
  );
  const bad = driverOf(new MatrixError("wire_invalid", "nonsense"));
  await expect(
    Promise.resolve(new RemoteSource(bad.driver).find(taskOf(), signal)),
  ).rejects.toThrow("nonsense");
  expect(bad.asked).toHaveLength(1);
});

test("a host forgets the record that it looked at longest ago when there is no more room", async () => {
  const { asked, driver } = driverOf(recording(0, "x".repeat(98)));
  const source = new RemoteSource(driver, 250);
  const look = async (rowId: string) => void (await source.find(taskOf({ rowId }), signal));
  for (const rowId of ["1", "2", "1", "3", "1", "3"]) await look(rowId);
  expect(asked.map((call) => call.split(" ")[1])).toEqual(["1", "2", "3"]);
  await look("2");
  expect(asked).toHaveLength(4);
});

test("a record that is larger than the room serves its own steps", async () => {
  const { asked, driver } = driverOf(recording(0, "x".repeat(98)));
  const source = new RemoteSource(driver, 10);
  for (const _ of [1, 2]) await source.find(taskOf(), signal);
  expect(asked).toHaveLength(1);
});

test("the driver sends results of llm roles alone, with the place of every hop", async () => {
  const found = {
    find: () => ({ seed: 3, history: HISTORY, error: "no" }),
    redraws: async () => 7,
  };
  const { redraws, record } = await recordingOf(found, ["a"], { row: "r", trial: 0 });
  expect([redraws, record?.seed, record?.error]).toEqual([7, 3, "no"]);
  expect(JSON.parse(Buffer.from(record?.history ?? []).toString())).toEqual([
    HISTORY[0],
    { ...HISTORY[1], result: null },
    HISTORY[2],
  ]);
  const none = { ...found, find: () => null };
  expect(await recordingOf(none, ["a"], { row: "r", trial: 0 })).toEqual({
    redraws: 7,
    record: null,
  });
});
