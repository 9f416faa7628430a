// Exports in the hands of the programs that they are for: datasets, pyarrow and TRL load what was
// written.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject } from "../../../src/task/json.ts";
import { BINARY } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import {
  calls,
  DIALOGUE,
  type Made,
  said,
  TOOL_LOOP,
  toolResult,
  writeRun,
} from "../../parts/run-directory.ts";
import { load, runPython } from "./python.ts";

interface Loaded {
  readonly rows: number;
  readonly different: readonly number[];
  readonly features: Readonly<Record<string, string>>;
}

/**
 * Rows whose tools, arguments and rows all have other keys and types; the first `plain` of them
 * call no tool. Fractions have few digits: `datasets` rounds others when it reads lines.
 */
function* heterogeneous(count: number, plain = 0): Generator<Made> {
  for (let i = 0; i < count; i++) {
    const name = `tool_${i % 50}`;
    const parameters = {
      type: "object",
      properties: { [`p${i % 97}`]: { type: i % 2 === 0 ? "string" : "integer" } },
    };
    const kit = [
      {
        type: "function",
        function: { name, parameters, ...(i % 3 === 0 ? { strict: true } : {}) },
      },
    ];
    const value = [i, String(i), [i], { deep: i }, null, i / 8][i % 6] as JsonObject;
    const text = JSON.stringify({ [`p${i % 97}`]: value });
    yield {
      id: String(i),
      score: i % 2,
      row: { question: `Question ${i}?`, [`k${i % 13}`]: value, kit },
      history:
        i < plain
          ? [["solver", said(`No tool is needed for ${i}. ${"It is long. ".repeat(40)}`)]]
          : [
              ["solver", calls(`c${i}`, name, text)],
              ["tools", [toolResult(`c${i}`, JSON.stringify(value))]],
              ["solver", said(`Done ${i}.`)],
            ],
    };
  }
}

async function exportTo(
  folder: string,
  format: string,
  output: string,
  more: readonly string[] = [],
): Promise<void> {
  const args = ["export", "run", "--to", format, "-o", output, "--tools", "row.kit", ...more];
  const { code, stderr } = await matrix(args, { cwd: folder });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
}

for (const [format, more] of [
  ["openai", []],
  ["sharegpt", []],
  ["trl-sft", []],
  ["trl-sft", ["--train-on", "solver"]],
] as const) {
  test(`an export to ${[format, ...more].join(" ")} loads in datasets row for row, with no key added`, () =>
    withFolder(async (folder) => {
      await writeRun(join(folder, "run"), TOOL_LOOP, heterogeneous(300));
      await exportTo(folder, format, "out.jsonl", more);
      const loaded = await load<Loaded>(folder, "jsonl", join(folder, "out.jsonl"));
      if (loaded !== null)
        expect(loaded).toMatchObject({ rows: more.length === 0 ? 300 : 600, different: [] });
    }));
}

test("an export loads although its first tool call comes after the rows that loaders sample", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, heterogeneous(30_003, 30_000));
    await exportTo(folder, "trl-sft", "out.jsonl");
    expect((await stat(join(folder, "out.jsonl"))).size).toBeGreaterThan(15 * 2 ** 20);
    const lines = (await readFile(join(folder, "out.jsonl"), "utf8")).split("\n").slice(0, -1);
    expect(new Set(lines).size).toBe(30_003);
    const loaded = await load<Loaded>(folder, "jsonl", join(folder, "out.jsonl"));
    if (loaded !== null)
      expect(loaded).toMatchObject({
        rows: 30_003,
        different: [],
        features: { messages: "List(Json(decode=True))" },
      });
  }));

