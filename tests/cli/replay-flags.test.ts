// Flags that `matrix drive --replay` refuses.

import { expect, test } from "bun:test";
import { checkReplayFlags } from "../../src/cli/replay-flags.ts";

const patience = "10m";

test("a replay takes an output, a seed and a concurrency", () => {
  expect(() =>
    checkReplayFlags({ patience, output: "o", seed: 1, concurrency: 5, dryRun: false }),
  ).not.toThrow();
});

test.each([
  [{ workers: 2 }, "runs in this process alone", "leave out --workers and --listen"],
  [{ listen: ":1" }, "runs in this process alone", "leave out --workers and --listen"],
  [{ dryRun: true }, "there is nothing to forecast", "leave out --dry-run"],
  [{ trials: 2 }, "one record for each record of the other run", "leave out --trials"],
  [{ limit: 2 }, "one record for each record of the other run", "leave out --limit"],
])("a replay refuses %j and says which flag to leave out", (flags, message, hint) => {
  expect(() => checkReplayFlags({ patience, ...flags })).toThrow(
    expect.objectContaining({ code: "usage", message: expect.stringContaining(message), hint }),
  );
});
