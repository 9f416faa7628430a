// Admission: which rows become tasks, with which seed and identity.

import { expect, test } from "bun:test";
import { type AdmissionOptions, admitTasks } from "../../src/driver/admission.ts";
import { InFlight } from "../../src/driver/in-flight.ts";
import { Tokens } from "../../src/driver/tokens.ts";
import { keyOf } from "../../src/peer/parcel.ts";
import { deriveSeed, taskSeed } from "../../src/task/seed.ts";
import type { Message } from "../../src/task/task.ts";
import { atOnce } from "../parts/at-once.ts";
import { ONE_STEP } from "./task-parts.ts";

interface Drawn {
  readonly id: string;
  readonly trial?: number;
}

async function admit(
  rows: readonly Drawn[],
  inFlight: InFlight,
  trials = 1,
  more: Pick<AdmissionOptions, "beginningOf"> = {},
) {
  const left = rows.map((row, number) => ({ number, row: {}, ...row }));
  const sent: Message[] = [];
  const complete = await admitTasks({
    rows: { next: () => left.shift() ?? null, close: () => Promise.resolve() },
    trials,
    seed: 11,
    isRecorded: () => false,
    tokens: new Tokens(10),
    hasRoom: () => true,
    inFlight,
    dispatch: (message) => void sent.push(atOnce(message)),
    clock: () => 42,
    tracing: null,
    signal: new AbortController().signal,
    ...more,
  });
  return { complete, sent };
}

const create = () => new InFlight({ rule: ONE_STEP, delivery: "retry", maxAttempts: 3 });

test("admission passes over tasks that were adopted, also those that ended before their row was read", async () => {
  const inFlight = create();
  inFlight.adopt(keyOf({ rowId: "1", trial: 0 }), 2);
  inFlight.adopt(keyOf({ rowId: "2", trial: 0 }), 1);
  inFlight.remove({ rowId: "2", trial: 0 });
  const rows = ["0", "1", "2", "3"].map((id) => ({ id }));
  const { complete, sent } = await admit(rows, inFlight);
  expect(complete).toBe(true);
  expect(sent.map(({ task }) => task.rowId)).toEqual(["0", "3"]);
});

test("an adopted task that was orphaned goes on when admission comes to its row", async () => {
  const inFlight = create();
  inFlight.adopt(keyOf({ rowId: "1", trial: 0 }), 2);
  inFlight.orphan(keyOf({ rowId: "1", trial: 0 }));
  const { sent } = await admit([{ id: "0" }, { id: "1" }], inFlight);
  expect(sent.map(({ task }) => [task.rowId, task.attempt])).toEqual([
    ["0", 1],
    ["1", 3],
  ]);
});

test("every trial of a row is a task with its own seed, admitted at the driver's time", async () => {
  const { sent } = await admit([{ id: "x" }], create(), 2);
  expect(sent.map(({ task }) => [task.trial, task.seed, task.attempt, task.admittedAt])).toEqual([
    [0, deriveSeed(11, "x", 0), 1, 42],
    [1, deriveSeed(11, "x", 1), 1, 42],
  ]);
});

test("a row that is a record of another run stands for its own trial alone", async () => {
  const { sent } = await admit([{ id: "x", trial: 2 }], create(), 4);
  expect(sent.map(({ task }) => task.trial)).toEqual([2]);
});

test("each task of a traced run begins its own trace", async () => {
  let traces = 0;
  const sent: Message[] = [];
  const left = ["x", "y"].map((id, number) => ({ number, id, row: { q: id } }));
  await admitTasks({
    rows: { next: async () => left.shift() ?? null, close: () => Promise.resolve() },
    ...{ trials: 1, seed: 11, clock: () => 42 },
    isRecorded: () => false,
    tokens: new Tokens(10),
    hasRoom: () => true,
    inFlight: create(),
    dispatch: (message) => void sent.push(atOnce(message)),
    tracing: {
      startTask: () => `trace-${++traces}`,
      hop: () => undefined,
      endTask: () => undefined,
      close: async () => undefined,
    },
    signal: new AbortController().signal,
  });
  expect(sent.map(({ task }) => [task.row, task.trace])).toEqual([
    [{ q: "x" }, "trace-1"],
    [{ q: "y" }, "trace-2"],
  ]);
});

test("a task that is retried begins with its next attempt, and with another seed if one was given up", async () => {
  const beginningOf = (rowId: string) => ({ attempt: Number(rowId), redraws: Number(rowId) - 2 });
  const { sent } = await admit([{ id: "2" }, { id: "3" }], create(), 1, { beginningOf });
  expect(sent.map(({ task }) => [task.attempt, task.seed])).toEqual([
    [2, deriveSeed(11, "2", 0)],
    [3, taskSeed(11, "3", 0, 1)],
  ]);
});
