// Appending records: order, size, what is cut before, and a storage that fails.

import { expect, test } from "bun:test";
import { constants } from "node:fs";
import { appendFile, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MatrixError } from "../../src/error.ts";
import { RecordWriter } from "../../src/records/record-writer.ts";
import { withFolder } from "../parts/folder.ts";

const encoder = new TextEncoder();

test("records are written in the order of their appends, as text and as bytes", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    const writer = await RecordWriter.open(path, 0);
    const lines = Array.from({ length: 500 }, (_, i) => JSON.stringify({ i, text: "ж".repeat(i) }));
    await Promise.all(
      lines.map((line, index) =>
        writer.append([
          index % 2 === 0 ? [line] : [line.slice(0, 3), encoder.encode(line.slice(3))],
        ]),
      ),
    );
    expect(await readFile(path, "utf8")).toBe(`${lines.join("\n")}\n`);
    await writer.close();
  }));

test("an append of several records writes them one after the other, and of none nothing", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    const writer = await RecordWriter.open(path, 0);
    await writer.append([["a"], ["b", "c"]]);
    await writer.append([]);
    await writer.close();
    expect(await readFile(path, "utf8")).toBe("a\nbc\n");
  }));

test("records larger than the buffer, and those around them, are whole", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    const writer = await RecordWriter.open(path, 0);
    const [small, large, larger] = ["a", "ж".repeat(3_000_000), "b".repeat(5_000_000)];
    await writer.append([[small], [large], [small], [encoder.encode(larger)], [small]]);
    await writer.append([[small]]);
    await writer.close();
    const written = (await readFile(path, "utf8")).split("\n");
    expect(written.map(({ length }) => length)).toEqual([1, 3_000_000, 1, 5_000_000, 1, 1, 0]);
    expect(written[1] === large && written[3] === larger).toBe(true);
  }));

test("a record that fills the buffer to its last byte keeps its newline", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    const writer = await RecordWriter.open(path, 0);
    for (const bytes of [2 ** 22 - 1, 2 ** 22, 2 ** 22 + 1])
      await writer.append([[encoder.encode("x".repeat(bytes))], ["y"]]);
    await writer.close();
    const lines = (await readFile(path, "utf8")).split("\n").map(({ length }) => length);
    expect(lines).toEqual([2 ** 22 - 1, 1, 2 ** 22, 1, 2 ** 22 + 1, 1, 0]);
  }));

test("a close waits for every append before it", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    const gate = Promise.withResolvers<void>();
    let isOpen = false;
    const confirm = async () => (isOpen ? gate.promise : undefined);
    const writer = await RecordWriter.open(path, 0, confirm);
    isOpen = true;
    const appends = ["a", "b", "c"].map((line) => writer.append([[line]]));
    const closing = writer.close();
    // The disk has time for a sync and a close, if they did not wait.
    for (let look = 0; look < 20; look++) await readFile(path);
    gate.resolve();
    await Promise.all([...appends, closing]);
    expect(await readFile(path, "utf8")).toBe("a\nb\nc\n");
  }));

test("a file is cut after the given bytes before it is appended to", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    await writeFile(path, "a\nb\ntorn");
    for (const bytes of [4, 6]) {
      const writer = await RecordWriter.open(path, bytes);
      await writer.append([["c"]]);
      await writer.close();
    }
    expect(await readFile(path, "utf8")).toBe("a\nb\nc\nc\n");
  }));

test("when the disk is full, the append and every later append fail", () =>
  withFolder(async (folder) => {
    // /dev/full takes no byte; writes to it fail as a full disk does.
    const path = join(folder, "t.jsonl");
    await writeFile(path, "");
    const full = await open("/dev/full", constants.O_WRONLY).catch(() => null);
    if (full === null) return console.log("skipped: there is no /dev/full here");
    await full.close();
    const writer = await RecordWriter.open("/dev/full", 0);
    const appends = [writer.append([["a"]]), writer.append([["b"]])];
    for (const result of await Promise.allSettled(appends))
      expect(result).toMatchObject({
        status: "rejected",
        reason: {
          code: "storage_failed",
          message: "cannot write /dev/full: the disk is full",
          hint: "free some space and run the same command again; the run continues after its last record",
        },
      });
    await expect(writer.append([["c"]])).rejects.toMatchObject({ code: "storage_failed" });
    await expect(writer.close()).rejects.toMatchObject({
      message: "cannot write /dev/full: the disk is full",
    });
  }));

