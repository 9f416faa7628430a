// The place of an export: what its name says, and what it may replace.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FORMATS } from "../../src/export/formats.ts";
import { endingOf, refuseExisting } from "../../src/export/place.ts";
import { WHOLE } from "../../src/export/split.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { DIALOGUE, said, writeRun } from "../parts/run-directory.ts";

const TWO = [
  { name: "a", share: 0.5 },
  { name: "b", share: 0.5 },
];

function ending(formatName: string, output: string, splits = WHOLE): string | null {
  const format = FORMATS[formatName];
  if (format === undefined) throw new Error(`no format ${formatName}`);
  return endingOf({ output, format, formatName, splits });
}

test.each<[format: string, output: string, ending: string | null]>([
  ["openai", "a/x.jsonl", ".jsonl"],
  ["openai", "a/x", null],
  ["openai", "x.jsonl/", null],
  ["openai", "x.csv/", null],
  ["openai", "data-v1.0", null],
  ["openai", "data.2026", null],
  ["openai", "my.conversations", null],
  ["openai", "org.my-data", null],
  ["openai", ".hidden", null],
  ["openai", "a.b/x", null],
  ["trl-sft", "x.parquet", ".parquet"],
  ["parquet", "x.parquet", ".parquet"],
  ["hf", "set", null],
  ["hf", "set.parquet/", null],
])("an export to %s with -o %s has the ending %p", (format, output, wanted) => {
  expect(ending(format, output)).toBe(wanted);
});

test.each<[format: string, output: string, message: string, hint: string]>([
  [
    ...([
      "openai",
      "x.csv",
      "x.csv ends in .csv, and openai is not written to such a file",
    ] as const),
    "openai is written to .jsonl, or to a folder; write x.csv/ for a folder of that name",
  ],
  [
    ...([
      "trl-sft",
      "x.json",
      "x.json ends in .json, and trl-sft is not written to such a file",
    ] as const),
    "trl-sft is written to .jsonl or .parquet, or to a folder; write x.json/ for a folder of that name",
  ],
  [
    ...([
      "openai",
      "x.jsonl.gz",
      "x.jsonl.gz ends in .gz, and openai is not written to such a file",
    ] as const),
    "openai is written to .jsonl, or to a folder; write x.jsonl.gz/ for a folder of that name",
  ],
  [
    ...([
      "openai",
      "X.JSONL",
      "X.JSONL ends in .JSONL, and openai is not written to such a file",
    ] as const),
    "openai is written to .jsonl, or to a folder; write X.JSONL/ for a folder of that name",
  ],
  [
    ...([
      "openai",
      "x.parquet",
      "x.parquet ends in .parquet, and openai is not written to such a file",
    ] as const),
    "openai is written to .jsonl, or to a folder; write x.parquet/ for a folder of that name",
  ],
  [
    ...(["hf", "x.csv", "x.csv ends in .csv, and hf is not written to such a file"] as const),
    "hf is a folder; write x.csv/ for a folder of that name",
  ],
  ["hf", "x.parquet", "x.parquet names a file, but hf is a folder", "name a folder with -o"],
  [
    ...(["tau2", "x.csv", "x.csv does not name a .json file"] as const),
    "tau2 is written to such a file; name one with -o",
  ],
  [
    ...(["tau2", "x.json/", "x.json/ does not name a .json file"] as const),
    "tau2 is written to such a file; name one with -o",
  ],
])("an export to %s with -o %s is refused", (format, output, message, hint) => {
  expect(() => ending(format, output)).toThrow(
    expect.objectContaining({ code: "usage", message, hint }),
  );
});

test("a file cannot hold several splits, and a folder can", () => {
  expect(() => ending("openai", "x.jsonl", TWO)).toThrow(
    "x.jsonl is one file and cannot hold 2 splits",
  );
  expect(ending("openai", "x", TWO)).toBeNull();
});

test.each(["", "-"])("an export to the place %p is refused", (output) => {
  expect(() => ending("openai", output)).toThrow(
    expect.objectContaining({
      code: "usage",
      message: `"${output}" names neither a file nor a folder`,
    }),
  );
});

test("a file of a run directory is never replaced, and a new one beside it is written", () =>
  withFolder(async (folder) => {
    const run = join(folder, "run");
    await writeRun(run, DIALOGUE, []);
    await writeFile(join(run, "mine.jsonl"), "");
    for (const name of ["trajectories.jsonl", "superseded.jsonl", "manifest.json", "mine.jsonl"]) {
      const path = join(run, name);
      for (const force of [true, false])
        expect(() => refuseExisting(path, force)).toThrow(
          expect.objectContaining({
            code: "usage",
            message: `${path} is a file of a run directory, and stays as it is`,
          }),
        );
    }
    expect(() => refuseExisting(join(run, "new.jsonl"), false)).not.toThrow();
    expect(() => refuseExisting(join(folder, "trajectories.jsonl"), false)).not.toThrow();
  }));

