// One pass over all records of a run.

import { expect, test } from "bun:test";
import { compileExpression } from "../../../src/recipe/expression/expression.ts";
import { Scan, type ScanLine, type ScanOptions } from "../../../src/view/scan/scan.ts";

const refOf = (n: number) => ({ id: `r${n}`, trial: 0 });

async function* linesOf(texts: readonly string[]): AsyncGenerator<readonly ScanLine[]> {
  yield texts.map((text, n) => ({ n, text }));
}

const scanOf = (texts: readonly string[], more: Partial<ScanOptions> = {}) =>
  new Scan({
    ...{ where: null, text: null, total: texts.length, refOf },
    lines: () => linesOf(texts),
    ...more,
  });

/** Lines that go on until the scan is cancelled. */
async function* endless(signal: AbortSignal): AsyncGenerator<readonly ScanLine[]> {
  for (let n = 0; !signal.aborted; n++) {
    yield [{ n, text: "{}" }];
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a record matches when the text is in it and the expression is true", async () => {
  const texts = ['{"a":1,"s":"yes"}', '{"a":2,"s":"yes"}', '{"a":2,"s":"no"}'];
  const scan = scanOf(texts, { where: compileExpression("a == 2"), text: "YES" });
  await scan.done;
  expect([0, 1, 2].map((n) => scan.has(n))).toEqual([false, true, false]);
  expect(scan.hits).toEqual([
    { n: 1, id: "r1", trial: 0, snippet: { text: "yes", from: 0, to: 3 } },
  ]);
  expect(scan.progress).toEqual({
    ...{ state: "done", read: 3, total: 3, matched: 1, errors: 0, problem: null },
  });
});

test("records on which the expression fails are counted, with the first fault", async () => {
  const scan = scanOf(["{}", "not JSON", '{"a":true}'], { where: compileExpression("a") });
  await scan.done;
  expect(scan.progress).toMatchObject({ state: "done", matched: 1, errors: 2 });
  expect(scan.progress.problem).toContain("the expression `a` fails");
});

test("an expression that gives no boolean matches nothing", async () => {
  const scan = scanOf(['{"a":1}'], { where: compileExpression("a") });
  await scan.done;
  expect(scan.progress).toMatchObject({ matched: 0, errors: 0 });
});

test("200 hits are told one by one, and further ones are only counted", async () => {
  const scan = scanOf(
    Array.from({ length: 201 }, () => '{"s":"x"}'),
    { text: "x" },
  );
  await scan.done;
  expect([scan.hits.length, scan.progress.matched]).toEqual([200, 201]);
});

test("records that come after a scan has begun are left for the next scan", async () => {
  const scan = scanOf(["{}", "{}"], { total: 1, where: compileExpression("true") });
  await scan.done;
  expect(scan.progress).toMatchObject({ read: 1, matched: 1 });
  expect(scan.has(1)).toBeFalse();
});

test("a scan is cancelled when the last page that watches it is closed", async () => {
  const scan = scanOf([], { total: 1000, lines: endless });
  const [leaveFirst, leaveLast] = [scan.watch(), scan.watch()];
  leaveFirst();
  await scan.changed;
  expect(scan.progress.state).toBe("running");
  leaveLast();
  await scan.done;
  expect(scan.progress.state).toBe("cancelled");
});

test("an error of the file ends the scan with its message", async () => {
  const lines = async function* (): AsyncGenerator<readonly ScanLine[]> {
    yield [{ n: 0, text: "{}" }];
    throw new Error("the disk is gone");
  };
  const scan = scanOf([], { total: 5, lines });
  await scan.done;
  expect(scan.progress).toMatchObject({ state: "failed", read: 1, problem: "the disk is gone" });
});