test("a file that was deleted fails the appends after the next sync", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    const writer = await RecordWriter.open(path, 0);
    await rm(path);
    let failure: unknown;
    while (failure === undefined) {
      failure = await writer.append([["a"]]).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(failure).toMatchObject({
      code: "storage_failed",
      message: `cannot write ${path}: the file was deleted`,
      hint: "run the same command again when the storage is back; the run continues after its last record",
    });
    await expect(writer.close()).rejects.toBe(failure);
  }));

test("a file that was deleted after the last append fails the close", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    for (const appended of [true, false]) {
      const writer = await RecordWriter.open(path, 0);
      if (appended) await writer.append([["a"]]);
      await rm(path);
      await expect(writer.close()).rejects.toMatchObject({
        code: "storage_failed",
        message: `cannot write ${path}: the file was deleted`,
      });
    }
  }));

test("a close waits for a sync that is under way, and fails with its error", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    const writer = await RecordWriter.open(path, 0);
    await writer.append([["a"]]);
    await rm(path);
    const [first, second] = await Promise.allSettled([writer.close(), writer.close()]);
    for (const result of [first, second]) expect(result.status).toBe("rejected");
  }));

const taken = new MatrixError("run_taken", "it is another driver's");

test("a driver that lost its directory writes no byte more, and cuts nothing off", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    let lost = false;
    let asked = 0;
    const writer = await RecordWriter.open(path, 0, async () => {
      asked++;
      if (lost) throw taken;
    });
    expect(asked).toBe(1);
    await writer.append([["a"]]);
    expect(asked).toBe(2);
    lost = true;
    // The driver that took over has appended meanwhile.
    await appendFile(path, "theirs\n");
    await expect(writer.append([["b"]])).rejects.toBe(taken);
    await expect(writer.append([["c"]])).rejects.toBe(taken);
    await expect(writer.close()).rejects.toBe(taken);
    expect(await readFile(path, "utf8")).toBe("a\ntheirs\n");
  }));

test("a lost directory is the reason that is given, not the deleted file that follows from it", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    let lost = false;
    const writer = await RecordWriter.open(path, 0, async () => {
      if (lost) throw taken;
    });
    await writer.append([["a"]]);
    lost = true;
    await rm(path);
    await expect(writer.close()).rejects.toBe(taken);
  }));

test("an append that fails leaves every record that was written before it", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    await writeFile(path, "earlier\n");
    let isSeen = true;
    const confirm = async () => {
      if (!isSeen) throw new Error("EIO");
    };
    const writer = await RecordWriter.open(path, 8, confirm);
    await writer.append([["first"], ["second"]]);
    await writer.append([["third"]]);
    isSeen = false;
    await expect(writer.append([["fourth"]])).rejects.toMatchObject({ code: "storage_failed" });
    await writer.close().catch(() => undefined);
    expect(await readFile(path, "utf8")).toBe("earlier\nfirst\nsecond\nthird\n");
  }));

test("a lock that cannot be looked at fails the append as the storage does", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    let asked = 0;
    const writer = await RecordWriter.open(path, 0, async () => {
      if (asked++ > 0) throw new Error("EIO");
    });
    await expect(writer.append([["a"]])).rejects.toMatchObject({
      code: "storage_failed",
      message: `cannot write ${path}: EIO`,
    });
    await writer.close().catch(() => undefined);
    expect(await readFile(path, "utf8")).toBe("");
  }));

test("a driver that lost its directory while it read the records cuts none of them off", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    await writeFile(path, "a\ntheirs\n");
    await expect(RecordWriter.open(path, 2, () => Promise.reject(taken))).rejects.toBe(taken);
    expect(await readFile(path, "utf8")).toBe("a\ntheirs\n");
  }));
