// A record in readable form.

import { expect, test } from "bun:test";
import { renderRecord } from "../../../src/cli/text/record.ts";
import { hopOf, recordOf } from "../../parts/record.ts";
import { said } from "../../parts/run-directory.ts";

const plain = { full: false, colour: false };
const timing = { ...recordOf().timing, total_ms: 12.5, run_ms: 10, queue_ms: 2 };

test("a record shows its row, a paragraph for each hop, its outcome and its times", () => {
  const usage = { requests: 1, prompt_tokens: 10, completion_tokens: 7 };
  const record = recordOf({
    id: "7",
    trial: 2,
    score: 0.5,
    simulated: true,
    row: { question: "Why?", options: ["a", 1] },
    history: [
      hopOf("student", { run_ms: 12.4, usage, result: said("First.\nSecond.") }),
      hopOf("judge", { run_ms: 0.6, result: { agreed: true } }),
    ],
    outcome: { turns: 1 },
    timing,
  });
  expect(renderRecord(record, plain).split("\n")).toEqual([
    "row 7 · trial 2 · ok (completed) · score 0.5 · SIMULATED model",
    "",
    "question: Why?",
    'options: ["a",1]',
    "",
    "student · 12 ms · 7 tokens",
    "  First.",
    "  Second.",
    "",
    'judge · 1 ms  {"agreed":true}',
    "",
    'outcome: {"turns":1}',
    "time: 12.5 ms, 10 in agents, 2 in queues",
  ]);
});

test("a failed record shows the stack of user code, in JavaScript without the repeated message", () => {
  const stack = "Error: no\n    at <anonymous> (/w/judge.ts:4:31)\n    at run (agent.ts:1:2)";
  const error = { code: "agent_failed", message: "no", role: "judge", hop: 3, stack } as const;
  const record = recordOf({ status: "failed", stop_reason: "error", error });
  for (const full of [false, true])
    expect(renderRecord(record, { ...plain, full })).toContain(
      "error agent_failed: no (judge, hop 3)\n  at <anonymous> (/w/judge.ts:4:31)\n" +
        "  at run (agent.ts:1:2)\ntime:",
    );
});

test("a failed record shows the traceback of a Python program as it is", () => {
  const stack = 'Traceback (most recent call last):\n  File "a.py", line 4\nValueError: no\u001b\n';
  const error = { code: "agent_failed", message: "no", role: null, hop: null, stack } as const;
  const record = recordOf({ status: "failed", stop_reason: "error", error });
  expect(renderRecord(record, plain)).toContain(
    'error agent_failed: no\n  Traceback (most recent call last):\n    File "a.py", line 4\n' +
      "  ValueError: no\\u001b\n",
  );
});

test("a hop shows its tries, the answers that were not used, and the error of its step", () => {
  const usage = { requests: 1, prompt_tokens: 2, completion_tokens: 3 };
  const missed = [
    { problem: "it is not JSON", usage, result: { role: "assistant", content: "no\njson" } },
    { problem: "#/n", usage, result: 7 },
  ];
  const base = { hop: 0, role: "a", host: "h", at: "", queue_ms: 0, run_ms: 5 };
  const failed = { ...base, model: "m", usage, tries: 2, missed, error: "schema_mismatch" };
  const record = recordOf({ history: [{ ...failed, result: null }] });
  expect(renderRecord(record, plain)).toContain(
    "a · 5 ms · 3 tokens · 2 tries  failed: schema_mismatch\n" +
      "  not used: it is not JSON\n    no\njson\n  not used: #/n\n    7\n",
  );
  const { error: _, ...ok } = failed;
  const used = recordOf({ history: [{ ...ok, missed: missed.slice(1), result: { x: 1 } }] });
  expect(renderRecord(used, plain)).toContain(
    'a · 5 ms · 3 tokens · 2 tries  {"x":1}\n  not used: #/n\n    7\n',
  );
});

