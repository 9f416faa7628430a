// The books of one start: what is recorded, what was spent, and whether the budget has room.

import { expect, test } from "bun:test";
import { RunDirectory } from "../../src/records/run-directory.ts";
import { Books, type BooksOptions } from "../../src/run/books.ts";
import { identityOf } from "../../src/run/identity.ts";
import { datasetWork } from "../../src/run/run-rows.ts";
import { encodeRecord, type TrajectoryRecord } from "../../src/task/record.ts";
import type { Spent } from "../../src/task/spent.ts";
import { withFolder } from "../parts/folder.ts";
import { recordOf } from "../parts/record.ts";
import { prepareSmallRun } from "./small-run.ts";

const usageOf = (requests: number) => ({
  requests,
  prompt_tokens: 10 * requests,
  completion_tokens: requests,
});
const spent = (requests: number): Spent => ({ ...usageOf(requests), cost: requests / 100 });
const paid = (id: string, requests: number): TrajectoryRecord =>
  recordOf({ id, usage: usageOf(requests), cost: requests / 100 });

/**
 * A run directory of 4 rows with these records from an earlier start, whose driver had noted this
 * much.
 */
async function openDirectory(
  folder: string,
  records: readonly TrajectoryRecord[] = [],
  noted: Spent & { hosts?: Record<string, Spent> } = spent(0),
) {
  const plan = await prepareSmallRun(folder, {
    rows: 4,
    overrides: ['models.m={kind="openai", model="x", base_url="http://127.0.0.1:9/v1"}'],
  });
  const { rows } = await datasetWork(plan, undefined);
  const open = () =>
    RunDirectory.open(`${folder}/run`, {
      identity: identityOf(plan, rows),
      recipeText: plan.loaded.text,
      checkpointDigest: rows.scan.digest,
      fresh: false,
    });
  const first = await open();
  for (const record of records) {
    const task = { row: {}, history: [] } as unknown as Parameters<typeof encodeRecord>[1];
    await first.append([encodeRecord(record, task)], [{ head: record, hops: 0, models: [] }]);
  }
  first.noteSpent({ hosts: {}, ...noted });
  await first.close("stopped");
  return open();
}

async function withBooks(
  folder: string,
  use: (books: Books, directory: RunDirectory) => void | Promise<void>,
  options: Partial<Omit<BooksOptions, "directory">> = {},
  ...earlier: [records?: readonly TrajectoryRecord[], noted?: Parameters<typeof openDirectory>[2]]
) {
  const directory = await openDirectory(folder, ...earlier);
  await use(new Books({ directory, budget: null, isAlone: true, ...options }), directory);
  await directory.close("stopped");
}

test("a first start has nothing recorded before it", () =>
  withFolder((folder) =>
    withBooks(folder, (books) => {
      expect([books.before, books.isRecorded("0", 0), books.budget]).toEqual([0, false, null]);
      expect(books.usedUp()).toBeNull();
      expect(books.hasRoom(1e6)).toBe(true);
      expect(books.hold()).toBeNull();
    }),
  ));

test("a start that goes on knows which tasks are recorded", () =>
  withFolder((folder) =>
    withBooks(
      folder,
      (books) => {
        expect(books.before).toBe(2);
        expect(["0", "1", "2"].map((id) => books.isRecorded(id, 0))).toEqual([true, false, true]);
        expect(books.isRecorded("0", 1)).toBe(false);
      },
      {},
      [paid("0", 1), paid("2", 1)],
    ),
  ));

test("one record of an earlier start is known, too", () =>
  withFolder((folder) =>
    withBooks(folder, (books) => expect(books.isRecorded("0", 0)).toBe(true), {}, [paid("0", 1)]),
  ));

test("records add to the tally, and a simulated answer marks the run as simulated", () =>
  withFolder((folder) =>
    withBooks(folder, (books, directory) => {
      expect(directory.simulated).toBe(false);
      books.record(paid("0", 2), 3);
      expect(directory.simulated).toBe(false);
      books.record({ ...paid("1", 1), simulated: true }, 1);
      expect(directory.simulated).toBe(true);
      expect(books.tally).toMatchObject({ counts: { ok: 2 }, hops: 4, usage: usageOf(3) });
    }),
  ));

