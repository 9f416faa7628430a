// The request of a task to the exec agent.

import { expect, test } from "bun:test";
import { parseExecRequest, requestOf, toolCallsOf } from "../../src/agent/exec-request.ts";
import type { Json } from "../../src/task/json.ts";
import { hopOf, taskOf } from "../parts/task.ts";

test("an empty request has defaults", () => {
  expect(parseExecRequest({})).toEqual({
    files: {},
    stdin: "",
    env: {},
    output_bytes: 65_536,
    download: [],
    changes: false,
    patch_bytes: 1_048_576,
  });
});

test("a full request is taken as it is", () => {
  const request = {
    files: { a: "text", b: { base64: "/w==" } },
    command: ["a", "b"],
    stdin: "in",
    cwd: "/x",
    env: { A: "1" },
    timeout: "5s",
    output_bytes: 1,
    download: ["c"],
    changes: true,
    patch_bytes: 7,
  };
  expect(parseExecRequest(request)).toEqual(request);
});

test.each([0, 67_108_864])("an output of %d bytes may be asked for", (output_bytes) => {
  expect(parseExecRequest({ output_bytes }).output_bytes).toBe(output_bytes);
});

test.each([
  [{ command: 7 }, "command"],
  [{ output_bytes: -1 }, "output_bytes"],
  [{ output_bytes: 67_108_865 }, "output_bytes"],
  [{ output_bytes: 1.5 }, "output_bytes"],
  [{ patch_bytes: -1 }, "patch_bytes"],
  [{ patch_bytes: 67_108_865 }, "patch_bytes"],
  [{ comand: "ls" }, "comand"],
  [{ files: { a: 1 } }, "files.a: text, or { base64"],
  [{ files: { a: { base64: "", x: 1 } } }, "files.a"],
  [{ env: { A: 1 } }, "env.A"],
  [{ download: "a" }, "download"],
  [{ changes: "yes" }, "changes"],
  [{ stdin: 1 }, "stdin"],
  [{ timeout: 5 }, "timeout"],
])("the request %j is refused with the key at fault", (request, key) => {
  expect(() => parseExecRequest(request as never)).toThrow(
    expect.objectContaining({
      code: "agent_failed",
      message: expect.stringMatching(
        new RegExp(`^the request cannot be read: .*${key.replace("{", "\\{")}`),
      ),
    }),
  );
});

test("every problem of a request is told at once", () => {
  expect(() => parseExecRequest({ stdin: 1, cwd: 2 })).toThrow(/stdin: .*; cwd: /);
});

test.each([
  [{ exec: { command: "a" } }, { command: "a", stdin: "s" }],
  [{ exec: { stdin: "t" } }, { command: "b", stdin: "t" }],
  [{ exec: "text" }, { command: "b", stdin: "s" }],
  [null, { command: "b", stdin: "s" }],
  [["exec"], { command: "b", stdin: "s" }],
])("the state %j overrides the role's settings", (state, request) => {
  const settings = { command: "b", stdin: "s" };
  expect(requestOf(taskOf({ state: state as Json }), settings)).toMatchObject(request);
});

const callsOf = (...results: readonly unknown[]) =>
  toolCallsOf(taskOf({ history: results.map((result) => hopOf("a", result as Json)) }));

test.each([
  [[]],
  [["text"]],
  [[null]],
  [[{ content: "x" }]],
  [[{ tool_calls: [] }]],
  [[{ tool_calls: "x" }]],
  [[{ tool_calls: [{ id: "1", function: { name: "f", arguments: "{}" } }] }, "later"]],
])("the history %j calls no tools now", (results) => {
  expect(callsOf(...results)).toBeNull();
});

test("tool calls of the last result keep their order and the text of their arguments", () => {
  const tool_calls = [
    { id: "1", function: { name: "f", arguments: '{"a": 1.0}' } },
    { id: "2", function: { name: "g", arguments: { a: 1 } } },
    { id: "3", function: { name: "h" } },
    "noise",
  ];
  expect(callsOf("earlier", { tool_calls })).toEqual([
    { id: "1", name: "f", arguments: '{"a": 1.0}' },
    { id: "2", name: "g", arguments: '{"a":1}' },
    { id: "3", name: "h", arguments: "{}" },
    { id: "undefined", name: "undefined", arguments: "{}" },
  ]);
});