test("a failed record shows its error, with role and hop where it has them", () => {
  const error = { code: "agent_failed", message: "no\u001b", role: "judge", hop: 3 } as const;
  const record = recordOf({ status: "failed", stop_reason: "error", error });
  expect(renderRecord(record, plain).split("\n").slice(0, 4)).toEqual([
    "row a · trial 0 · failed (error)",
    "",
    "",
    "error agent_failed: no\\u001b (judge, hop 3)",
  ]);
  const placeless = recordOf({ error: { ...error, role: null, hop: null } });
  expect(renderRecord(placeless, plain)).toContain("error agent_failed: no\\u001b\ntime:");
});

test("the tool calls of an answer stand below its text, or alone", () => {
  const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
  const lines = (result: object) =>
    renderRecord(recordOf({ history: [hopOf("a", { result: result as never })] }), plain).split(
      "\n",
    );
  const calls = '  calls [{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]';
  expect(lines({ ...said("Wait."), tool_calls: [call] }).slice(3, 7)).toEqual([
    "a · 0 ms",
    "  Wait.",
    calls,
    "",
  ]);
  expect(lines({ role: "assistant", content: null, tool_calls: [call] }).slice(3, 5)).toEqual([
    "a · 0 ms",
    calls,
  ]);
});

test("fields of 300 characters and answers of 40 lines are shown whole, and longer ones are cut", () => {
  const answer = (count: number) =>
    said(Array.from({ length: count }, (_, i) => `line ${i}`).join("\n"));
  const record = (chars: number, lines: number) =>
    recordOf({
      row: { text: "x".repeat(chars) },
      history: [hopOf("a", { result: answer(lines) }), hopOf("b", { result: "y".repeat(chars) })],
    });
  expect(renderRecord(record(300, 40), plain)).not.toContain("…");
  const cut = renderRecord(record(301, 42), plain).split("\n");
  expect(cut[2]).toBe(`text: ${"x".repeat(300)}… (301 characters)`);
  expect(cut.slice(44, 46)).toEqual(["  line 39", "  … 2 more lines (--full)"]);
  expect(cut).toContain(`b · 0 ms  ${"y".repeat(300)}… (301 characters)`);
  const full = renderRecord(record(301, 42), { ...plain, full: true });
  expect(full).not.toContain("…");
  expect(full).toContain("  line 41\n");
});

test("texts of the dataset and the model cannot steer the terminal", () => {
  const record = recordOf({
    id: "a\u0008",
    row: { "f\u0007": "\u001b]0;title\u0007?" },
    history: [
      hopOf("a", { result: said("clear \u001b[2J, \u009b31m\r, a tab\tand\na line") }),
      hopOf("b", { result: "\u007f" }),
    ],
    outcome: { said: "\u001b" },
  });
  const text = renderRecord(record, plain);
  expect(text).not.toMatch(/(?![\n\t])\p{Cc}/u);
  for (const part of [
    "row a\\u0008 ",
    "f\\u0007: \\u001b]0;title\\u0007?",
    "  clear \\u001b[2J, \\u009b31m\\u000d, a tab\tand\n  a line",
    "\\u007f",
  ])
    expect(text).toContain(part);
});

test("colours mark titles and labels only when they are asked for", () => {
  const error = { code: "agent_failed", message: "no", role: null, hop: null } as const;
  const record = recordOf({ row: { q: 1 }, history: [hopOf("a")], outcome: {}, error });
  const text = renderRecord(record, { full: false, colour: true });
  for (const part of [
    "\u001b[1mrow a · trial 0 · ok (completed)\u001b[22m",
    "\u001b[2mq:\u001b[22m 1",
    "\u001b[36ma\u001b[39m \u001b[2m· 0 ms\u001b[22m",
    "\u001b[2moutcome:\u001b[22m {}",
    "\u001b[31merror agent_failed:\u001b[39m no",
    "\u001b[2mtime:\u001b[22m ",
  ])
    expect(text).toContain(part);
  expect(renderRecord(record, plain)).not.toContain("\u001b");
});
