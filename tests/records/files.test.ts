// The files of a run: the lock that a dead process does not keep, records written whole, and a verify that is not fooled.

import { describe, expect, test } from "bun:test";
import { readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { takeLock } from "../../src/records/lock.ts";
import { readManifest } from "../../src/records/manifest.ts";
import { RecordWriter } from "../../src/records/record-writer.ts";
import { readRecordedTasks } from "../../src/records/recorded-tasks.ts";
import { type Finding, verifyRun } from "../../src/records/verify.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { CORAL } from "../parts/repository.ts";

describe("a lock", () => {
  test("of a process that lives is respected, and one whose number went to another process is not", () =>
    withFolder(async (folder) => {
      await takeLock(folder);
      await expect(takeLock(folder)).rejects.toMatchObject({ code: "run_refused" });
      const holder = JSON.parse(await readFile(join(folder, "lock.1"), "utf8"));
      await writeFile(join(folder, "lock.1"), JSON.stringify({ ...holder, startTime: "12345" }));
      await (await takeLock(folder)).release();
    }));

  test("of another machine is respected while it is touched, and not for ever", () =>
    withFolder(async (folder) => {
      const path = join(folder, "lock.1");
      await writeFile(
        path,
        JSON.stringify({ host: "far", machine: "far", pid: 1, startTime: null, since: "2026" }),
      );
      await expect(takeLock(folder)).rejects.toMatchObject({
        message: expect.stringContaining("process 1 on far"),
      });
      await utimes(path, new Date(Date.now() - 120_000), new Date(Date.now() - 120_000));
      await (await takeLock(folder)).release();
    }));
});

const encoder = new TextEncoder();

describe("records", () => {
  test("are written in order and whole, however many writers wait, also when one is larger than the buffer", () =>
    withFolder(async (folder) => {
      const path = join(folder, "t.jsonl");
      const writer = await RecordWriter.open(path, 0);
      const lines = Array.from({ length: 500 }, (_, i) =>
        JSON.stringify({ i, text: "ж".repeat(i === 250 ? 3_000_000 : i) }),
      );
      await Promise.all(
        lines.map((line, index) =>
          writer.append([index % 2 === 0 ? [line] : [encoder.encode(line)]]),
        ),
      );
      await writer.close();
      expect(await readFile(path, "utf8")).toBe(`${lines.join("\n")}\n`);
    }));

  test("are appended after the last whole one: the torn rest is cut", () =>
    withFolder(async (folder) => {
      const path = join(folder, "t.jsonl");
      const head = { format: "matrix-trajectory-1", id: "a", trial: 0, status: "ok" };
      await writeFile(path, `${JSON.stringify(head)}\n${JSON.stringify({ ...head, id: "b" })}`);
      const recorded = await readRecordedTasks(path);
      expect(recorded).toMatchObject({ counts: { ok: 1 }, tornBytes: JSON.stringify(head).length });
      const writer = await RecordWriter.open(path, recorded.bytes);
      await writer.append([[JSON.stringify({ ...head, id: "c" })]]);
      await writer.close();
      expect((await readRecordedTasks(path)).counts.ok).toBe(2);
    }));

  test("that are damaged in the middle, foreign or doubled are refused with their line, not guessed at", () =>
    withFolder(async (folder) => {
      const path = join(folder, "t.jsonl");
      const line = (more: object) =>
        `${JSON.stringify({ format: "matrix-trajectory-1", id: "a", trial: 0, status: "ok", ...more })}\n`;
      const cases: readonly (readonly [string, string])[] = [
        [
          line({}) + line({}),
          "t.jsonl:2: this line is no record of the run: row a, trial 0 is there twice",
        ],
        [
          `${line({})}{"for\n${line({ id: "b" })}`,
          "t.jsonl:2: this line is no record of the run: it is not JSON",
        ],
        [
          line({ format: "matrix-trajectory-9" }),
          't.jsonl:1: this line is no record of the run: its format is "matrix-trajectory-9"',
        ],
        [line({ status: "fine" }), "it has no id, trial and status"],
      ];
      for (const [text, message] of cases) {
        await writeFile(path, text);
        await expect(readRecordedTasks(path)).rejects.toMatchObject({
          code: "run_refused",
          message: expect.stringContaining(message),
        });
      }
    }));
});

describe("verify", () => {
  const edits: readonly (readonly [
    title: string,
    edit: (lines: string[]) => string[],
    finding: string,
  ])[] = [
    ["a removed line", (lines) => lines.slice(1), "1 of 40 records are missing"],
    ["a doubled line", (lines) => [...lines, lines[3] ?? ""], "is there twice"],
    [
      "a removed line and another in its place twice",
      (lines) => [...lines.slice(1), lines[5] ?? ""],
      "is there twice",
    ],
    [
      "a torn line",
      (lines) => [...lines.slice(0, -1), (lines.at(-1) ?? "").slice(0, 99)],
      "line 40: the line is not JSON",
    ],
    [
      "a line that was cut in the middle of the file",
      (lines) => lines.map((line, i) => (i === 4 ? line.slice(0, -2) : line)),
      "line 5: the line is not JSON",
    ],
    [
      "an id of another run",
      (lines) =>
        lines.map((line, i) => (i === 0 ? line.replace(/"id":"\d+"/, '"id":"999"') : line)),
      "the seed does not follow",
    ],
    [
      "a changed status",
      (lines) =>
        lines.map((line, i) =>
          i === 0 ? line.replace('"status":"ok"', '"status":"failed"') : line,
        ),
      "a failed record has no error",
    ],
    [
      "a removed hop",
      (lines) => lines.map((line, i) => (i === 0 ? withoutFirstHop(line) : line)),
      "the hops are not numbered",
    ],
    [
      "a key that records do not have",
      (lines) =>
        lines.map((line, i) => (i === 7 ? line.replace('"format"', '"extra":1,"format"') : line)),
      "line 8: the line is no record",
    ],
    [
      "tokens that nobody used",
      (lines) =>
        lines.map((line, i) =>
          i === 0
            ? line.replace(/"usage":\{"requests":\d+(?=[^[]*$)/, '"usage":{"requests":77')
            : line,
        ),
      "but its hops add up to",
    ],
  ];
  const withoutFirstHop = (line: string): string => {
    const record = JSON.parse(line);
    return JSON.stringify({ ...record, history: record.history.slice(1) });
  };

  const withRun = (use: (run: string) => Promise<void>) =>
    withFolder(async (folder) => {
      const run = join(folder, "run");
      await matrix([
        "drive",
        CORAL,
        "-o",
        run,
        "-q",
        'models.speaker.latency="1ms"',
        "models.speaker.tokens_per_second=1000000",
      ]);
      await use(run);
    });
  const messages = (findings: readonly Finding[]) =>
    findings
      .map(({ line, message }) => (line === null ? message : `line ${line}: ${message}`))
      .join("\n");

  test("finds nothing in a sound run, and every edit in a copy of it", () =>
    withRun(async (run) => {
      const path = join(run, "trajectories.jsonl");
      expect((await verifyRun(run)).findings).toEqual([]);
      const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
      for (const [title, edit, finding] of edits) {
        await writeFile(path, `${edit([...lines]).join("\n")}\n`);
        expect(`${title}: ${messages((await verifyRun(run)).findings)}`).toContain(finding);
      }
      await writeFile(path, lines.join("\n"));
      expect(messages((await verifyRun(run)).findings)).toContain("line 40: the last line is torn");
    }));

  test("finds every edited number of the manifest", () =>
    withRun(async (run) => {
      const path = join(run, "manifest.json");
      const sound = await readFile(path, "utf8");
      const changes = { ok: 39, failed: 1, lost: 1, expected: 41, trials: 2, seed: 9 };
      for (const [key, value] of Object.entries(changes)) {
        await writeFile(
          path,
          sound.replace(new RegExp(`^ {2}"${key}": \\d+`, "m"), `  "${key}": ${value}`),
        );
        expect(`${key}: ${(await verifyRun(run)).findings.length > 0}`).toBe(`${key}: true`);
      }
      await writeFile(path, sound.replace(/"ids_digest": "./, '"ids_digest": "x'));
      expect(messages((await verifyRun(run)).findings)).toContain("not those of the dataset");
    }));

  test("of a folder that is no run says so", () =>
    withFolder(async (folder) => {
      const { code, stderr } = await matrix(["verify", folder]);
      expect(stderr).toContain("is no run directory: it has no manifest.json");
      expect(code).toBe(2);
      expect(await readManifest(folder)).toBeNull();
      await rm(folder, { recursive: true });
    }));
});
