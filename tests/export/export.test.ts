// `matrix export` as a user runs it, over run directories that were written by hand.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OMITTED } from "../../src/export/contract.ts";
import type { JsonObject } from "../../src/task/json.ts";
import type { StopReason } from "../../src/task/task.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import {
  BEST_OF_THREE,
  calls,
  DIALOGUE,
  type Made,
  said,
  TOOL_LOOP,
  toolResult,
  writeRun,
} from "../parts/run-directory.ts";

type Row = { readonly [key: string]: unknown };

/** Exports RUN to OUT.jsonl, or to `output`, and answers its rows. */
async function exported(
  folder: string,
  args: readonly string[],
  output = "out.jsonl",
): Promise<Row[]> {
  const { code, stderr } = await matrix(["export", "run", "-o", output, "--force", ...args], {
    cwd: folder,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const text = await readFile(join(folder, output), "utf8");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Row);
}

const list = (row: Row | undefined, column: string): readonly Row[] =>
  (row?.[column] ?? []) as readonly Row[];

/** Exports RUN to REFUSED.jsonl, which must not be made, and answers the error text. */
async function refused(folder: string, args: readonly string[]): Promise<string> {
  const { code, stderr } = await matrix(["export", "run", "-o", "refused.jsonl", ...args], {
    cwd: folder,
  });
  expect(code).toBe(2);
  expect((await readdir(folder)).filter((name) => name.includes("refused"))).toEqual([]);
  return stderr;
}

const TALK: readonly Made[] = [
  {
    id: "1",
    score: 1,
    history: [
      ["student", said("A?")],
      ["judge", { agreed: false }],
      ["teacher", said("B.")],
      ["judge", { agreed: false }],
      ["student", said("B.")],
      ["judge", { agreed: true, score: 1 }],
    ],
  },
];

const ASKED: readonly Made[] = [
  {
    id: "1",
    score: 1,
    history: [
      ["solver", calls("c1", "find", '{"name": "Ann",  "limit": 10}')],
      ["tools", [toolResult("c1", "found")]],
      ["solver", { ...said("Ann it is."), reasoning_content: "She was found." }],
      ["tools", [toolResult("c9", "never read")]],
    ],
  },
];

test("a dialogue is exported as its first speaker's prompts, turns and what it heard", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, TALK);
    const [row] = await exported(folder, ["--to", "openai"]);
    expect(row).toEqual({
      messages: [
        { role: "system", content: "You study." },
        { role: "user", content: "Question 1?" },
        { role: "assistant", content: "A?" },
        { role: "user", content: "B." },
        { role: "assistant", content: "B." },
      ],
    });
  }));

test("--as names the parts of roles, and --train-on the assistants that are trained on", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, TALK);
    const [teacher] = await exported(folder, [
      "--to",
      "openai",
      "--as",
      "teacher=assistant,student=user",
    ]);
    expect(teacher?.["messages"]).toEqual([
      { role: "user", content: "Question 1?\n\nA?" },
      { role: "assistant", content: "B." },
    ]);
    const both = ["--as", "student=assistant,teacher=assistant", "--train-on", "teacher"];
    const [masked] = await exported(folder, ["--to", "openai", ...both]);
    expect(list(masked, "messages").slice(2)).toEqual([
      { role: "assistant", content: "A?", weight: 0 },
      { role: "assistant", content: "B.", weight: 1 },
    ]);
    const [sharegpt] = await exported(folder, ["--to", "sharegpt", ...both]);
    expect(sharegpt?.["conversations"]).toEqual([
      { from: "human", value: "Question 1?", train: false },
      { from: "gpt", value: "A?", train: false },
      { from: "human", value: "", train: false },
      { from: "gpt", value: "B.", train: true },
    ]);
    const sft = await exported(folder, [
      "--to",
      "trl-sft",
      "--as",
      "student=assistant,teacher=user",
      "--train-on",
      "student",
    ]);
    expect(sft.map(({ prompt, completion }) => [(prompt as Row[]).length, completion])).toEqual([
      [2, [{ role: "assistant", content: "A?" }]],
      [4, [{ role: "assistant", content: "B." }]],
    ]);
  }));

