// The journal as its driver keeps it: as long as what is in flight, whatever the run's length.

import { expect, test } from "bun:test";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AnswerFiles } from "../../src/model/answers/answer-files.ts";
import type { ChatAnswer, ChatRequest } from "../../src/model/contract.ts";
import { JournalTrimmer, journalPath } from "../../src/records/journal.ts";
import { IdSet } from "../../src/task/id-set.ts";
import { withFolder } from "../parts/folder.ts";

function requestOf(row: string, turn = 0): ChatRequest {
  return {
    messages: [{ role: "user", content: `${row}, turn ${turn}` }],
    seed: turn,
    sampling: {},
    origin: { row, trial: 0, attempt: 1, role: "r", turn },
  };
}

function answerOf(content: string): ChatAnswer {
  const usage = { requests: 1, prompt_tokens: 3, completion_tokens: 2 };
  return { message: { role: "assistant", content }, finishReason: "stop", usage };
}

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
    // Ten rows are in flight at any time, of five turns each; one of them takes very long.
    for (let row = 0; row < 1000; row++) {
      for (let turn = 0; turn < 5; turn++) {
        const answer = answerOf(`${row} `.repeat(20));
        await one.keep("m", requestOf(`${row}`, turn), answer);
        written += JSON.stringify(answer).length;
      }
      if (row >= 10 && row !== 510) recorded.add(`${row - 10}`, 0);
      if (row % 10 !== 0) continue;
      await journal.trim();
      largest = Math.max(largest, await sizeOf());
    }
    expect(written).toBeGreaterThan(largest * 20);
    const next = await AnswerFiles.open({ ...options, writer: "host-2" });
    for (const row of [500, 995])
      for (let turn = 0; turn < 5; turn++)
        expect(await next.find("m", requestOf(`${row}`, turn))).not.toBeNull();
    expect(await next.find("m", requestOf("3"))).toBeNull();
    // Of a writer that is gone nothing is kept but what is not recorded.
    expect((await readdir(folder)).filter((name) => name.startsWith("host-0"))).toEqual([]);
    expect(await readFile(join(folder, "notes.txt"), "utf8")).toBe("not a segment");
    await Promise.all([one.close(), next.close(), journal.stop()]);
  }));
