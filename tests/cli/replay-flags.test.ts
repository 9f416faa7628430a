// Flags that `matrix drive --replay` refuses.

import { expect, test } from "bun:test";
import { checkReplayFlags, rolesToAsk } from "../../src/cli/replay-flags.ts";

const patience = "10m";
const replay = "run";

test("a replay takes an output, a seed and a concurrency", () => {
  expect(() =>
    checkReplayFlags({ patience, replay, output: "o", seed: 1, concurrency: 5, dryRun: false }),
  ).not.toThrow();
});

test.each([
  [{ workers: 2 }, "runs in this process alone", "leave out --workers and --listen"],
  [{ listen: ":1" }, "runs in this process alone", "leave out --workers and --listen"],
  [
    { dryRun: true },
    "--dry-run forecasts a new run",
    "--plan counts what a replay would reuse and ask",
  ],
  [{ trials: 2 }, "one record for each record of the other run", "leave out --trials"],
  [{ limit: 2 }, "one record for each record of the other run", "leave out --limit"],
])("a replay refuses %j and says which flag to leave out", (flags, message, hint) => {
  expect(() => checkReplayFlags({ patience, replay, ...flags })).toThrow(
    expect.objectContaining({ code: "usage", message: expect.stringContaining(message), hint }),
  );
});

test("a replay that asks models may have hosts", () => {
  for (const wish of [{ ask: "judge" }, { from: "3" }])
    for (const hosts of [{ workers: 2 }, { listen: ":1" }])
      expect(() => checkReplayFlags({ patience, replay, ...wish, ...hosts })).not.toThrow();
});

test("--ask and --from need a replay", () => {
  for (const [flags, flag] of [
    [{ ask: "judge" }, "--ask"],
    [{ from: "3" }, "--from"],
    [{ ask: "judge", from: "3" }, "--ask"],
  ] as const)
    expect(() => checkReplayFlags({ patience, ...flags })).toThrow(
      expect.objectContaining({
        code: "usage",
        message: `${flag} is for a replay: it needs --replay`,
        hint: "--replay takes the run directory whose answers are kept",
      }),
    );
  expect(() => checkReplayFlags({ patience, workers: 2, trials: 3, dryRun: true })).not.toThrow();
});

test("the roles to ask stand in one flag with commas between them", () => {
  expect(rolesToAsk({})).toEqual([]);
  expect(rolesToAsk({ ask: "judge" })).toEqual(["judge"]);
  expect(rolesToAsk({ ask: "judge, teacher" })).toEqual(["judge", "teacher"]);
});

test("--plan needs a retry or a replay, and takes the place of --dry-run for them", () => {
  for (const wanted of [{ replay }, { retry: "failed" }])
    expect(() => checkReplayFlags({ patience, plan: true, ...wanted })).not.toThrow();
  expect(() => checkReplayFlags({ patience, plan: true })).toThrow(
    expect.objectContaining({
      code: "usage",
      message: "--plan is for --retry and --replay",
      hint: "--dry-run forecasts a run of the dataset",
    }),
  );
  expect(() => checkReplayFlags({ patience, retry: "failed", dryRun: true })).toThrow(
    expect.objectContaining({
      code: "usage",
      message: "--dry-run forecasts a new run, and --retry mends one",
      hint: "--plan counts what a retry would ask",
    }),
  );
});