test("the export of best-of-n has the chosen candidate", () =>
  withFolder(async (folder) => {
    const history = ["No.", "Yes.", "Well."].flatMap((text): Made["history"] => [
      ["student", said(text)],
      ["judge", { score: 0 }],
    ]);
    await writeRun(join(folder, "run"), BEST_OF_THREE, [
      { id: "1", outcome: { chosen: 1 }, history },
    ]);
    const [row] = await exported(folder, ["--to", "openai"]);
    expect(list(row, "messages").map(({ content }) => content)).toEqual([
      "You study.",
      "Question 1?",
      "Yes.",
    ]);
    // A candidate that was cut took fewer hops.
    const outcome = {
      chosen: 1,
      candidates: [
        { score: null, accepted: null, stop_reason: "cut", hops: 1 },
        { score: 1, accepted: null },
      ],
    };
    await writeRun(join(folder, "run"), BEST_OF_THREE, [
      { id: "1", outcome, history: [["student", said("Ye")], ...history.slice(2, 4)] },
    ]);
    const [after] = await exported(folder, ["--to", "openai"]);
    expect(list(after, "messages").at(-1)?.["content"]).toBe("Yes.");
  }));

test("a role that is shown no turns is exported as its last prompt and answer", () =>
  withFolder(async (folder) => {
    const writer = {
      agent: "llm",
      model: "m",
      prompt: { text: "{{ row.question }}{% if last %} Better than: {{ last.note }}{% endif %}" },
      conversation: [],
    };
    const recipe = {
      ...DIALOGUE,
      roles: { writer, critic: { agent: "c.ts" } },
      orchestrator: { module: "route.ts" },
    };
    const history = [
      ["writer", said("Draft.")],
      ["critic", { note: "dull" }],
      ["writer", said("Better draft.")],
      ["critic", { note: "good" }],
    ] as const;
    await writeRun(join(folder, "run"), recipe, [{ id: "1", history }]);
    const [row] = await exported(folder, ["--to", "openai"]);
    expect(row?.["messages"]).toEqual([
      { role: "user", content: "Question 1? Better than: dull" },
      { role: "assistant", content: "Better draft." },
    ]);
    const [critic] = await exported(folder, [
      "--to",
      "openai",
      "--as",
      "critic=assistant,writer=user",
    ]);
    expect(list(critic, "messages").map(({ content }) => content)).toEqual([
      "Draft.",
      '{"note":"dull"}',
      "Better draft.",
      '{"note":"good"}',
    ]);

    const silent = {
      ...recipe,
      roles: {
        speaker: { agent: "llm", model: "m", request: "request.ts" },
        critic: { agent: "c.ts" },
      },
    };
    await writeRun(join(folder, "run"), silent, [{ id: "1", history: [["speaker", said("x")]] }]);
    expect(await refused(folder, ["--to", "openai"])).toContain(
      "does not tell which role is the assistant, or what it was shown",
    );
  }));

test("the arguments of tool calls are objects for TRL and LLaMA-Factory", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, ASKED);
    const [sft] = await exported(folder, ["--to", "trl-sft"]);
    expect(sft).toEqual({
      messages: [
        { role: "system", content: "You help." },
        { role: "user", content: "Question 1?" },
        {
          role: "assistant",
          content: "",
          tool_calls: [
            {
              id: "c1",
              type: "function",
              function: { name: "find", arguments: { name: "Ann", limit: 10 } },
            },
          ],
        },
        { role: "tool", tool_call_id: "c1", content: "found" },
        {
          role: "assistant",
          content: "Ann it is.",
          reasoning_content: "She was found.",
          thinking: "She was found.",
        },
      ],
      tools: "[]",
    });
    const [sharegpt] = await exported(folder, ["--to", "sharegpt"]);
    expect(sharegpt).toEqual({
      conversations: [
        { from: "human", value: "Question 1?" },
        { from: "function_call", value: '{"name":"find","arguments":{"name":"Ann","limit":10}}' },
        { from: "observation", value: "found" },
        { from: "gpt", value: "<think>\nShe was found.\n</think>\n\nAnn it is." },
      ],
      system: "You help.",
      tools: "",
    });
  }));

