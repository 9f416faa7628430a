// `matrix show` finds a record and prints it.

import { expect, test } from "bun:test";
import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { DIALOGUE, said, writeRun } from "../parts/run-directory.ts";
import { SECRET, withSecret } from "../parts/secret.ts";

const withRun = (use: (show: (...args: string[]) => ReturnType<typeof matrix>) => Promise<void>) =>
  withFolder(async (folder) => {
    const made = (id: string, trial: number, status: "ok" | "failed" = "ok") => ({
      id,
      trial,
      status,
      history: [["student", said(`${id}.${trial} ${"x\n".repeat(50)}`)]] as const,
    });
    const records = [
      made("a", 0),
      made("a", 1),
      made("b", 0, "failed"),
      made("c", 0),
      made("d", 0),
      made("e", 0),
    ];
    await writeRun(join(folder, "run"), DIALOGUE, records);
    await appendFile(join(folder, "run/trajectories.jsonl"), '{"id":"torn"');
    await use((...args) => matrix(["show", join(folder, "run"), ...args]));
  });

test("show prints the first record, or that of an id and a trial", () =>
  withRun(async (show) => {
    expect((await show()).stdout).toStartWith("row a · trial 0 · ok");
    expect((await show("b")).stdout).toStartWith("row b · trial 0 · failed");
    expect((await show("a", "--trial", "1")).stdout).toStartWith("row a · trial 1 · ok");
  }));

test("show --status prints the first record with that status", () =>
  withRun(async (show) => {
    expect((await show("--status", "failed")).stdout).toStartWith("row b · ");
    const none = await show("--status", "lost");
    expect(none.code).toBe(2);
    expect(none.stderr).toContain("no record with status lost in ");
    expect(none.stderr).toContain("hint: its records have the status ok or failed\n");
    expect((await show("--status", "odd")).stderr).toContain(
      "Allowed choices are ok, failed, lost",
    );
  }));

test("show names five ids when there is no such record", () =>
  withRun(async (show) => {
    const { code, stderr } = await show("a", "--trial", "7");
    expect(stderr).toContain("error: no record of row a, trial 7 in ");
    expect(stderr).toContain("hint: it has rows like a, b, c, d, e\n");
    expect(code).toBe(2);
  }));

test("show cuts long answers unless --full is set, and --json prints the line as it is", () =>
  withRun(async (show) => {
    expect((await show()).stdout).toContain("(--full)");
    expect((await show("--full")).stdout).not.toContain("(--full)");
    expect(JSON.parse((await show("b", "--json")).stdout)).toMatchObject({ id: "b", trial: 0 });
  }));

test("show of a run without records says so", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "run"));
    await writeFile(join(folder, "run/trajectories.jsonl"), "");
    const { code, stderr } = await matrix(["show", join(folder, "run")]);
    expect(stderr).toContain("error: no records in ");
    expect(code).toBe(2);
  }));

test("show masks a known secret that a record has, as text and as JSON", () =>
  withSecret(() =>
    withFolder(async (folder) => {
      const record = {
        id: "a",
        trial: 0,
        status: "ok",
        history: [["student", said(SECRET)]],
      } as const;
      await writeRun(join(folder, "run"), DIALOGUE, [record]);
      for (const args of [["a"], ["a", "--json"]]) {
        const { stdout } = await matrix(["show", join(folder, "run"), ...args]);
        expect(stdout).toContain("[KNOWN]");
        expect(stdout).not.toContain(SECRET);
      }
    }),
  ));
