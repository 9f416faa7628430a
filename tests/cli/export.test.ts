// `matrix export`: its flags, and what it prints. tests/export has what it writes.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { DIALOGUE, type Made, said, writeRun } from "../parts/run-directory.ts";

const made = (id: string, score: number, more: Partial<Made> = {}): Made => ({
  id,
  score,
  history: [["student", said(`Answer ${id}`)]],
  ...more,
});
const withRun = (use: (run: (...args: string[]) => ReturnType<typeof matrix>) => Promise<void>) =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, [
      made("1", 1),
      made("2", 0.5),
      made("3", 0.4),
      made("4", 1, { status: "failed" }),
      made("5", 1, { history: [["student", said("Answer 1")]], row: { question: "Question 1?" } }),
    ]);
    const args = ["export", "run", "--to", "openai", "-o", "out.jsonl", "--force"];
    await use((...more) => matrix([...args, ...more], { cwd: folder }));
  });

test("export prints files, examples and records, and what it left out for which reason", () =>
  withRun(async (run) => {
    const { code, stdout } = await run("--min-score", "0.5", "--dedupe", "exact");
    expect(stdout).toBe(
      "out.jsonl: train 2, from 5 records (simulated model)\nleft out: not ok 1, below min score 1, duplicate 1\n".replaceAll(
        "\\\n",
        "\n",
      ),
    );
    expect(code).toBe(0);
    expect((await run("--filter", "row.question != ''")).stdout).toBe(
      "out.jsonl: train 4, from 5 records (simulated model)\nleft out: not ok 1\n".replaceAll(
        "\\\n",
        "\n",
      ),
    );
  }));

test("export --to trl-dpo warns when no row has two trials with different scores", () =>
  withRun(async (run) => {
    const { code, stdout, stderr } = await run("--to", "trl-dpo");
    expect(stdout).toStartWith("out.jsonl: train 0, from 5 records");
    expect(stderr).toStartWith("warning: the file is empty, because no row has two trials");
    expect(code).toBe(0);
    expect((await run()).stderr).toBe("");
  }));

test("export --json prints the summary as one object", () =>
  withRun(async (run) => {
    expect(JSON.parse((await run("--json")).stdout)).toMatchObject({
      files: ["out.jsonl"],
      records: 5,
      examples: { train: 4 },
      simulated: true,
    });
  }));

test.each([
  [["--min-score", "high"], "It must be a number."],
  [["--min-score", " "], "It must be a number."],
  [["--include", "cut,short"], "It must be some of context_length, refused, content_filtered, cut"],
  [["--as", "student"], "It must be ROLE=assistant or ROLE=user, several separated by commas."],
  [["--as", "student=system"], "It must be ROLE=assistant or ROLE=user"],
  [["--as", "=user"], "It must be ROLE=assistant or ROLE=user"],
  [["--as", "a=user=b"], "It must be ROLE=assistant or ROLE=user"],
  [["--filter", "row."], "error: option '--filter <cel>' argument 'row.' is invalid."],
  [["--dedupe", "fuzzy"], "Allowed choices are exact, near."],
  [["--to", "csv"], "Allowed choices are "],
])("export %j is refused with exit 2", (args, message) =>
  withRun(async (run) => {
    const { code, stderr } = await run(...args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  }),
);

test("names between commas may have spaces around them", () =>
  withRun(async (run) => {
    const { code, stderr } = await run("--include", " cut , refused ");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  }));