test("an example has the tools of its role, or those that --tools finds in the record", () =>
  withFolder(async (folder) => {
    const tool = { type: "function", function: { name: "find", parameters: { type: "object" } } };
    await writeRun(join(folder, "run"), TOOL_LOOP, [
      { ...ASKED[0], row: { question: "q", kit: [tool] } } as Made,
    ]);
    const [own] = await exported(folder, ["--to", "openai"]);
    expect(own).not.toHaveProperty("tools");
    const [openai] = await exported(folder, ["--to", "openai", "--tools", "row.kit"]);
    expect(openai?.["tools"]).toEqual([tool]);
    const [sft] = await exported(folder, ["--to", "trl-sft", "--tools", "row.kit"]);
    expect(sft?.["tools"]).toBe(JSON.stringify([tool]));
    expect(await refused(folder, ["--to", "openai", "--tools", "row.question"])).toContain(
      "list of tools",
    );
  }));

test("changed prompts and unknown roles are refused", () =>
  withFolder(async (folder) => {
    const prompt = join(folder, "p.md");
    await writeFile(prompt, "changed");
    const roles = {
      ...(DIALOGUE["roles"] as Row),
      student: { agent: "llm", model: "m", prompt },
    };
    await writeRun(join(folder, "run"), { ...DIALOGUE, roles } as typeof DIALOGUE, TALK);
    const to = ["--to", "openai"];
    expect(await refused(folder, to)).toContain("p.md has changed since the run was made");
    expect(await refused(folder, [...to, "--as", "pupil=assistant"])).toContain(
      "has no role pupil; roles: student, teacher, judge",
    );
    expect(await refused(folder, [...to, "--as", "teacher=user"])).toContain(
      "--as names no assistant",
    );
    expect(await refused(folder, [...to, "--train-on", "teacher"])).toContain(
      "--train-on teacher: this role is not an assistant",
    );
    expect(await refused(folder, [...to, "--as", "teacher=boss"])).toContain("ROLE=assistant");
    const [row] = await exported(folder, ["--to", "openai", "--no-prompts"]);
    expect(list(row, "messages").map(({ role }) => role)).toEqual([
      "assistant",
      "user",
      "assistant",
    ]);
  }));

test("a preference is the best trial of a row against its worst, after the shared turns", () =>
  withFolder(async (folder) => {
    const trial = (
      id: string,
      trial: number,
      score: number | null,
      ...texts: readonly string[]
    ): Made => ({
      id,
      trial,
      score,
      history: texts.map(
        (text, index) => [index % 2 === 0 ? "student" : "teacher", said(text)] as const,
      ),
    });
    await writeRun(join(folder, "run"), DIALOGUE, [
      trial("1", 0, 0.2, "same", "hint", "bad"),
      trial("2", 0, 0.5, "x"),
      trial("1", 1, 0.9, "same", "hint", "good"),
      trial("3", 0, null, "y"),
      trial("1", 2, 0.4, "other"),
      trial("2", 1, 0.5, "z"),
    ]);
    const rows = await exported(folder, ["--to", "trl-dpo"]);
    expect(rows).toHaveLength(1);
    expect(list(rows[0], "prompt").map(({ content }) => content)).toEqual([
      "You study.",
      "Question 1?",
      "same",
      "hint",
    ]);
    expect(rows[0]).toMatchObject({
      chosen: [{ role: "assistant", content: "good" }],
      rejected: [{ role: "assistant", content: "bad" }],
      score_chosen: 0.9,
      score_rejected: 0.2,
    });
  }));

const MANY: readonly Made[] = Array.from({ length: 400 }, (_, i) => ({
  id: String(i % 200),
  trial: Math.floor(i / 200),
  score: (i % 10) / 10,
  ...(i === 7 ? { status: "failed" as const } : {}),
  row: { question: `Question ${i % 200}?`, lang: i % 2 === 0 ? "en" : "de" },
  history: [["student", said(`Answer ${i}: ${["red", "green", "blue"][i % 3]} number ${i * 7}`)]],
}));

