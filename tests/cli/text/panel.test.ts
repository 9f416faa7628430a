// The progress display on a terminal and elsewhere.

import { expect, test } from "bun:test";
import { renderLine, renderPanel } from "../../../src/cli/text/panel.ts";
import type { Snapshot } from "../../../src/run/snapshot.ts";

const snapshot: Snapshot = {
  name: "coral",
  simulated: true,
  expected: 2_000_000,
  ok: 1_234_567,
  failed: 12,
  lost: 0,
  before: 1_000_000,
  inFlight: 10_000,
  elapsedMs: 100_000,
  roles: [
    { name: "student", queued: 3, busy: 1000, slots: 1000 },
    { name: "judge", queued: 0, busy: 0, slots: 50 },
  ],
  promptTokens: 1_500_000,
  completionTokens: 25_000,
  cost: 12.5,
  stopping: false,
  waitedFor: [],
};

const rolesOf = (count: number): Snapshot["roles"] =>
  Array.from({ length: count }, (_, i) => ({ name: `role-${i}`, queued: 0, busy: 0, slots: 1 }));

test("the panel shows title, bar, counts, speed and a line for each role", () => {
  expect(renderPanel(snapshot, 100)).toEqual([
    "coral · SIMULATED model",
    "███████████████████░░░░░░░░░░░ 61%",
    "ok 1,234,567 · failed 12 · left 765,421 · in flight 10,000",
    "2,346/s · 5 min 26 s left · tokens 1,500,000 in, 25,000 out · cost 12.50",
    "  student  busy 1,000/1,000  queued 3",
    "  judge    busy 0/50  queued 0",
  ]);
});

test("the title says when the run is stopping, and nothing of a model that is not simulated", () => {
  expect(renderPanel({ ...snapshot, simulated: false, stopping: true }, 100)[0]).toBe(
    "coral · stopping",
  );
  expect(renderPanel({ ...snapshot, simulated: false }, 100)[0]).toBe("coral");
});

test("lost tasks are counted as done, and shown only when there are some", () => {
  const [, , counts] = renderPanel({ ...snapshot, ok: 90, failed: 5, lost: 1, expected: 100 }, 100);
  expect(counts).toBe("ok 90 · failed 5 · lost 1 · left 4 · in flight 10,000");
});

test("lines are cut with an ellipsis at the width of the terminal, and not before", () => {
  const [, , counts = ""] = renderPanel(snapshot, 100);
  expect(renderPanel(snapshot, counts.length)[2]).toBe(counts);
  expect(renderPanel(snapshot, counts.length - 1)[2]).toBe(`${counts.slice(0, -2)}…`);
  expect(Math.max(...renderPanel(snapshot, 20).map(({ length }) => length))).toBe(20);
});

test("the bar is 30 characters wide at most and leaves 12 columns free", () => {
  const bar = (columns: number, ok: number) =>
    renderPanel({ ...snapshot, expected: 10, ok, failed: 0 }, columns)[1];
  expect(bar(100, 5)).toBe(`${"█".repeat(15)}${"░".repeat(15)} 50%`);
  expect(bar(22, 5)).toBe("█████░░░░░ 50%");
  expect(bar(22, 0)).toBe("░░░░░░░░░░ 0%");
  expect(bar(22, 10)).toBe("██████████ 100%");
});

test("the panel lists twelve roles and counts the others", () => {
  const twelve = renderPanel({ ...snapshot, roles: rolesOf(12) }, 100);
  expect(twelve).toHaveLength(4 + 12);
  expect(twelve.at(-1)).toBe("  role-11  busy 0/1  queued 0");
  const more = renderPanel({ ...snapshot, roles: rolesOf(30) }, 100);
  expect(more).toHaveLength(4 + 12 + 1);
  expect(more.at(-1)).toBe("and 18 more roles");
});

test("one line shows the same without bar and roles", () => {
  expect(renderLine({ ...snapshot, stopping: true })).toBe(
    "coral (simulated): 61% · ok 1,234,567 · failed 12 · left 765,421 · in flight 10,000 · " +
      "2,346/s · 5 min 26 s left · tokens 1,500,000 in, 25,000 out · cost 12.50 · stopping",
  );
});

test("tokens and cost are left out while there are none", () => {
  const none = { ...snapshot, promptTokens: 0, completionTokens: 0, cost: null, simulated: false };
  expect(renderLine(none)).toBe(
    "coral: 61% · ok 1,234,567 · failed 12 · left 765,421 · in flight 10,000 · " +
      "2,346/s · 5 min 26 s left",
  );
  expect(renderLine({ ...none, completionTokens: 1 })).toEndWith(" · tokens 0 in, 1 out");
});

test("the rate counts only the records of this start, with a decimal below ten", () => {
  const at = (made: number) =>
    renderLine({ ...snapshot, ok: 1_000_000 + made, failed: 0, elapsedMs: 10_000 });
  expect(at(99)).toContain(" · 9.9/s · ");
  expect(at(100)).toContain(" · 10/s · ");
  const first = { ...snapshot, before: 0, ok: 3, failed: 0, elapsedMs: 1 };
  expect(renderLine(first)).toContain(" · 3,000/s · ");
});

test("before the first record there is no estimate, but the rate limits that are waited for", () => {
  const begun = { ...snapshot, ok: 0, failed: 0, before: 0, elapsedMs: 0 };
  expect(renderLine(begun)).toContain("0.0/s · no estimate yet");
  const waiting = { ...begun, waitedFor: ["models.a.tpm", "models.b.rpm"], elapsedMs: 1000 };
  expect(renderLine(waiting)).toContain("0.0/s · waiting for models.a.tpm, models.b.rpm · ");
  expect(renderLine({ ...waiting, ok: 100 })).not.toContain("waiting");
});

test("a run without rows is shown as 0 % done", () => {
  expect(renderLine({ ...snapshot, expected: 0, ok: 0, failed: 0, before: 0 })).toContain(": 0% ");
});
