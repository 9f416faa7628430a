// Stray errors of user code: which step they fail, and which of them end the process.

import { expect, test } from "bun:test";
import { catchStrayErrors, currentOwner, runOwned, UserError } from "../../src/host/stray-error.ts";
import { keptLog } from "../parts/kept-log.ts";

/** Catches stray errors while `use` runs, with a way to report one as the runtime does. */
async function catching<T>(
  use: (stray: (thrown: unknown) => void, lines: readonly string[]) => T | Promise<T>,
) {
  const before = process.listeners("uncaughtException");
  const { log, lines } = keptLog();
  const stop = catchStrayErrors(log);
  const added = process.listeners("uncaughtException").filter((one) => !before.includes(one));
  try {
    await use((thrown) => {
      for (const listener of added) listener(thrown as Error, "uncaughtException");
    }, lines);
  } finally {
    stop();
  }
}

/** An error whose stack has these places alone, the innermost first. */
function errorAt(...places: readonly string[]): Error {
  const error = new Error("it escaped");
  error.stack = `Error: it escaped\n${places.map((place) => `    at f (${place}:1:2)`).join("\n")}`;
  return error;
}

const SOURCE = new URL("../../src/", import.meta.url).pathname;

test("user code that runs has its owner, also after an await, and other code has none", async () => {
  const owner = { role: "a", task: "0:x", fail: () => undefined };
  expect(currentOwner()).toBeUndefined();
  const seen = await runOwned(owner, async () => {
    const first = currentOwner();
    await new Promise(setImmediate);
    return [first, currentOwner()];
  });
  expect(seen).toEqual([owner, owner]);
  expect(seen[0]).toBe(owner);
  expect(currentOwner()).toBeUndefined();
});

test("an error that escapes in a step is logged with the step, and fails it", async () => {
  await catching((stray, lines) => {
    const failed: unknown[] = [];
    const owner = { role: "a", task: "0:x", fail: (thrown: unknown) => void failed.push(thrown) };
    const error = errorAt(`${SOURCE}host/host.ts`);
    runOwned(owner, () => stray(error));
    expect(failed).toEqual([error]);
    const fields = JSON.stringify({ role: "a", task: "0:x", stack: error.stack });
    expect(lines).toEqual([`error user code let an error escape: it escaped ${fields}`]);
  });
});

test("an error of user code without a step is logged, and ends nothing", async () => {
  await catching((stray, lines) => {
    const places = [
      ["/home/me/agent.ts"],
      ["file:///home/me/agent.ts"],
      [`${SOURCE}host/host.ts`, "/home/me/agent.ts"],
      [`${SOURCE.replace(/\/$/, "")}-other/agent.ts`],
    ];
    for (const stack of places) stray(errorAt(...stack));
    expect(lines).toHaveLength(places.length);
    expect(lines[0]).toStartWith("error user code let an error escape: it escaped");
  });
});

test("a thrown value that is not an Error comes from user code", async () => {
  await catching((stray, lines) => {
    stray("just text");
    expect(lines).toEqual(['error user code let an error escape: just text {"stack":""}']);
  });
});

test("an error of this program or of its packages is thrown on: it is a bug", async () => {
  await catching((stray, lines) => {
    for (const place of [
      `${SOURCE}host/host.ts`,
      `file://${SOURCE}main.ts`,
      "/home/me/node_modules/hono/index.js",
    ]) {
      const error = errorAt(place);
      expect(() => stray(error)).toThrow(error);
    }
    expect(lines).toEqual([]);
  });
});

test("errors are caught until the catching ends, promises that no code awaits included", async () => {
  const count = () => [
    process.listenerCount("uncaughtException"),
    process.listenerCount("unhandledRejection"),
  ];
  const before = count();
  const stop = catchStrayErrors(keptLog().log);
  expect(count()).toEqual(before.map((one) => one + 1));
  stop();
  expect(count()).toEqual(before);
});

test("an error about what user code did is logged, although its stack names no file of the user", async () => {
  await catching((stray, lines) => {
    const error = new UserError("user code called process.exit(0)");
    error.stack = `Error\n    at f (${SOURCE}host/exit-trap.ts:1:2)`;
    stray(error);
    expect(lines).toEqual([
      `error user code let an error escape: user code called process.exit(0) ${JSON.stringify({ stack: error.stack })}`,
    ]);
  });
});
