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

test("show prints the first record that passes all filters, and says when none does", () =>
  withRun(async (show) => {
    expect((await show("--stop-reason", "error")).stdout).toStartWith("row b · ");
    expect((await show("--error", "agent_failed")).stdout).toStartWith("row b · ");
    expect((await show("--where", 'id > "c" && status == "ok"')).stdout).toStartWith("row d · ");
    const none = await show("--error", "agent_failed", "--status", "ok");
    expect(none.stderr).toContain("no record in ");
    expect(none.stderr).toContain(" matches");
    expect(none.code).toBe(2);
    expect((await show("--where", "no_such.member == 1")).stderr).toContain("--where no_such");
    expect((await show("--where", "((")).stderr).toContain("the expression does not parse");
  }));

test("show --next and --previous print the neighbours of a record among those that fit", () =>
  withRun(async (show) => {
    expect((await show("a", "--next")).stdout).toStartWith("row a · trial 1");
    expect((await show("c", "--previous")).stdout).toStartWith("row b · ");
    expect((await show("c", "--previous", "--status", "ok")).stdout).toStartWith("row a · trial 1");
    // The failed record lies between its neighbours, which alone fit.
    expect((await show("b", "--next", "--status", "ok")).stdout).toStartWith("row c · ");
    expect((await show("b", "--previous", "--status", "ok")).stdout).toStartWith("row a · trial 1");
    expect((await show("e", "--next")).stderr).toContain("no matching record comes after it");
    expect((await show("a", "--previous")).stderr).toContain("comes before it");
  }));

test("show lists the records that fit, sorted by a column, with their number", () =>
  withRun(async (show) => {
    const { stdout } = await show("--status", "ok", "--limit", "2");
    expect(stdout.split("\n").map((line) => line.split(/ +/).slice(0, 3))).toEqual([
      ["id", "trial", "status"],
      ["a", "0", "ok"],
      ["a", "1", "ok"],
      ["2", "of", "5"],
      [""],
    ]);
    const sorted = JSON.parse((await show("--sort", "-id", "--limit", "3", "--json")).stdout);
    expect(sorted.rows.map(({ id }: { id: string }) => id)).toEqual(["e", "d", "c"]);
    expect([sorted.matched, sorted.total]).toEqual([6, 6]);
    expect((await show("--sort", "size")).stderr).toContain("--sort size: there is no such column");
  }));

test("show --group counts failures by error code and message", () =>
  withRun(async (show) => {
    const { stdout } = await show("--group");
    expect(stdout).toMatch(/^records +error +message +such as\n +1 +agent_failed +no +b\n$/);
    expect((await show("--group", "--status", "ok")).stdout).toBe("no failures\n");
  }));

test("show of two ids prints where their records differ, and of one record nothing", () =>
  withRun(async (show) => {
    const { stdout } = await show("a", "b");
    expect(stdout).toMatch(/^status +ok +failed$/m);
    expect(stdout).toMatch(/^error +– +agent_failed$/m);
    expect(stdout).toMatch(/^hop 0 \(student\) +a\.0 x x .* +b\.0 x x .*$/m);
    expect((await show("a", "a")).stdout).toBe("both records say the same\n");
    const { differences } = JSON.parse((await show("a", "b", "--json")).stdout);
    expect(differences[0]).toEqual({ where: "id", a: "a", b: "b" });
  }));

test("show of two runs compares their scores row by row", () =>
  withFolder(async (folder) => {
    const write = (name: string, scores: readonly number[]) =>
      writeRun(
        join(folder, name),
        DIALOGUE,
        scores.map((score, n) => ({ id: `r${n}`, score, history: [["student", said("x")]] })),
      );
    await write("one", [0, 1, 0]);
    await write("two", [1, 1, 0]);
    const { stdout } = await matrix(["show", join(folder, "one"), join(folder, "two")]);
    expect(stdout).toContain("scores of rows: 1 up, 0 down, 2 the same\n  r0: 0 → 1");
    expect(stdout).toMatch(/^score +0\.3333 \[.*\] +0\.6667 \[.*\] +\+0\.3333 \[.*\]$/m);
    const { pair } = JSON.parse(
      (await matrix(["show", join(folder, "one"), join(folder, "two"), "--json"])).stdout,
    );
    expect(pair.flips).toMatchObject({ up: 1, down: 0, same: 2 });
  }));