test("an export leaves out failed, filtered and low records, and counts each reason", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, [
      ...MANY,
      { id: "900", score: 1, row: { question: "?", lang: "en" }, history: [] },
    ]);
    const args = [
      "export",
      "run",
      "--to",
      "trl-sft",
      "-o",
      "out.jsonl",
      "--json",
      "--filter",
      "row.lang == 'en'",
      "--min-score",
      "0.5",
    ];
    const { stdout } = await matrix(args, { cwd: folder });
    expect(JSON.parse(stdout)).toEqual({
      files: ["out.jsonl"],
      records: 401,
      left_out: {
        not_ok: 1,
        unanswered: 0,
        filtered: 199,
        not_annotated: 0,
        below_min_score: 120,
        no_trained_turn: 1,
        duplicate: 0,
        near_duplicate: 0,
      },
      omitted: Object.fromEntries(OMITTED.map((part) => [part, 0])),
      examples: { train: 80 },
      simulated: true,
    });
    const missing = await matrix(
      ["export", "run", "--to", "openai", "-o", "o.jsonl", "--filter", "row.nothing > 1"],
      { cwd: folder },
    );
    expect(missing.stderr).toContain("--filter cannot be evaluated for row 0, trial 0");
    expect(existsSync(join(folder, "o.jsonl"))).toBe(false);
  }));

test("an export leaves out answers that are not whole, unless --include names them", () =>
  withFolder(async (folder) => {
    const talk = (id: string, stop_reason?: StopReason): Made => ({
      id,
      row: { question: "Q" },
      history: [["student", said(`Answer ${id}`)]],
      ...(stop_reason === undefined ? {} : { stop_reason, score: null }),
    });
    await writeRun(join(folder, "run"), DIALOGUE, [
      talk("1"),
      talk("2", "cut"),
      talk("3", "refused"),
      talk("4", "content_filtered"),
    ]);
    const exported = async (...args: string[]) =>
      JSON.parse(
        (
          await matrix(
            ["export", "run", "--to", "openai", "-o", "out.jsonl", "--json", "--force", ...args],
            { cwd: folder },
          )
        ).stdout,
      );
    expect(await exported()).toMatchObject({
      examples: { train: 1 },
      left_out: { unanswered: 3 },
    });
    expect(await exported("--include", "refused,cut")).toMatchObject({
      examples: { train: 3 },
      left_out: { unanswered: 1 },
    });
    // Answers that a role accepted are checked too, but only those that are trained on.
    const accepted = (id: string, role: string, answer: JsonObject): Made => ({
      id,
      row: { question: "Q" },
      history: [
        [role, { ...said("No."), ...answer }],
        [role === "student" ? "teacher" : "student", said("Yes.")],
        ["student", said("Good.")],
      ],
    });
    await writeRun(join(folder, "run"), DIALOGUE, [
      accepted("1", "student", { content: null, refusal: "No." }),
      accepted("2", "student", { finish_reason: "length" }),
      accepted("3", "student", { finish_reason: "content_filter" }),
      accepted("4", "teacher", { finish_reason: "length" }),
    ]);
    expect(await exported()).toMatchObject({
      examples: { train: 1 },
      left_out: { unanswered: 3 },
    });
    expect(await exported("--include", "refused,cut")).toMatchObject({
      examples: { train: 3 },
      left_out: { unanswered: 1 },
    });
    const [refusal = ""] = (await readFile(join(folder, "out.jsonl"), "utf8")).split("\n");
    expect(JSON.parse(refusal).messages).toContainEqual({ role: "assistant", content: "No." });
    const { stderr } = await matrix(
      ["export", "run", "--to", "openai", "-o", "o.jsonl", "--include", "short"],
      { cwd: folder },
    );
    expect(stderr).toContain("It must be some of context_length, refused, content_filtered, cut");
  }));

