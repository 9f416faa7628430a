import { expect, test } from "bun:test";
import { Inbox } from "../../src/peer/inbox.ts";
import { MemoryTransport } from "../../src/peer/memory-transport.ts";
import type { Message } from "../../src/task/task.ts";
import { end, fork, step, task } from "./one-broker.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));
const rowsOf = (lots: readonly (readonly Message[])[]) =>
  lots.map((lot) => lot.map(({ task }) => task.rowId));

/** An inbox that was given this many messages, and the lots that its receiver got. */
function filled(count: number) {
  const inbox = new Inbox();
  const lots: (readonly Message[])[] = [];
  for (let row = 0; row < count; row++) inbox.push(step({ rowId: `${row}` }));
  return { inbox, lots, receiver: { receive: (lot: readonly Message[]) => lots.push(lot) } };
}

test("an inbox keeps what is pushed until it is started, and hands it over in a later turn", async () => {
  const { inbox, lots, receiver } = filled(2);
  await turn();
  inbox.start(receiver);
  expect(lots).toEqual([]);
  await turn();
  expect(rowsOf(lots)).toEqual([["0", "1"]]);
  inbox.push(step({ rowId: "2" }));
  inbox.push(step({ rowId: "3" }));
  expect(lots).toHaveLength(1);
  await turn();
  expect(rowsOf(lots)).toEqual([
    ["0", "1"],
    ["2", "3"],
  ]);
  await turn();
  expect(lots).toHaveLength(2);
});

test("an inbox hands over at most 256 messages a turn, in order, none twice", async () => {
  const { inbox, lots, receiver } = filled(256 * 3 + 1);
  inbox.start(receiver);
  for (const sizes of [[256], [256, 256], [256, 256, 256], [256, 256, 256, 1]]) {
    await turn();
    expect(lots.map(({ length }) => length)).toEqual(sizes);
  }
  expect(rowsOf(lots).flat()).toEqual(Array.from({ length: 769 }, (_, row) => `${row}`));
  await turn();
  expect(lots).toHaveLength(4);
});

test("messages that a receiver pushes come in a later lot, after those that were there", async () => {
  const inbox = new Inbox();
  const rows: string[][] = [];
  inbox.start({
    receive: (lot) => {
      rows.push(lot.map(({ task }) => task.rowId));
      if (rows.length === 1) inbox.push(step({ rowId: "reply" }));
    },
  });
  for (let row = 0; row < 300; row++) inbox.push(step({ rowId: `${row}` }));
  for (let turns = 0; turns < 4; turns++) await turn();
  expect(rows.map(({ length }) => length)).toEqual([256, 45]);
  expect(rows[1]?.at(-1)).toBe("reply");
});

test("an empty inbox hands over nothing", async () => {
  const { inbox, lots, receiver } = filled(0);
  inbox.start(receiver);
  await turn();
  expect(lots).toEqual([]);
});

test("in memory, steps, forks and ends of branches go to the host, and other ends to the sink", async () => {
  const transport = new MemoryTransport();
  const [host, sink]: [Message[][], Message[][]] = [[], []];
  const branch = { of: "here", id: 1 };
  const messages = [step(), end({ rowId: "2" }), fork({ rowId: "3" }), end({ rowId: "4", branch })];
  transport.submit(messages[0] as Message);
  transport.handOn(task(), messages[1] as Message);
  transport.start(
    { receive: (lot) => host.push([...lot]) },
    { receive: (lot) => sink.push([...lot]) },
  );
  transport.handOn(task(), messages[2] as Message);
  transport.submit(messages[3] as Message);
  transport.settle();
  await turn();
  expect(rowsOf(host)).toEqual([["1", "3", "4"]]);
  expect(rowsOf(sink)).toEqual([["2"]]);
  transport.submit(end());
  await turn();
  expect([host.length, sink.length, transport.self]).toEqual([1, 2, "here"]);
});
