// Admission: which rows become tasks, once a driver before this one has begun with some of them.

import { expect, test } from "bun:test";
import { admitTasks } from "../../src/driver/admission.ts";
import { InFlight } from "../../src/driver/in-flight.ts";
import { Tokens } from "../../src/driver/tokens.ts";
import type { Rule } from "../../src/orchestrator/advance.ts";
import { to } from "../../src/orchestrator/contract.ts";
import type { Message } from "../../src/task/task.ts";

const rule: Rule = {
  orchestrator: { start: () => to("a"), next: () => to("a") },
  roles: new Set(["a"]),
  maxHops: 10,
};

test("admission passes over tasks that were adopted, also those that ended before their row was read", async () => {
  const inFlight = new InFlight();
  inFlight.adopt("0:1", 2);
  inFlight.adopt("0:2", 1);
  inFlight.remove({ rowId: "2", trial: 0 });
  const rows = [0, 1, 2, 3].map((number) => ({ number, id: String(number), row: {} }));
  const sent: Message[] = [];
  const complete = await admitTasks({
    rows: { next: () => rows.shift() ?? null, close: () => Promise.resolve() },
    trials: 1,
    seed: 0,
    isRecorded: () => false,
    rule,
    tokens: new Tokens(10),
    hasRoom: () => true,
    inFlight,
    onMissing: () => undefined,
    transport: { submit: (message) => void sent.push(message) },
    clock: () => 0,
    tracing: null,
    signal: new AbortController().signal,
  });
  expect(complete).toBe(true);
  expect(sent.map(({ task }) => task.rowId)).toEqual(["0", "3"]);
  expect(inFlight.get("0:1")).toMatchObject({ attempt: 2, admitted: { rowId: "1", attempt: 2 } });
});
