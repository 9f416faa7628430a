// `matrix export`: its flags, and what it prints. tests/export has what it writes.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { FakeHub, READ_TOKEN, WRITE_TOKEN } from "../parts/fake-hub.ts";
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
    expect(stderr).toStartWith("warning: the file is empty, because no row has two answers");
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
  [["--to", "csv"], "argument 'csv' is invalid. Allowed choices are openai, "],
  [
    ["--to", "kto"],
    "argument 'kto' is invalid. Did you mean trl-kto? Allowed choices are openai, ",
  ],
  [["--to", "TRL_DPO"], "Did you mean trl-dpo? "],
  [["--to", "prompt"], "Did you mean trl-prompt? "],
  [["--to", "shargpt"], "Did you mean sharegpt? "],
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

/** Exports the run with these arguments, as the user of a hub. */
const withHub = (
  use: (
    hub: FakeHub,
    run: (token: string, ...args: string[]) => ReturnType<typeof matrix>,
  ) => Promise<void>,
) =>
  withFolder(async (folder) => {
    await using hub = new FakeHub();
    await writeRun(join(folder, "run"), DIALOGUE, [made("1", 1), made("5", 0)]);
    await use(hub, (token, ...args) =>
      matrix(["export", "run", "--to", "hf", "-o", "hf://acme/set", ...args], {
        cwd: folder,
        env: { HF_ENDPOINT: hub.url, HF_TOKEN: token },
      }),
    );
  });

test("export -o hf://OWNER/NAME pushes a private dataset with its card, and says so", () =>
  withHub(async (hub, run) => {
    const { code, stdout, stderr } = await run(WRITE_TOKEN, "--split", "train=0.5,test=0.5");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { sha, files } = hub.head("acme/set");
    expect([...files.keys()].sort()).toEqual([
      ...[".gitattributes", "README.md", "test.parquet", "train.parquet"],
    ]);
    const bytes = ["train.parquet", "test.parquet"].map((name) => files.get(name)?.content.length);
    const sum = bytes.reduce<number>((total, size) => total + (size ?? 0), 0);
    expect(stdout.split("\n")).toEqual([
      expect.stringMatching(
        /^hf:\/\/acme\/set: train \d, test \d, from 2 records \(simulated model\)$/,
      ),
      `private dataset: ${hub.url}/datasets/acme/set`,
      `commit ${sha}, ${sum.toLocaleString("en-US")} bytes uploaded`,
      "",
    ]);
    const card = hub.textOf("acme/set", "README.md");
    expect(card).toContain("# set\n");
    expect(card).toContain("exported as `hf`");
    expect((await run(WRITE_TOKEN, "--split", "train=0.5,test=0.5")).stdout).toContain(
      "\nthe dataset had exactly these files already\n",
    );
  }));

test("export to the hub has a JSON summary, other formats and public datasets", () =>
  withHub(async (hub, run) => {
    const { stdout } = await run(WRITE_TOKEN, "--json", "--public", "--to", "trl-sft");
    expect(JSON.parse(stdout)).toMatchObject({
      files: ["hf://acme/set"],
      examples: { train: 2 },
      hub: {
        url: `${hub.url}/datasets/acme/set`,
        commit: hub.head("acme/set").sha,
        private: false,
        uploaded_bytes: 0,
      },
    });
    expect(hub.textOf("acme/set", "train.jsonl").split("\n")).toHaveLength(3);
    const { code, stderr } = await run(WRITE_TOKEN);
    expect(code).toBe(2);
    expect(stderr).toContain("--force replaces its data files and its card");
    expect((await run(WRITE_TOKEN, "--force")).stdout).toContain("public dataset: ");
    expect([...hub.head("acme/set").files.keys()].sort()).toEqual([
      ...[".gitattributes", "README.md", "train.parquet"],
    ]);
  }));

test("export to the hub is refused before the work without a name, a token or a folder", () =>
  withHub(async (hub, run) => {
    const refusals: readonly (readonly [string, readonly string[], string])[] = [
      ["", [], "the hub refuses it: HTTP 401"],
      [READ_TOKEN, [], "the hub refuses it: HTTP 403"],
      [WRITE_TOKEN, ["-o", "hf://acme"], "hf://acme is not the name of a dataset on the hub"],
      [
        WRITE_TOKEN,
        ["-o", "s3://acme/set"],
        "--output: s3://acme/set is not a path on this machine",
      ],
      [WRITE_TOKEN, ["-o", "GS://b/set"], "matrix neither reads nor writes gs:// here"],
      [WRITE_TOKEN, ["-o", "file:///tmp/set"], "leave out file://"],
      [WRITE_TOKEN, ["--to", "tau2"], "tau2 is a file, and a dataset of the hub is a folder"],
      [WRITE_TOKEN, ["-o", "set", "--public"], "--public is for a dataset of the hub"],
    ];
    for (const [token, args, message] of refusals) {
      const { code, stderr } = await run(token, ...args);
      expect(stderr).toContain(message);
      expect(code).toBe(2);
    }
    expect(hub.repositories.size).toBe(0);
  }));
