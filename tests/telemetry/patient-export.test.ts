// The end of an export: it waits for a collector that takes what it is sent, and for no other.

import { expect, spyOn, test } from "bun:test";
import { WatchedExport, wasExportGivenUp } from "../../src/telemetry/patient-export.ts";
import { until } from "../parts/until.ts";

interface Result {
  readonly code: number;
  readonly error?: Error;
}

/** An exporter whose results a test gives by hand. */
function createExporter() {
  const waiting: ((result: Result) => void)[] = [];
  return {
    waiting,
    export: (_: string, done: (result: Result) => void) => void waiting.push(done),
  };
}

async function warningsOf(act: () => Promise<void>): Promise<unknown[]> {
  const said = spyOn(console, "warn").mockImplementation(() => undefined);
  try {
    await act();
    return said.mock.calls.map(([line]) => line);
  } finally {
    said.mockRestore();
  }
}

test("an export that succeeds ends with its shutdown, without a word", async () => {
  const watched = new WatchedExport("traces");
  const exporter = watched.watch<string, ReturnType<typeof createExporter>>(createExporter());
  const results: Result[] = [];
  exporter.export("a", (result) => results.push(result));
  exporter.waiting[0]?.({ code: 0 });
  expect(results).toEqual([{ code: 0 }]);
  expect(await warningsOf(() => watched.close(async () => undefined))).toEqual([]);
});

test("an export that failed says why, once", async () => {
  const watched = new WatchedExport("metrics");
  const exporter = watched.watch<string, ReturnType<typeof createExporter>>(createExporter());
  exporter.export("a", () => undefined);
  exporter.waiting[0]?.({ code: 1, error: new Error("503") });
  const warnings = await warningsOf(async () => {
    await watched.close(async () => undefined);
    await watched.close(async () => expect.unreachable("it was closed before"));
  });
  expect(warnings).toEqual(["metrics could not be exported to the end: 503"]);
});

test("a failure before the last success is forgotten, and one without a reason is told", async () => {
  const watched = new WatchedExport("traces");
  const exporter = watched.watch<string, ReturnType<typeof createExporter>>(createExporter());
  for (const text of ["a", "b"]) exporter.export(text, () => undefined);
  exporter.waiting[0]?.({ code: 1 });
  exporter.waiting[1]?.({ code: 0 });
  expect(await warningsOf(() => watched.close(async () => undefined))).toEqual([]);
  const silent = new WatchedExport("traces");
  const other = silent.watch<string, ReturnType<typeof createExporter>>(createExporter());
  other.export("a", () => undefined);
  other.waiting[0]?.({ code: 1 });
  expect(await warningsOf(() => silent.close(async () => undefined))).toEqual([
    "traces could not be exported to the end: no reason was given",
  ]);
});

test("a shutdown that fails is a warning and no error", async () => {
  const watched = new WatchedExport("traces");
  const warnings = await warningsOf(() => watched.close(() => Promise.reject(new Error("no"))));
  expect(warnings).toEqual(["traces could not be exported to the end: Error: no"]);
});

test("an export goes on while its collector takes something, and is given up when it is silent", async () => {
  const watched = new WatchedExport("traces");
  const exporter = watched.watch<string, ReturnType<typeof createExporter>>(createExporter());
  let isClosed = false;
  const warnings = warningsOf(async () => {
    await watched.close(() => new Promise(() => undefined));
    isClosed = true;
  });
  const begun = performance.now();
  // Each success renews the patience, so this takes longer than the patience alone.
  while (performance.now() - begun < 1000) {
    exporter.export("a", () => undefined);
    exporter.waiting.pop()?.({ code: 0 });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(isClosed).toBe(false);
  await until(() => isClosed, "the silent collector is given up");
  expect(await warnings).toEqual([
    "traces could not be exported to the end: the collector does not answer",
  ]);
  expect(wasExportGivenUp()).toBe(true);
});