test("--dedupe drops exact duplicates, and near ones when told to", () =>
  withFolder(async (folder) => {
    const words = Array.from({ length: 200 }, (_, i) => `word${(i * 37) % 101}`);
    const talk = (id: string, text: string): Made => ({
      id,
      row: { question: "Q" },
      history: [["student", said(text)]],
    });
    const near = words.with(100, "another").join(" ");
    const far = words.toReversed().join(" ");
    const made = [
      talk("1", words.join(" ")),
      talk("2", words.join(" ")),
      talk("3", near),
      talk("4", far),
      talk("5", "短い 文 です"),
    ];
    await writeRun(join(folder, "run"), DIALOGUE, made);
    expect(await exported(folder, ["--to", "trl-sft"])).toHaveLength(5);
    expect(await exported(folder, ["--to", "trl-sft", "--dedupe", "exact"])).toHaveLength(4);
    const rows = await exported(folder, ["--to", "trl-sft", "--dedupe", "near"]);
    expect(rows.map(({ messages }) => (messages as Row[]).at(-1)?.["content"])).toEqual([
      words.join(" "),
      far,
      "短い 文 です",
    ]);
  }));

test("--split keeps the trials of a row together, the same in every export", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, MANY);
    const args = [
      "export",
      "run",
      "--to",
      "trl-sft",
      "-o",
      "out",
      "--force",
      "--split",
      "train=0.8,validation=0.1,test=0.1",
    ];
    const questions = async () => {
      expect((await matrix(args, { cwd: folder })).code).toBe(0);
      const splits = ["train", "validation", "test"].map(async (name) => {
        const lines = (await readFile(join(folder, "out", `${name}.jsonl`), "utf8"))
          .split("\n")
          .slice(0, -1);
        return new Set(lines.map((line) => JSON.parse(line).messages[1].content as string));
      });
      return Promise.all(splits);
    };
    const [train = new Set(), validation = new Set(), held = new Set()] = await questions();
    expect(train.size + validation.size + held.size).toBe(200);
    expect(Math.abs(train.size - 160)).toBeLessThan(20);
    expect([...train].filter((question) => validation.has(question) || held.has(question))).toEqual(
      [],
    );
    expect(await questions()).toEqual([train, validation, held]);
  }));

test("an export replaces no file unless forced, and leaves no partial file behind", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, TALK);
    await writeFile(join(folder, "out.jsonl"), "mine");
    const args = ["export", "run", "--to", "openai", "-o", "out.jsonl"];
    expect((await matrix(args, { cwd: folder })).stderr).toContain("out.jsonl exists already");
    expect(await readFile(join(folder, "out.jsonl"), "utf8")).toBe("mine");
    await writeFile(join(folder, "run/trajectories.jsonl"), "{}\n{}\n");
    expect((await matrix([...args, "--force"], { cwd: folder })).stderr).toContain(
      "this line is not a record",
    );
    expect(await readFile(join(folder, "out.jsonl"), "utf8")).toBe("mine");
    expect((await readdir(folder)).sort()).toEqual(["out.jsonl", "run"]);
    const split = await matrix([...args, "--force", "--split", "a=0.5,b=0.5"], { cwd: folder });
    expect(split.stderr).toContain("out.jsonl is one file and cannot hold 2 splits");
    for (const shares of ["a=0.5", "a=0.5,a=0.5", "a"])
      expect((await matrix([...args, "--split", shares], { cwd: folder })).code).toBe(2);
  }));

