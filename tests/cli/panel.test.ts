// What people see: the panel, the plain line, the summary, one trajectory.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { formatDuration, grouped, renderLine, renderPanel } from "../../src/cli/panel.ts";
import { renderSummary } from "../../src/cli/summary.ts";
import type { Snapshot } from "../../src/run/snapshot.ts";
import type { Summary } from "../../src/run/summary.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { CORAL } from "../parts/repository.ts";
import { DIALOGUE, said, writeRun } from "../parts/run-directory.ts";

const snapshot: Snapshot = {
  name: "coral",
  simulated: true,
  expected: 2_000_000,
  ok: 1_234_567,
  failed: 12,
  lost: 0,
  before: 1_000_000,
  inFlight: 10_000,
  elapsedMs: 100_000,
  roles: [
    { name: "student", queued: 3, busy: 1000, slots: 1000 },
    { name: "matcher", queued: 0, busy: 0, slots: 50 },
  ],
  promptTokens: 1_500_000,
  completionTokens: 25_000,
  cost: 12.5,
  stopping: false,
  waitedFor: [],
};

describe("progress", () => {
  test("is a panel of a few lines that fit the terminal", () => {
    expect(renderPanel(snapshot, 100)).toEqual([
      "coral · SIMULATED model",
      "███████████████████░░░░░░░░░░░ 61%",
      "ok 1,234,567 · failed 12 · left 765,421 · in flight 10,000",
      "2,346/s · 5 min 26 s left · tokens 1,500,000 in, 25,000 out · cost 12.50",
      "  student  busy 1,000/1,000  queued 3",
      "  matcher  busy 0/50  queued 0",
    ]);
  });

  test("is cut to a narrow terminal, and lists only so many roles", () => {
    const roles = Array.from({ length: 30 }, (_, i) => ({
      name: `role-${i}`,
      queued: 0,
      busy: 0,
      slots: 1,
    }));
    const lines = renderPanel({ ...snapshot, roles }, 40);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(40);
    expect(lines).toHaveLength(4 + 12 + 1);
    expect(lines.at(-1)).toBe("and 18 more roles");
  });

  test("is one line where there is no terminal", () => {
    expect(renderLine({ ...snapshot, stopping: true })).toBe(
      "coral (simulated): 61% · ok 1,234,567 · failed 12 · left 765,421 · in flight 10,000 · 2,346/s · 5 min 26 s left · tokens 1,500,000 in, 25,000 out · cost 12.50 · stopping",
    );
  });

  test("knows no rate before anything is done", () => {
    expect(renderLine({ ...snapshot, ok: 0, failed: 0, before: 0, elapsedMs: 0 })).toContain(
      "0.0/s · no estimate yet",
    );
    const waiting = { ...snapshot, ok: 0, failed: 0, before: 0, waitedFor: ["models.speaker.tpm"] };
    expect(renderLine(waiting)).toContain("0.0/s · waiting for models.speaker.tpm · ");
    expect(renderLine({ ...waiting, ok: 100 })).not.toContain("waiting");
  });

  test("writes numbers and durations as people do", () => {
    expect([0, 999, 1000, 1234567].map(grouped)).toEqual(["0", "999", "1,000", "1,234,567"]);
    expect([5, 3200, 250_000, 7_500_000].map(formatDuration)).toEqual([
      "5 ms",
      "3.2 s",
      "4 min 10 s",
      "2 h 5 min",
    ]);
  });
});

