// Exports in the hands of trainers: TRL takes real steps with a tiny model, and LLaMA-Factory's own
// converter reads every turn.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject } from "../../../src/task/json.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import {
  BEST_OF_THREE,
  calls,
  type Made,
  said,
  TOOL_LOOP,
  toolResult,
  writeRun,
} from "../../parts/run-directory.ts";
import { runPython } from "./python.ts";

const KIT: readonly JsonObject[] = [
  {
    type: "function",
    function: {
      name: "find",
      description: "Finds.",
      parameters: { type: "object", properties: { name: { type: "string" } } },
    },
  },
  { type: "function", function: { name: "stop", description: "Stops." } },
];

const FIND = calls("c1", "find", '{"name": "Ann", "n": 12345678901234567890}');
const STOP = calls("c2", "stop", "{}");
const [find = {}, stop = {}] = [FIND, STOP].flatMap(
  ({ tool_calls: made }) => made as readonly JsonObject[],
);

/** A record with parallel calls beside text, reasoning, and results out of order. */
const RICH: Made["history"] = [
  ["solver", { ...FIND, content: "Wait.", reasoning: "I look.", tool_calls: [find, stop] }],
  ["tools", [toolResult("c2", "stopped"), toolResult("c1", "found")]],
  ["solver", { ...said("Ann."), reasoning_content: "She was found." }],
];

async function exportTo(
  folder: string,
  format: string,
  output: string,
  more: readonly string[] = [],
): Promise<string> {
  const args = ["export", "run", "--to", format, "-o", output, "--force", ...more];
  const { code, stderr } = await matrix(args, { cwd: folder });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return join(folder, output);
}

interface Training {
  readonly examples: number;
  readonly losses: readonly number[];
}

test(
  "TRL trains on exports to trl-sft, trl-dpo and trl-kto",
  () =>
    withFolder(async (folder) => {
      const rows = (id: number) => ({ question: `Question ${id}?`, kit: KIT });
      await writeRun(
        join(folder, "run"),
        TOOL_LOOP,
        Array.from({ length: 4 }, (_, id) => ({ id: String(id), row: rows(id), history: RICH })),
      );
      const sft = await exportTo(folder, "trl-sft", "sft.jsonl", ["--tools", "row.kit"]);
      const candidates = [3, 1, 2].map((score) => ({ score, accepted: null }));
      await writeRun(
        join(folder, "run"),
        BEST_OF_THREE,
        Array.from({ length: 4 }, (_, id) => ({
          id: String(id),
          score: 3,
          outcome: { chosen: 0, candidates },
          history: candidates.flatMap(({ score }): Made["history"] => [
            ["student", said(`An answer of ${score}.`)],
            ["judge", { score }],
          ]),
        })),
      );
      const dpo = await exportTo(folder, "trl-dpo", "dpo.parquet");
      const kto = await exportTo(folder, "trl-kto", "kto.jsonl", ["--good-score", "2"]);
      const found = await runPython<Record<string, Training>>(folder, "train.py", [sft, dpo, kto]);
      if (found === null) return;
      expect(Object.entries(found).map(([name, { examples }]) => [name, examples])).toEqual([
        ["sft", 4],
        ["dpo", 4],
        ["kto", 12],
      ]);
      for (const { losses } of Object.values(found)) {
        expect(losses).toHaveLength(2);
        for (const loss of losses) expect(loss).toBeGreaterThan(0);
      }
      // The loss of DPO before the first step is ln 2: the model and its reference are the same.
      expect(found["dpo"]?.losses[0]).toBeCloseTo(Math.LN2, 4);
    }),
  300_000,
);

interface Read {
  readonly turns: readonly (readonly [role: string, text: string])[];
  readonly system: string;
  readonly tools: string;
  readonly images: readonly boolean[];
  readonly audios: readonly boolean[];
}

test("LLaMA-Factory's converter takes every turn of an export to sharegpt", () =>
  withFolder(async (folder) => {
    const broken = calls("c1", "find", '{"name": ');
    await writeRun(join(folder, "run"), TOOL_LOOP, [
      { id: "rich", row: { question: "Who?", kit: KIT }, history: RICH },
      {
        id: "odd",
        row: { question: "Why?", kit: KIT },
        history: [
          ["solver", said("First.")],
          ["solver", { ...said("Second."), reasoning: "Again." }],
          ["solver", broken],
          ["solver", FIND],
          ["tools", [toolResult("c1", "found")]],
          ["solver", said("Done.")],
        ],
      },
    ]);
    const path = await exportTo(folder, "sharegpt", "out.jsonl", ["--tools", "row.kit"]);
    const found = await runPython<readonly Read[]>(folder, "llamafactory_data.py", [path]);
    if (found === null) return;
    const ann = '{"name": "find", "arguments": {"name": "Ann", "n": 12345678901234567890}}';
    expect(found[0]?.turns).toEqual([
      ["user", "Who?"],
      [
        "function",
        `<think>\nI look.\n</think>\n\nWait.<tool_call>\n${ann}\n</tool_call>\n` +
          '<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>',
      ],
      ["observation", "found\n</tool_response>\n<tool_response>\nstopped"],
      ["assistant", "<think>\nShe was found.\n</think>\n\nAnn."],
    ]);
    expect(found[0]?.system).toBe("You help.");
    expect(found[0]?.tools).toContain("> Tool Name: stop\n");
    expect(found[1]?.turns).toEqual([
      ["user", "Why?"],
      ["assistant", "First.\n\n<think>\nAgain.\n</think>\n\nSecond."],
      ["user", ""],
      ["function", '<tool_call>\n{"name": "find", "arguments": "{\\"name\\": "}\n</tool_call>'],
      ["observation", ""],
      ["function", `<tool_call>\n${ann}\n</tool_call>`],
      ["observation", "found"],
      ["assistant", "Done."],
    ]);
  }));

test("LLaMA-Factory finds the images and recordings of an export to sharegpt", () =>
  withFolder(async (folder) => {
    const png =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const roles = TOOL_LOOP["roles"] as Record<string, JsonObject>;
    const recipe = {
      ...TOOL_LOOP,
      roles: {
        ...roles,
        solver: {
          ...roles["solver"],
          attachments: ["row.media"],
          attachment_folder: join(folder, "media"),
        },
      },
    };
    await mkdir(join(folder, "media"));
    await writeFile(join(folder, "media/a.wav"), "RIFF____WAVE");
    await writeRun(join(folder, "run"), recipe, [
      {
        id: "seen",
        row: { question: "What?", media: [png, "a.wav"] },
        history: [["solver", said("A cat.")]],
      },
      {
        id: "none",
        row: { question: "What?", media: null },
        history: [["solver", said("Nothing.")]],
      },
    ]);
    const path = await exportTo(folder, "sharegpt", "out.jsonl");
    const found = await runPython<readonly Read[]>(folder, "llamafactory_data.py", [path]);
    if (found === null) return;
    expect(found.map(({ turns, images, audios }) => [turns[0], images, audios])).toEqual([
      [["user", "What?<image><audio>"], [true], [true]],
      [["user", "What?"], [], []],
    ]);
  }));
