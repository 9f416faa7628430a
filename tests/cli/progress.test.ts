// Progress on a stream: a panel on a terminal, and only messages when it is quiet.

import { afterEach, expect, test } from "bun:test";
import { Writable } from "node:stream";
import { startProgress } from "../../src/cli/progress.ts";
import type { Display, Snapshot } from "../../src/run/snapshot.ts";
import { withTimers } from "../parts/timers.ts";
import { until } from "../parts/until.ts";

const snapshot: Snapshot = {
  name: "coral",
  simulated: false,
  expected: 4,
  ok: 1,
  failed: 0,
  lost: 0,
  before: 0,
  inFlight: 1,
  elapsedMs: 1000,
  roles: [],
  promptTokens: 0,
  completionTokens: 0,
  cost: null,
  stopping: false,
  waitedFor: [],
};

function terminal(isTTY: boolean, columns?: number) {
  let text = "";
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      text += chunk;
      done();
    },
  });
  return {
    stream: Object.assign(stream, columns === undefined ? { isTTY } : { isTTY, columns }),
    text: () => text,
  };
}

let display: Display | null = null;
afterEach(() => display?.stop());

test("a panel fills the width of its terminal, has messages above it, and disappears at the end", async () => {
  const { stream, text } = terminal(true, 20);
  display = startProgress(() => snapshot, false, stream);
  await until(() => text().includes("25%"), "the panel is drawn");
  expect(text()).toContain("ok 1 · failed 0 · l…");
  display.say("a warning");
  expect(text()).toContain("a warning\n");
  expect(text().indexOf("25%", text().indexOf("a warning"))).toBeGreaterThan(0);
  display.stop();
  const length = text().length;
  await until(() => true, "stopped");
  expect(text()).toHaveLength(length);
});

test("a terminal that does not tell its width has 80 columns", async () => {
  const { stream, text } = terminal(true);
  display = startProgress(() => ({ ...snapshot, name: "n".repeat(100) }), false, stream);
  await until(() => text().includes("…"), "the panel is drawn");
  expect(text()).toContain(`${"n".repeat(79)}…`);
});

test("a quiet run and a pipe show what is said", () => {
  for (const [quiet, isTTY] of [
    [true, true],
    [false, false],
  ] as const) {
    const { stream, text } = terminal(isTTY, 80);
    display = startProgress(() => snapshot, quiet, stream);
    display.say("a warning");
    display.stop();
    expect(text()).toBe("a warning\n");
  }
});

test("what is said and what a panel shows cannot deceive the reader of a terminal", async () => {
  const quiet = terminal(false);
  startProgress(() => snapshot, true, quiet.stream).say("a\u202eb\u001b[2Jc");
  expect(quiet.text()).toBe("a\\u202eb\\u001b[2Jc\n");
  const wide = terminal(true, 80);
  display = startProgress(() => ({ ...snapshot, name: "co\u202eral" }), false, wide.stream);
  await until(() => wide.text().includes("co\\u202eral"), "the panel is drawn");
});

test("a terminal without a size has no panel, and shows what is said", () => {
  const { stream, text } = terminal(true, 0);
  display = startProgress(() => snapshot, false, stream);
  display.say("a warning");
  display.stop();
  expect(text()).toBe("a warning\n");
});

test("a terminal that was closed ends neither the display nor its messages", () => {
  for (const isTTY of [true, false]) {
    const stream = Object.assign(new Writable(), { isTTY, columns: 20 });
    let writes = 0;
    stream.write = () => {
      writes++;
      throw new Error("EIO");
    };
    display = startProgress(() => snapshot, false, stream);
    display.say("a warning");
    display.stop();
    expect(writes).toBeGreaterThan(0);
    stream.emit("error", new Error("EIO"));
  }
});

test("many runs on one terminal hear its errors once", () => {
  const { stream } = terminal(false);
  for (let run = 0; run < 20; run++) startProgress(() => snapshot, run % 2 === 0, stream).stop();
  expect(stream.listenerCount("error")).toBe(1);
});

test("a pipe shows the run as a line each five seconds, until it is stopped", () =>
  withTimers(({ waiting, ring }) => {
    const { stream, text } = terminal(false);
    display = startProgress(() => snapshot, false, stream);
    expect(text()).toBe("");
    ring(5000);
    ring(5000);
    const [first = "", second, rest] = text().split("\n");
    expect(first).toContain("ok 1");
    expect([second, rest]).toEqual([first, ""]);
    display.stop();
    expect(waiting()).toEqual([]);
  }));