test("the whole tally has the records of earlier starts, and those of this one", () =>
  withFolder((folder) =>
    withBooks(
      folder,
      (books) => {
        books.record({ ...paid("1", 3), score: 1 }, 2);
        const { counts, usage, hops, score } = books.whole;
        expect([counts.ok, usage, hops, score]).toEqual([
          2,
          usageOf(8),
          2,
          { count: 2, sum: 1 + (paid("0", 5).score ?? 0) },
        ]);
        expect(books.tally.counts.ok).toBe(1);
      },
      {},
      [{ ...paid("0", 5), score: paid("0", 5).score ?? 0 }],
    ),
  ));

test("a process that is alone takes the larger of what was noted and what records say", () =>
  withFolder(async (folder) => {
    const records = [paid("0", 5)];
    await withBooks(
      `${folder}/a`,
      ({ ledger }) => expect(ledger.spent).toEqual({ ...spent(5) }),
      {},
      records,
      { ...spent(3), hosts: { worker: spent(1) } },
    );
    await withBooks(
      `${folder}/b`,
      ({ ledger }) => {
        expect(ledger.spent).toEqual({ ...spent(7) });
        expect(ledger.recorded.hosts).toEqual({});
      },
      {},
      records,
      { ...spent(7), hosts: { worker: spent(1) } },
    );
  }));

test("a driver with hosts keeps what each host has told, and waits for what they have not", () =>
  withFolder((folder) =>
    withBooks(
      folder,
      ({ ledger }) => {
        expect(ledger.recorded).toEqual({ ...spent(3), hosts: { worker: spent(1) } });
        ledger.report("worker", spent(4));
        expect(ledger.spent.requests).toBe(6);
      },
      { isAlone: false },
      [paid("0", 5)],
      { ...spent(3), hosts: { worker: spent(1) } },
    ),
  ));

test("a driver with hosts holds the next task while records may have used up the budget", () =>
  withFolder((folder) =>
    withBooks(
      folder,
      (books) => {
        expect(books.hold()).toBeNull();
        books.record(paid("0", 10), 1);
        expect(books.hold()).toBeInstanceOf(Promise);
      },
      { isAlone: false, budget: { tokens: 110 } },
    ),
  ));

test("a process that is alone never holds the next task", () =>
  withFolder((folder) =>
    withBooks(
      folder,
      (books) => {
        books.record(paid("0", 10), 1);
        expect(books.hold()).toBeNull();
      },
      { budget: { tokens: 110 } },
    ),
  ));

test("room in the budget counts the tasks and the spending of earlier starts", () =>
  withFolder((folder) =>
    withBooks(
      folder,
      (books) => {
        // Two tasks took 110 tokens together, so each task in flight may take 55 more.
        expect([1, 17, 18].map((inFlight) => books.hasRoom(inFlight))).toEqual([true, true, false]);
        books.record(paid("2", 0), 1);
        expect([26, 27].map((inFlight) => books.hasRoom(inFlight))).toEqual([true, false]);
      },
      { budget: { tokens: 1100 } },
      [paid("0", 5), paid("1", 5)],
    ),
  ));

test("the books say what of the budget is used up, for the present spending or another one", () =>
  withFolder((folder) =>
    withBooks(
      folder,
      (books) => {
        expect(books.usedUp()).toBeNull();
        expect(books.usedUp(spent(100))).toBe("1.0000 of 1 in money");
        books.ledger.report("driver", spent(100));
        expect(books.usedUp()).toBe("1.0000 of 1 in money");
      },
      { budget: { money: 1 } },
    ),
  ));

test("spending is noted in the manifest while the run goes on", () =>
  withFolder((folder) =>
    withBooks(folder, (books, directory) => {
      books.ledger.report("driver", spent(2));
      books.noteSpent();
      expect(directory.spent).toEqual({ ...spent(2), hosts: { driver: spent(2) } });
    }),
  ));

test("at its end a complete run, and one that was alone, believes records that tell of more", () =>
  withFolder(async (folder) => {
    const cases = [
      [{ isAlone: true, complete: false }, 9],
      [{ isAlone: false, complete: true }, 9],
      // Hosts that live on may still tell what they spent.
      [{ isAlone: false, complete: false }, 2],
    ] as const;
    for (const [index, [{ complete, ...options }, requests]] of cases.entries())
      await withBooks(
        `${folder}/${index}`,
        (books, directory) => {
          books.ledger.report("driver", spent(2));
          books.record(paid("0", 9), 1);
          const sum = books.close({ complete });
          expect([index, sum]).toEqual([index, spent(requests)]);
          expect(directory.spent).toEqual({ ...spent(requests), hosts: { driver: spent(2) } });
        },
        options,
      );
  }));
