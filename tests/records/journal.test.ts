// The journal as its driver keeps it: a segment goes when no process writes to it and all its tasks
// are recorded.

import { expect, test } from "bun:test";
import { appendFile, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AnswerFiles } from "../../src/model/answers/answer-files.ts";
import { encodeAnswer, segmentName } from "../../src/model/answers/answer-line.ts";
import type { ChatAnswer, ChatRequest } from "../../src/model/contract.ts";
import {
  type JournalOptions,
  JournalTrimmer,
  journalPath,
  removeJournal,
} from "../../src/records/journal.ts";
import { IdSet } from "../../src/task/id-set.ts";
import { withFolder } from "../parts/folder.ts";

function requestOf(row: string | null, turn = 0, trial = 0): ChatRequest {
  return {
    messages: [{ role: "user", content: `${row}, turn ${turn}` }],
    seed: turn,
    sampling: {},
    origin: row === null ? null : { row, trial, attempt: 1, role: "r", turn },
  };
}

function answerOf(content: string): ChatAnswer {
  const usage = { requests: 1, prompt_tokens: 3, completion_tokens: 2 };
  return { message: { role: "assistant", content }, finishReason: "stop", usage };
}

/** A folder with segments of these writers, and what is left of them after a trim. */
async function withSegments(
  segments: Readonly<Record<string, readonly ChatRequest[]>>,
  use: (
    trim: (options?: Partial<JournalOptions>) => Promise<string[]>,
    folder: string,
  ) => Promise<void>,
): Promise<void> {
  await withFolder(async (directory) => {
    const folder = journalPath(directory);
    await mkdir(folder);
    for (const [name, requests] of Object.entries(segments))
      await writeFile(
        join(folder, name),
        requests
          .map((request) => encodeAnswer("k".repeat(43), "m", request, answerOf("x")))
          .join(""),
      );
    await use(async (options = {}) => {
      const trimmer = new JournalTrimmer({
        directory,
        isRecorded: () => true,
        isWriting: () => false,
        ...options,
      });
      await trimmer.trim();
      await trimmer.stop();
      return (await readdir(folder)).sort();
    }, folder);
  });
}

test("a segment goes when all its tasks are recorded, and stays while one is not", () =>
  withSegments(
    { "a-1.jsonl": [requestOf("1"), requestOf("2")], "b-1.jsonl": [requestOf("3")] },
    async (trim) => {
      expect(await trim({ isRecorded: (row) => row !== "2" })).toEqual(["a-1.jsonl"]);
      expect(await trim()).toEqual([]);
    },
  ));

test("the trial tells the tasks of one row apart", () =>
  withSegments({ "a-1.jsonl": [requestOf("1", 0, 0), requestOf("1", 0, 1)] }, async (trim) => {
    const asked: string[] = [];
    const isRecorded = (row: string, trial: number) => {
      asked.push(`${row}/${trial}`);
      return trial === 0;
    };
    expect(await trim({ isRecorded })).toEqual(["a-1.jsonl"]);
    expect(asked).toEqual(["1/0", "1/1"]);
    expect(await trim({ isRecorded: (_, trial) => trial < 2 })).toEqual([]);
  }));

test("of a process that lives the newest segment stays, by number and not by name", () =>
  withSegments(
    {
      "a-9.jsonl": [requestOf("1")],
      "a-10.jsonl": [requestOf("1")],
      "b-1.jsonl": [requestOf("1")],
    },
    async (trim) => {
      expect(await trim({ isWriting: (writer) => writer === "a" })).toEqual(["a-10.jsonl"]);
    },
  ));

test("an answer that belongs to no task keeps nothing", () =>
  withSegments({ "a-1.jsonl": [requestOf(null)] }, async (trim) => {
    expect(await trim({ isRecorded: () => false })).toEqual([]);
  }));

test("files that are no segments stay, and lines that are no answers keep nothing", () =>
  withSegments({ "a-1.jsonl": [requestOf("1")] }, async (trim, folder) => {
    await appendFile(join(folder, segmentName("a", 1)), "garbage\n");
    await writeFile(join(folder, "notes.txt"), "mine");
    expect(await trim()).toEqual(["notes.txt"]);
  }));

