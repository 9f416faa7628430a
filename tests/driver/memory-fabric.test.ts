// The fabric of a run in one process.

import { expect, test } from "bun:test";
import { createMemoryFabric } from "../../src/driver/memory-fabric.ts";
import { MemoryTransport } from "../../src/peer/memory-transport.ts";
import type { Message } from "../../src/task/task.ts";
import { end, step, task } from "../peer/one-broker.ts";

test("the fabric of one process carries messages from its beginning, and stops its host", async () => {
  const toHost: Message[] = [];
  const toSink: Message[] = [];
  const settled: string[] = [];
  let stops = 0;
  const roles = [{ name: "here", busy: 0, queued: 1, slots: 2 }];
  const transport = new MemoryTransport();
  const fabric = createMemoryFabric({
    transport,
    host: {
      roles,
      receive: (messages) => void toHost.push(...messages),
      stop: () => void stops++,
    },
    sink: { receive: (messages) => void toSink.push(...messages) },
    settle: (rowId, trial) => void settled.push(`${rowId}/${trial}`),
  });
  expect(fabric.roles).toBe(roles);
  await fabric.ready;
  fabric.begin();
  const [first, last] = [step({ rowId: "x" }), end({ rowId: "x" })];
  transport.submit(first);
  await new Promise(setImmediate);
  expect([toHost, toSink]).toEqual([[first], []]);
  transport.handOn(task({ rowId: "x" }), last);
  await new Promise(setImmediate);
  expect([toHost, toSink]).toEqual([[first], [last]]);
  fabric.settle("x", 2);
  expect(settled).toEqual(["x/2"]);
  expect(stops).toBe(0);
  await fabric.stop(true);
  expect(stops).toBe(1);
});
