// The module that recipes import as "matrix".

import { expect, test } from "bun:test";
import * as sdk from "../src/sdk.ts";

test("the module has what users write, and the decisions of a rule", () => {
  expect(Object.keys(sdk).sort()).toEqual([
    "FatalError",
    ...["agent", "done", "fork", "orchestrator", "request", "to"],
  ]);
});

test("an agent, a request and a rule are returned as they were written", () => {
  const agent = () => ({ answer: 1 });
  const request = () => ({ messages: [] });
  const rule = { start: () => sdk.to("a", null), next: () => sdk.done() };
  expect(sdk.agent(agent)).toBe(agent);
  expect(sdk.request(request)).toBe(request);
  expect(sdk.orchestrator(rule)).toBe(rule);
});