test("an export to tau2 has one file for each domain and replaces files only when forced", () =>
  withFolder(async (folder) => {
    const made = (domain: string, id: string): Made => ({
      id,
      score: 1,
      outcome: { domain, task_id: id, messages: [], reward_info: { reward: 1 } },
      history: [
        [
          "tools",
          {
            task: `{"id":"${id}","n":1.0}`,
            system: { assistant: "<policy>\nBe kind.\n</policy>", user: null },
          },
        ],
      ],
    });
    await writeRun(join(folder, "run"), TOOL_LOOP, [
      made("retail", "1"),
      made("mock", "2"),
      made("retail", "3"),
    ]);
    const args = ["export", "run", "--to", "tau2", "-o", "r.json"];
    const { stdout } = await matrix(args, { cwd: folder });
    expect(stdout).toBe("r-mock.json, r-retail.json: train 3, from 3 records (simulated model)\n");
    expect((await readdir(folder)).sort()).toEqual(["r-mock.json", "r-retail.json", "run"]);
    const text = await readFile(join(folder, "r-retail.json"), "utf8");
    expect(text).toContain('{"id":"1","n":1.0}');
    expect(JSON.parse(text)).toMatchObject({
      info: { environment_info: { policy: "Be kind." } },
      simulations: [{ id: "1#0" }, { id: "3#0" }],
    });
    expect((await matrix(args, { cwd: folder })).stderr).toContain("r-mock.json exists already");
    expect((await matrix([...args, "--force"], { cwd: folder })).code).toBe(0);
    expect(
      (await matrix(["export", "run", "--to", "tau2", "-o", "folder"], { cwd: folder })).stderr,
    ).toContain("folder does not name a .json file");
  }));

test("an export of several runs takes their records in order, each by its own recipe", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, TALK);
    await writeRun(join(folder, "other"), TOOL_LOOP, ASKED);
    const { code } = await matrix(
      ["export", "run", "other", "--to", "trl-sft", "-o", "out.jsonl"],
      { cwd: folder },
    );
    expect(code).toBe(0);
    const lines = (await readFile(join(folder, "out.jsonl"), "utf8")).split("\n").slice(0, -1);
    expect(lines.map((line) => JSON.parse(line).messages[0].content)).toEqual([
      "You study.",
      "You help.",
    ]);
    expect(
      (await matrix(["export", "nowhere", "--to", "openai", "-o", "x.jsonl"], { cwd: folder }))
        .stderr,
    ).toContain("nowhere is not a run directory");
  }));

test("an export makes the folders above its output", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, TALK);
    expect(await exported(folder, ["--to", "openai"], "deep/er/out.jsonl")).toHaveLength(1);
    expect(await readdir(join(folder, "deep/er"))).toEqual(["out.jsonl"]);
  }));

test("an export to a folder has a file for each split and a card, and reports them", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, MANY);
    const args = ["export", "run", "--to", "hf", "-o", "out/", "--json"];
    const split = ["--split", "train=0.5,test=0.5", "--license", "mit"];
    const { stdout } = await matrix([...args, ...split], { cwd: folder });
    const { files, examples } = JSON.parse(stdout);
    expect(files).toEqual(["out"]);
    expect(examples.train + examples.test).toBe(399);
    expect((await readdir(join(folder, "out"))).sort()).toEqual([
      "README.md",
      "test.parquet",
      "train.parquet",
    ]);
    const card = await readFile(join(folder, "out/README.md"), "utf8");
    expect(card).toContain("# out\n\n> **Simulated.**");
    expect(card).toContain('license: "mit"');
    expect(card).toContain("exported as `hf`");
    expect(card).toContain(`| train | ${examples.train} |\n| test | ${examples.test} |`);
    const file = await matrix(["export", "run", "--to", "hf", "-o", "out.parquet"], {
      cwd: folder,
    });
    expect(file.stderr).toContain("out.parquet names a file, but hf is a folder");
  }));

test("an export without any example to tau2 is refused", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, TALK);
    const { code, stderr } = await matrix(["export", "run", "--to", "tau2", "-o", "r.json"], {
      cwd: folder,
    });
    expect(code).toBe(2);
    expect(stderr).toContain("no record of these runs can be exported to tau2");
    expect(await readdir(folder)).toEqual(["run"]);
  }));

const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** The tool loop, whose speaker is shown an image. */
function seeing(folder: string): JsonObject {
  const roles = TOOL_LOOP["roles"] as Record<string, JsonObject>;
  const attachments = { attachments: ["row.image"], attachment_folder: folder };
  return { ...TOOL_LOOP, roles: { ...roles, solver: { ...roles["solver"], ...attachments } } };
}

const SEEN: readonly Made[] = [
  { id: "1", row: { question: "Q", image: PNG }, history: [["solver", said("A.")]] },
  { id: "2", row: { question: "Q", image: null }, history: [["solver", said("A.")]] },
];