test("a name that is too long for a file fails with storage_failed", () =>
  withFolder(async (folder) => {
    const run = join(folder, "run");
    await writeRun(run, DIALOGUE, [{ id: "1", row: {}, history: [["student", said("a")]] }]);
    const { code, stderr } = await matrix([
      ...["export", run, "--to", "openai", "-o"],
      join(folder, `${"a".repeat(300)}.jsonl`),
    ]);
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("cannot write") });
  }));

test("what exists is replaced by force alone, and a folder only when it is an export or empty", () =>
  withFolder(async (folder) => {
    const path = (name: string) => join(folder, name);
    expect(() => refuseExisting(path("new"), false)).not.toThrow();
    await writeFile(path("file.jsonl"), "");
    expect(() => refuseExisting(path("file.jsonl"), false)).toThrow(
      expect.objectContaining({
        message: `${path("file.jsonl")} exists already`,
        hint: "--force replaces it",
      }),
    );
    expect(() => refuseExisting(path("file.jsonl"), true)).not.toThrow();

    await mkdir(path("set"));
    expect(() => refuseExisting(path("set"), true)).not.toThrow();
    await writeFile(path("set/train.jsonl"), "");
    const refusal = (hint: string) =>
      expect.objectContaining({
        code: "usage",
        message: `${path("set")} is not an export, and --force replaces exports alone`,
        hint,
      });
    const noCard = "it has no dataset card of an export; name another place with -o";
    expect(() => refuseExisting(path("set"), true)).toThrow(refusal(noCard));
    await writeFile(path("set/README.md"), "# mine\n");
    expect(() => refuseExisting(path("set"), true)).toThrow(refusal(noCard));
    await writeFile(path("set/README.md"), "# set\n\nMade with matrix 0.1.0, exported.\n");
    expect(() => refuseExisting(path("set"), true)).not.toThrow();
    for (const [name, make] of [
      ["notes.txt", () => writeFile(path("set/notes.txt"), "")],
      ["a folder", () => mkdir(path("set/a folder"))],
    ] as const) {
      await make();
      expect(() => refuseExisting(path("set"), true)).toThrow(
        expect.objectContaining({ hint: expect.stringContaining("name another place with -o") }),
      );
      expect(name).not.toBe("");
    }
  }));

test("folders of media that an export made are replaced by force, alone and within an export", () =>
  withFolder(async (folder) => {
    const media = join(folder, "set/train-media");
    await mkdir(media, { recursive: true });
    await writeFile(join(media, `${"0".repeat(64)}.png`), "");
    await writeFile(join(folder, "set/README.md"), "Made with matrix 0.1.0\n");
    expect(() => refuseExisting(join(folder, "set"), true)).not.toThrow();
    expect(() => refuseExisting(media, true)).not.toThrow();
    expect(() => refuseExisting(media, false)).toThrow("exists already");
    await writeFile(join(media, "holiday.png"), "");
    for (const path of [media, join(folder, "set")])
      expect(() => refuseExisting(path, true)).toThrow("is not an export");
    await mkdir(join(folder, "mine"));
    await writeFile(join(folder, "mine", `${"0".repeat(64)}.png`), "");
    expect(() => refuseExisting(join(folder, "mine"), true)).toThrow("is not an export");
    await mkdir(join(folder, "my-media"));
    expect(() => refuseExisting(join(folder, "my-media"), true)).not.toThrow();
  }));

const withRun = (
  use: (folder: string, run: (...args: string[]) => ReturnType<typeof matrix>) => Promise<void>,
) =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "run"), DIALOGUE, [{ id: "1", history: [["student", said("x")]] }]);
    await use(folder, (...args) => matrix(["export", "run", ...args], { cwd: folder }));
  });

test("an export with a name that no format writes makes nothing", () =>
  withRun(async (folder, run) => {
    const { code, stderr } = await run("--to", "trl-sft", "-o", "x.csv");
    expect(code).toBe(2);
    expect(stderr).toContain("x.csv ends in .csv, and trl-sft is not written to such a file");
    expect(existsSync(join(folder, "x.csv"))).toBe(false);
    expect((await run("--to", "trl-sft", "-o", "x.csv/")).code).toBe(0);
    expect(existsSync(join(folder, "x.csv/train.jsonl"))).toBe(true);
  }));

test("an export replaces neither the run that it reads nor the folder that it is started in", () =>
  withRun(async (folder, run) => {
    for (const place of ["run", ".", folder]) {
      const { code, stderr } = await run("--to", "hf", "-o", place, "--force");
      expect(code).toBe(2);
      expect(stderr).toContain("is not an export, and --force replaces exports alone");
    }
    expect(await readFile(join(folder, "run/trajectories.jsonl"), "utf8")).not.toBe("");
    await run("--to", "hf", "-o", "set");
    expect((await run("--to", "hf", "-o", "set", "--force")).code).toBe(0);
  }));