test("TRL renders exports to trl-sft and trl-dpo with a chat template and tools", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, heterogeneous(20));
    await exportTo(folder, "trl-sft", "sft.jsonl");
    const sft = await load<{ rows: number; rendered: { text: string }[] }>(
      folder,
      "template",
      join(folder, "sft.jsonl"),
    );
    if (sft === null) return;
    expect(sft.rows).toBe(20);
    expect(sft.rendered[1]?.text).toContain('{"name": "tool_1", "arguments": {"p1": "1"}}');
    expect(sft.rendered[1]?.text).toContain("<|im_start|>system\nYou help.");
    await exportTo(folder, "trl-sft", "masked.jsonl", ["--train-on", "solver"]);
    const masked = await load<{ rendered: { prompt: string; completion: string }[] }>(
      folder,
      "template",
      join(folder, "masked.jsonl"),
    );
    expect(masked?.rendered[0]?.completion).toContain("<tool_call>");
    expect(masked?.rendered[0]?.prompt).toEndWith("<|im_start|>assistant\n");

    await writeRun(
      join(folder, "run"),
      DIALOGUE,
      Array.from({ length: 40 }, (_, i) => ({
        id: String(i % 20),
        trial: i < 20 ? 0 : 1,
        score: i < 20 ? 0 : 1,
        history: [["student", said(i < 20 ? "bad" : "good")] as const],
      })),
    );
    await matrix(["export", "run", "--to", "trl-dpo", "-o", "dpo.jsonl"], { cwd: folder });
    const dpo = await load<{ rows: number; rendered: { chosen: string; rejected: string }[] }>(
      folder,
      "template",
      join(folder, "dpo.jsonl"),
    );
    expect(dpo?.rows).toBe(20);
    expect(dpo?.rendered[0]).toMatchObject({
      chosen: expect.stringContaining("good"),
      rejected: expect.stringContaining("bad"),
    });
  }));

test("an export as Parquet gives datasets and pyarrow the messages of the lines, typed, and counts", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, heterogeneous(2500, 3));
    await exportTo(folder, "openai", "out.jsonl");
    await exportTo(folder, "parquet", "out.parquet");
    await exportTo(folder, "trl-sft", "sft.jsonl");
    await exportTo(folder, "trl-sft", "sft.parquet");
    type Arrow = Loaded & {
      readonly schema: Readonly<Record<string, string>>;
      readonly first: JsonObject;
    };
    const loaded = await load<Arrow>(
      folder,
      "parquet",
      join(folder, "out.parquet"),
      join(folder, "out.jsonl"),
    );
    if (loaded === null) return;
    expect(loaded).toMatchObject({
      rows: 2500,
      different: [],
      schema: { id: "string", trial: "int64", score: "double", simulated: "bool" },
      first: {
        id: "0",
        trial: 0,
        score: 0,
        simulated: true,
        row: { question: "Question 0?", k0: 0 },
        train: [false, false, true],
      },
    });
    const { features } = (await load<Loaded>(
      folder,
      "jsonl",
      join(folder, "sft.parquet"),
      join(folder, "sft.jsonl"),
    )) ?? {
      features: {},
    };
    expect(features).toEqual({ messages: "List(Json(decode=True))", tools: "Value('string')" });
  }));

test("a folder of Parquet loads by its card, split by split, and the card says what is simulated", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, heterogeneous(500));
    const more = ["--split", "train=0.9,test=0.1", "--license", "cc-by-4.0"];
    type Folder = {
      splits: Record<string, number>;
      ids: Record<string, string[]>;
      tags: string[];
      license: string;
      features: JsonObject;
    };
    for (const [format, output] of [
      ["hf", "hub"],
      ["trl-sft", "lines"],
      ["sharegpt", "turns"],
    ] as const) {
      await exportTo(folder, format, output, more);
      const loaded = await load<Folder>(folder, "folder", join(folder, output));
      if (loaded === null) return;
      const { train = 0, test: held = 0 } = loaded.splits;
      expect(train + held).toBe(500);
      expect(Math.abs(held - 50)).toBeLessThan(25);
      expect(loaded).toMatchObject({
        license: "cc-by-4.0",
        tags: ["synthetic", "matrix", "simulated"],
      });
      expect(loaded.ids["test"]?.filter((id) => loaded.ids["train"]?.includes(id))).toEqual([]);
      const card = await readFile(join(folder, output, "README.md"), "utf8");
      expect(card).toContain("> **Simulated.**");
      expect(card).toContain("| simulated:m | 1500 | 7500 |");
      expect(card).not.toContain("secret");
    }
  }));

test("the oldest version of datasets reads structs and plain tables, and refuses JSON in Parquet", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), TOOL_LOOP, heterogeneous(60, 3));
    const old = (how: string, path: string) =>
      runPython<Loaded>(folder, "load.py", [how, join(folder, path)], "python-datasets4");
    for (const [format, output, more] of [
      ["trl-sft", "sft.jsonl", ["--structs"]],
      ["sharegpt", "turns.jsonl", []],
      ["ms-swift", "swift.jsonl", []],
    ] as const) {
      await exportTo(folder, format, output, more);
      const loaded = await old("jsonl", output);
      if (loaded === null) return;
      expect(loaded).toMatchObject({ rows: 60, different: [] });
    }
    await exportTo(folder, "verl", "verl.parquet");
    await exportTo(folder, "trl-sft", "sft.parquet", ["--structs"]);
    for (const output of ["verl.parquet", "sft.parquet"])
      expect(await old("count", output)).toEqual({ rows: 60 } as Loaded);
    await exportTo(folder, "hf", "hub", ["--structs"]);
    expect(await old("folder", "hub")).toMatchObject({ splits: { train: 60 } } as object);
    await exportTo(folder, "trl-sft", "json.parquet");
    expect(old("count", "json.parquet")).rejects.toThrow("Feature type 'Json' not found");
  }));