test("images of a run reach the export, and the summary counts those without a place", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), seeing(folder), SEEN);
    const url = `data:image/png;base64,${PNG}`;
    const rows = await exported(folder, ["--to", "trl-sft", "--dedupe", "exact"]);
    // The second example has the same text, and is no duplicate.
    expect(rows.map(({ images }) => images)).toEqual([[url], []]);
    const [sharegpt] = await exported(folder, ["--to", "sharegpt"], "mine.jsonl");
    const [path] = (sharegpt?.["images"] ?? []) as readonly string[];
    expect(path).toMatch(/^mine-media\/[0-9a-f]{64}\.png$/);
    expect(await readFile(join(folder, path ?? ""), "base64")).toBe(PNG);
    const args = ["export", "run", "--to", "trl-sft", "-o", "none.jsonl", "--no-prompts"];
    const { stdout } = await matrix(args, { cwd: folder });
    expect(stdout).toContain("no place in this format: images 1\n");
    await writeRun(join(folder, "run"), TOOL_LOOP, SEEN);
    const [plain] = await exported(folder, ["--to", "trl-sft"]);
    expect(Object.keys(plain ?? {})).toEqual(["messages", "tools"]);
  }));

test("an image whose file is gone stops the export, which names the row", () =>
  withFolder(async (folder) => {
    const gone = { id: "7", row: { question: "Q", image: "a.png" }, history: [] };
    await writeRun(join(folder, "run"), seeing(folder), [
      { ...gone, history: [["solver", said("A.")]] },
    ]);
    expect(await refused(folder, ["--to", "trl-sft"])).toContain(
      'row 7: attachment row.image: there is no file "a.png"',
    );
  }));

test("a folder with images says in its card what its files hold", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), seeing(folder), SEEN);
    for (const [format, type] of [
      ["hf", "image"],
      ["trl-sft", "string"],
    ] as const) {
      await matrix(["export", "run", "--to", format, "-o", format], { cwd: folder });
      const card = await readFile(join(folder, format, "README.md"), "utf8");
      expect(card).toContain(`{"name":"images","list":"${type}"}`);
    }
  }));

test("parts of examples without a place are counted in the summary and in the card", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, ASKED);
    const args = ["export", "run", "--to", "openai", "-o", "folder", "--json"];
    const { stdout } = await matrix(args, { cwd: folder });
    expect(JSON.parse(stdout)).toMatchObject({ omitted: { reasoning: 1, images: 0 } });
    expect(await readFile(join(folder, "folder/README.md"), "utf8")).toContain(
      "Without a place in this format: 1 reasoning.",
    );
  }));

test("--structs writes structs, and is refused where there are none to write", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, ASKED);
    const [row] = await exported(folder, ["--to", "trl-sft", "--structs"]);
    expect(list(row, "messages")[2]).toEqual({
      role: "assistant",
      content: "",
      reasoning_content: null,
      tool_calls: [
        {
          id: "c1",
          type: "function",
          function: { name: "find", arguments: '{"name":"Ann","limit":10}' },
        },
      ],
      tool_call_id: null,
    });
    expect(await refused(folder, ["--to", "sharegpt", "--structs"])).toContain(
      "sharegpt has no columns of JSON: leave out --structs",
    );
  }));

test("labels and right answers come from where the user says", () =>
  withFolder(async (folder) => {
    const made = { row: { question: "Q", key: 4 }, history: [["solver", said("A.")]] } as const;
    await writeRun(join(folder, "run"), TOOL_LOOP, [
      { id: "1", score: 0.5, ...made },
      { id: "2", score: 3, ...made },
    ]);
    const labels = async (...args: readonly string[]) =>
      (await exported(folder, ["--to", "trl-kto", ...args])).map(({ label }) => label);
    expect(await labels()).toEqual([true, true]);
    expect(await labels("--good-score", "1")).toEqual([false, true]);
    const truths = ["--to", "trl-prompt", "--ground-truth", "row.key"];
    expect((await exported(folder, truths)).map(({ ground_truth: truth }) => truth)).toEqual([
      "4",
      "4",
    ]);
    expect(await refused(folder, ["--to", "trl-prompt", "--ground-truth", "row.gone"])).toContain(
      "--ground-truth cannot be evaluated for row 1, trial 0: ",
    );
  }));

