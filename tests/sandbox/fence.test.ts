// The verdicts on a call of a stateful sandbox.

import { expect, test } from "bun:test";
import { judge } from "../../src/sandbox/fence.ts";

const last = { attempt: 2, hop: 4, tries: 1, digest: "d" };

test.each([
  ["begins a session without an earlier call", null, 1, 4, "d", "begin"],
  ["begins a session for a newer attempt, even at an earlier hop", last, 3, 0, "d", "begin"],
  ["goes on with the next hop", last, 2, 5, "d", "go-on"],
  ["goes on with a later hop and another digest", last, 2, 9, "e", "go-on"],
  ["repeats the same call", last, 2, 4, "d", "repeat"],
  ["refuses another call at the same hop", last, 2, 4, "e", "refuse"],
  ["refuses an earlier hop", last, 2, 3, "d", "refuse"],
  ["refuses an earlier attempt, even at a later hop", last, 1, 9, "d", "refuse"],
] as const)("the fence %s", (_title, before, attempt, hop, digest, verdict) => {
  expect(judge(before, { attempt, hop, tries: 1, digest })).toBe(verdict);
});

test("the fence lets a later try of a hop go on, and refuses an earlier one", () => {
  const call = { attempt: 2, hop: 4, tries: 2, digest: "d" };
  expect(judge(last, call)).toBe("go-on");
  expect(judge(call, call)).toBe("repeat");
  expect(judge(call, last)).toBe("refuse");
  expect(judge(call, { ...last, hop: 5 })).toBe("go-on");
  expect(judge(last, { ...call, hop: 3 })).toBe("refuse");
});