describe("a summary", () => {
  const summary: Summary = {
    name: "coral",
    directory: "/runs/coral",
    state: "complete",
    simulated: true,
    replayed: false,
    expected: 40,
    ok: 38,
    failed: 2,
    lost: 0,
    recorded_before: 10,
    abandoned: 0,
    elapsed_ms: 3200,
    hops: 300,
    usage: { requests: 100, prompt_tokens: 2000, completion_tokens: 500 },
    cost: 0.0125,
    spent: { requests: 130, prompt_tokens: 2600, completion_tokens: 700, cost: 0.0163 },
    budget: null,
    stop_reasons: { agreed: 28, error: 2 },
    errors: { "model_timeout in student": 2 },
    score: { scored: 28, mean: 0.5 },
    wire_bytes: null,
    error: null,
  };

  test("gives the accounting first", () => {
    expect(renderSummary(summary).split("\n")).toEqual([
      "coral: complete after 3.2 s (simulated model), 30 records, 10 from before",
      "expected 40 = ok 38 + failed 2 + lost 0",
      "ended: agreed 28, error 2",
      "errors: model_timeout in student 2",
      "model: 100 requests, 2,000 tokens in, 500 out, cost 0.0125",
      "score: mean 0.500 over 28",
      "records: /runs/coral/trajectories.jsonl",
    ]);
  });

  test("of a replay says that no model was asked, and whose tokens these are", () => {
    const lines = renderSummary({ ...summary, replayed: true }).split("\n");
    expect(lines).toContain(
      "no model was asked; recorded then: 100 requests, 2,000 tokens in, 500 out, cost 0.0125",
    );
  });

  test("says what helps when no task has a whole answer, and nothing when one has", () => {
    const ended = (stop_reasons: Summary["stop_reasons"]) =>
      renderSummary({ ...summary, stop_reasons });
    expect(ended({ refused: 1, cut: 29 })).toContain(
      '\nno task has a whole answer: raise max_tokens, or let roles accept it (accepts = ["cut"])\n',
    );
    expect(ended({ context_length: 30 })).toContain(
      "no task has a whole answer: shorten what is asked",
    );
    expect(ended({ cut: 29, agreed: 1 })).not.toContain("whole answer");
  });

  test("of a run that was complete already claims no work", () => {
    expect(
      renderSummary({ ...summary, recorded_before: 40 })
        .split("\n")
        .slice(0, 2),
    ).toEqual([
      "coral: was complete already (simulated model)",
      "expected 40 = ok 38 + failed 2 + lost 0",
    ]);
  });
});

describe("matrix show", () => {
  test("prints a whole dialogue by id and trial, and names ids there are when one is not", () =>
    withFolder(async (folder) => {
      await matrix(
        [
          "drive",
          CORAL,
          "-o",
          "run",
          "--trials",
          "2",
          "--limit",
          "3",
          'models.speaker.latency="1ms"',
        ],
        { cwd: folder },
      );
      const { stdout } = await matrix(["show", "run", "1", "--trial", "1"], { cwd: folder });
      expect(stdout).toStartWith("row 1 · trial 1 · ok (");
      for (const part of [
        "SIMULATED model",
        "question:",
        "student",
        "teacher",
        "The answer is (",
        "outcome: {",
        "time: ",
      ])
        expect(stdout).toContain(part);
      const json = await matrix(["show", "run", "1", "--trial", "1", "--json"], { cwd: folder });
      expect(JSON.parse(json.stdout)).toMatchObject({ id: "1", trial: 1 });
      const none = await matrix(["show", "run", "77"], { cwd: folder });
      expect(none.stderr).toContain("no record of row 77, trial 0");
      expect(none.code).toBe(2);
    }));

  test("prints what a model said, and lets it steer no terminal", () =>
    withFolder(async (folder) => {
      const row = { question: "\u001b]0;title\u0007?" };
      const answer = said("clear \u001b[2J, \u009b31m\r, a tab\tand\na line");
      await writeRun(join(folder, "run"), DIALOGUE, [
        {
          id: "a\u0008",
          row,
          history: [
            ["student", answer],
            ["judge", "\u007f"],
          ],
        },
      ]);
      const { stdout } = await matrix(["show", "run"], { cwd: folder });
      expect(stdout).not.toMatch(/(?![\n\t])\p{Cc}/u);
      for (const part of [
        "row a\\u0008",
        "\\u001b]0;title\\u0007?",
        "  clear \\u001b[2J, \\u009b31m\\u000d, a tab\tand\n  a line",
      ])
        expect(stdout).toContain(part);
    }));
});

describe("the command line", () => {});