test("numbers in arguments and rows reach Python as the model and the dataset wrote them", () =>
  withFolder(async (folder) => {
    const text = '{"id": 12345678901234567890, "real": 1.0, "big": 1e3}';
    const history = [["solver", calls("c1", "find", text)]] as const;
    await writeRun(join(folder, "run"), TOOL_LOOP, [
      { id: "1", row: { question: "Q", kit: [], n: 2n ** 70n }, history },
      { id: "2", row: { question: "Q", kit: [], n: "text" }, history },
    ]);
    for (const output of ["out.jsonl", "out.parquet"]) {
      await exportTo(folder, "trl-sft", output);
      expect(await load<string>(folder, "arguments", join(folder, output))).toBe(
        '{"id": 12345678901234567890, "real": 1.0, "big": 1000.0}',
      );
    }
    await exportTo(folder, "hf", "hub");
    expect(await load<string>(folder, "row", join(folder, "hub"))).toContain(String(2n ** 70n));
  }));

test("images of a run are images for datasets, in a file and in a folder for the hub", () =>
  withFolder(async (folder) => {
    const roles = TOOL_LOOP["roles"] as Record<string, JsonObject>;
    const solver = { ...roles["solver"], attachments: ["row.image"] };
    const recipe = { ...TOOL_LOOP, roles: { ...roles, solver } };
    const png =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const made = (id: string, image: string | null): Made => ({
      id,
      row: { question: "What?", kit: [], image },
      history: [["solver", said("A dot.")]],
    });
    await writeRun(join(folder, "run"), recipe, [made("1", png), made("2", null)]);
    for (const [format, output] of [
      ["trl-sft", "out.parquet"],
      ["hf", "hub"],
    ] as const) {
      await exportTo(folder, format, output);
      const sizes = await load<unknown>(folder, "images", join(folder, output));
      if (sizes !== null) expect(sizes).toEqual([[[1, 1]], []]);
    }
    await exportTo(folder, "trl-sft", "out.jsonl");
    for (const output of ["out.jsonl", "out.parquet"]) {
      const rendered = await load<string>(folder, "vision", join(folder, output));
      if (rendered !== null)
        expect(rendered).toContain(
          "<|im_start|>user\nWhat?<|vision_start|><|image_pad|><|vision_end|><|im_end|>\n",
        );
    }
  }));

test(
  "100,000 records of many shapes are exported in less than 500 MB and load without an added key",
  () =>
    withFolder(async (folder) => {
      await writeRun(join(folder, "run"), TOOL_LOOP, heterogeneous(100_000, 20_000));
      for (const [format, output] of [
        ["trl-sft", "out.jsonl"],
        ["hf", "hub"],
      ] as const) {
        const args = [
          "export",
          "run",
          "--to",
          format,
          "-o",
          output,
          "--tools",
          "row.kit",
          "--dedupe",
          "near",
        ];
        const child = Bun.spawn([BINARY, ...args], {
          cwd: folder,
          stdout: "pipe",
          stderr: "inherit",
        });
        const peak = (await peakBytesOf(child.pid, child.exited)) / 2 ** 20;
        expect(child.exitCode).toBe(0);
        console.log(`${format}: ${Math.round(peak)} MB at most`);
        expect(peak).toBeLessThan(500);
      }
      const loaded = await load<Loaded>(folder, "jsonl", join(folder, "out.jsonl"));
      if (loaded !== null) expect(loaded.different).toEqual([]);
    }),
  600_000,
);

/**
 * Peak of the process's own memory. What the system reports for a child that has ended includes its
 * parent's memory, because the child began as a copy of its parent.
 */
async function peakBytesOf(pid: number, ended: Promise<unknown>): Promise<number> {
  let peak = 0;
  const look = (): void => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024);
    } catch {
      // It has just ended.
    }
  };
  const looking = setInterval(look, 10);
  await ended;
  clearInterval(looking);
  return peak;
}