test("pairs of best-of-n come from the candidates of each record", () =>
  withFolder(async (folder) => {
    const history = ["No.", "Yes.", "Well."].flatMap((text): Made["history"] => [
      ["student", said(text)],
      ["judge", { score: 0 }],
    ]);
    const candidates = [0, 1, 0.5].map((score) => ({ score, accepted: null }));
    await writeRun(join(folder, "run"), BEST_OF_THREE, [
      { id: "1", score: 1, outcome: { chosen: 1, candidates }, history },
    ]);
    const [pair] = await exported(folder, ["--to", "trl-dpo"]);
    expect(pair).toMatchObject({
      prompt: [{ content: "You study." }, { content: "Question 1?" }],
      chosen: [{ content: "Yes." }],
      rejected: [{ content: "No." }],
    });
  }));

test("the summary says why rows gave no pair", () =>
  withFolder(async (folder) => {
    const answers = ["a", "a", "b"].map(
      (text, trial): Made => ({
        id: text,
        trial,
        score: trial,
        history: [["student", said(text)]],
      }),
    );
    await writeRun(join(folder, "run"), DIALOGUE, answers);
    const args = ["export", "run", "--to", "trl-dpo", "-o", "folder"];
    const { stdout, stderr } = await matrix(args, { cwd: folder });
    expect(stdout).toContain("rows without a pair: one answer 1, equal texts 1\n");
    expect(stdout).not.toContain("no place in this format");
    expect(stderr).toContain("no row has two answers with other scores and other texts");
    expect(await readFile(join(folder, "folder/README.md"), "utf8")).toContain(
      "Rows without a pair: 1 one answer, 1 equal texts.",
    );
  }));

test("an expression of --tools that a record has no value for names the record", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, ASKED);
    expect(await refused(folder, ["--to", "openai", "--tools", "row.none"])).toStartWith(
      "error: --tools cannot be evaluated for row 1, trial 0: the expression `row.none` fails",
    );
  }));

test("a run directory that is named twice is refused, by any path", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, TALK);
    await symlink("run", join(folder, "same"));
    for (const twice of ["run", "./run/", "same"])
      expect(await refused(folder, [twice, "--to", "openai"])).toBe(
        `error: ${twice} is named twice, and has each record once\n`,
      );
  }));

test("a split without examples has no file and no place in the card, unless all are empty", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, TALK);
    const args = ["--to", "openai", "--split", "train=1,test=0"];
    const { stdout } = await matrix(["export", "run", "-o", "set", ...args], { cwd: folder });
    expect(stdout).toStartWith("set: train 1, test 0, from 1 records");
    expect((await readdir(join(folder, "set"))).sort()).toEqual(["README.md", "train.jsonl"]);
    expect(await readFile(join(folder, "set/README.md"), "utf8")).not.toContain("test.jsonl");
    const none = [...args, "--min-score", "2"];
    await matrix(["export", "run", "-o", "none", ...none], { cwd: folder });
    expect((await readdir(join(folder, "none"))).sort()).toEqual([
      "README.md",
      "test.jsonl",
      "train.jsonl",
    ]);
  }));

test.each(["trl-sft", "parquet"])("half of a character is replaced and counted in %s", (to) =>
  withFolder(async (folder) => {
    const made = { ...TALK[0], id: "1", history: [["student", said("half \ud83d of")]] } as Made;
    await writeRun(join(folder, "run"), DIALOGUE, [made]);
    const output = to === "parquet" ? "out.parquet" : "out.jsonl";
    const { stdout } = await matrix(["export", "run", "--to", to, "-o", output], { cwd: folder });
    expect(stdout).toContain("examples with halves of characters, each replaced by U+FFFD: 1");
    const text = await readFile(join(folder, output), "utf8");
    if (to !== "parquet") expect(text).toContain("half \ufffd of");
    expect(text).not.toContain("\\ud83d");
  }),
);