test("a segment that cannot be read stays for the next time", () =>
  withSegments({}, async (trim, folder) => {
    await mkdir(join(folder, "a-1.jsonl"));
    expect(await trim()).toEqual(["a-1.jsonl"]);
  }));

test("a journal that is missing can be trimmed and removed", () =>
  withFolder(async (directory) => {
    const trimmer = new JournalTrimmer({
      directory,
      isRecorded: () => true,
      isWriting: () => false,
    });
    await trimmer.trim();
    await trimmer.stop();
    await removeJournal(directory);
    await mkdir(journalPath(directory));
    await writeFile(join(journalPath(directory), "a-1.jsonl"), "");
    await removeJournal(directory);
    expect(await readdir(directory)).toEqual([]);
  }));

test("a segment is read once, and only its unrecorded tasks are asked for again", () =>
  withFolder(async (directory) => {
    const folder = journalPath(directory);
    await mkdir(folder);
    const path = join(folder, "a-1.jsonl");
    const lines = [requestOf("1"), requestOf("2"), requestOf("2", 1)];
    await writeFile(
      path,
      lines.map((request) => encodeAnswer("k".repeat(43), "m", request, answerOf("x"))).join(""),
    );
    const recorded = new Set(["1"]);
    const asked: string[] = [];
    const trimmer = new JournalTrimmer({
      directory,
      isRecorded: (row) => {
        asked.push(row);
        return recorded.has(row);
      },
      isWriting: () => false,
    });
    await Promise.all([trimmer.trim(), trimmer.trim()]);
    expect(asked).toEqual(["1", "2"]);
    await trimmer.trim();
    expect(asked).toEqual(["1", "2", "2"]);
    recorded.add("2");
    await trimmer.trim();
    expect(await readdir(folder)).toEqual([]);
    await trimmer.stop();
  }));

test("a journal stays bounded while records grow, and keeps what is in flight", () =>
  withFolder(async (directory) => {
    const folder = journalPath(directory);
    const recorded = new IdSet();
    const options = { folder, use: "journal", warn: () => undefined, segmentBytes: 4000 } as const;
    const one = await AnswerFiles.open({ ...options, writer: "host-1" });
    const dead = await AnswerFiles.open({ ...options, writer: "host-0" });
    await dead.keep("m", requestOf("0"), answerOf("dead"));
    await dead.close();
    await writeFile(join(folder, "notes.txt"), "not a segment");
    const journal = new JournalTrimmer({
      directory,
      isRecorded: (row, trial) => recorded.has(row, trial),
      isWriting: (id) => id === "host-1",
    });
    const sizeOf = async () => {
      const sizes = await Promise.all(
        (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size),
      );
      return sizes.reduce((sum, size) => sum + size, 0);
    };
    let [largest, written] = [0, 0];
    // Ten rows are in flight at any time, of two turns each; one of them takes very long.
    for (let row = 0; row < 400; row++) {
      for (let turn = 0; turn < 2; turn++) {
        const answer = answerOf(`${row} `.repeat(40));
        await one.keep("m", requestOf(`${row}`, turn), answer);
        written += JSON.stringify(answer).length;
      }
      if (row >= 10 && row !== 210) recorded.add(`${row - 10}`, 0);
      if (row % 10 !== 0) continue;
      await journal.trim();
      largest = Math.max(largest, await sizeOf());
    }
    expect(written).toBeGreaterThan(largest * 5);
    const next = await AnswerFiles.open({ ...options, writer: "host-2" });
    for (const row of [200, 395])
      for (let turn = 0; turn < 2; turn++)
        expect(await next.find("m", requestOf(`${row}`, turn))).not.toBeNull();
    expect(await next.find("m", requestOf("3"))).toBeNull();
    expect((await readdir(folder)).filter((name) => name.startsWith("host-0"))).toEqual([]);
    expect(await readFile(join(folder, "notes.txt"), "utf8")).toBe("not a segment");
    await Promise.all([one.close(), next.close(), journal.stop()]);
  }));

test("a driver that lost its directory removes no segment", () =>
  withSegments({ "a-1.jsonl": [requestOf("1")] }, async (trim) => {
    const confirm = () => Promise.reject(new Error("lost"));
    expect(await trim({ confirm })).toEqual(["a-1.jsonl"]);
    expect(await trim({ confirm: async () => undefined })).toEqual([]);
  }));
