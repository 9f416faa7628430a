// The reader of runs for Python, without any package.

import { expect, test } from "bun:test";
import { appendFile, cp, mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RunDirectory } from "../../src/records/run-directory.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { withFolder } from "../parts/folder.ts";
import { ROOT } from "../parts/repository.ts";
import { failedRecordOf, identityOf, recordedOf, recordOf } from "../records/made.ts";

const RECORDS: readonly TrajectoryRecord[] = [
  recordOf("żółw", { history: [] }),
  failedRecordOf("b", { trial: 2 }),
  recordOf("c", { stop_reason: "max_turns", score: 0 }),
];
/** More than a double holds. */
const LARGE = "9007199254740993123";

/** The JSON that a program in Python prints; `run` is the run at `paths`. */
async function ask(paths: readonly string[], program: string): Promise<unknown> {
  const lines = ["import json, sys", "sys.path.insert(0, sys.argv[1])"];
  lines.push("from matrix_data import DataError, Run", "run = Run(*sys.argv[2:])", program);
  // -I -S: no package of this machine is seen.
  const child = Bun.spawn(
    ["python3", "-I", "-S", "-c", lines.join("\n"), join(ROOT, "sandboxes"), ...paths],
    { stdout: "pipe", stderr: "pipe" },
  );
  const [out, problem] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(problem);
  return JSON.parse(out);
}

async function writeRun(
  path: string,
  records = RECORDS,
  compress = false,
  roles: Record<string, object> = {},
): Promise<void> {
  const run = await RunDirectory.open(path, {
    identity: identityOf({ recipe: { name: "made", run: { compress }, roles } as never }),
    recipeText: "",
    checkpointDigest: "digest",
    fresh: false,
  });
  for (const record of records) await run.append([[JSON.stringify(record)]], [recordedOf(record)]);
  await run.close("stopped");
}

const EVERYTHING = `print(json.dumps({
  "ids": [record["id"] for record in run],
  "len": len(run),
  "tasks": list(run.ids()),
  "b": run["b", 2]["status"],
  "c": run["c"]["score"],
  "has": ["c" in run, "b" in run, ("b", 2) in run, "x" in run],
  "failed": [record["id"] for record in run.records(status="failed")],
  "turns": [record["id"] for record in run.records(stop_reason="max_turns")],
  "error": [record["id"] for record in run.records(error="agent_failed", trial=2)],
  "none": [record["id"] for record in run.records(status="ok", error="agent_failed")],
}))`;
const EXPECTED = {
  ids: ["żółw", "b", "c"],
  len: 3,
  tasks: ["żółw", "b", "c"],
  b: "failed",
  c: 0,
  has: [true, false, true, false],
  failed: ["b"],
  turns: ["c"],
  error: ["b"],
  none: [],
};

test("the reader gives the records of a run, with its index and without it", () =>
  withFolder(async (folder) => {
    await writeRun(folder);
    expect(await ask([folder], EVERYTHING)).toEqual(EXPECTED);
    await rm(join(folder, "index"), { recursive: true });
    expect(await ask([folder], EVERYTHING)).toEqual(EXPECTED);
    expect(await ask([join(folder, "trajectories.jsonl")], EVERYTHING)).toEqual(EXPECTED);
  }));

test("the reader finds records by the index, and not where that is cut or damaged", () =>
  withFolder(async (folder) => {
    await writeRun(folder);
    const size =
      "from matrix_data import _Index\nimport os\n" +
      "folder = sys.argv[2]\n" +
      "index = _Index.open(folder + '/index', folder + '/trajectories.jsonl')\n" +
      "print(json.dumps([index.size, index.find('b', 2), index.find('b', 0)]))";
    expect(await ask([folder], size)).toEqual([3, 1, null]);
    await truncate(join(folder, "index/rows"), 176 * 3 + 100);
    expect(await ask([folder], size)).toEqual([2, 1, null]);
    expect(await ask([folder], EVERYTHING)).toEqual(EXPECTED);
    await writeFile(join(folder, "index/strings.jsonl"), "");
    expect(await ask([folder], size)).toEqual([0, null, null]);
    expect(await ask([folder], EVERYTHING)).toEqual(EXPECTED);
  }));

test("the reader leaves out a line that is still being written, and sees it when it is whole", () =>
  withFolder(async (folder) => {
    await writeRun(folder);
    const path = join(folder, "trajectories.jsonl");
    const line = JSON.stringify(recordOf("new"));
    await appendFile(path, line.slice(0, 50));
    const program = "print(json.dumps([len(run), [r['id'] for r in run][3:], 'new' in run]))";
    expect(await ask([folder], program)).toEqual([3, [], false]);
    await appendFile(path, `${line.slice(50)}\n`);
    expect(await ask([folder], program)).toEqual([4, ["new"], true]);
  }));

test("several directories are read as the shards of one run", () =>
  withFolder(async (folder) => {
    await writeRun(join(folder, "0"), RECORDS.slice(0, 1));
    await writeRun(join(folder, "1"), RECORDS.slice(1));
    expect(await ask([join(folder, "0"), join(folder, "1")], EVERYTHING)).toEqual(EXPECTED);
  }));

test("integers of any size are exact", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.jsonl");
    await writeFile(path, `{"id":"a","row":{"n":${LARGE}}}\n`);
    expect(await ask([path], `print(json.dumps(str(run["a"]["row"]["n"])))`)).toBe(LARGE);
  }));

test("messages are told from the view of a role, and those of an export are taken as they are", () =>
  withFolder(async (folder) => {
    const said = (content: string) => ({ role: "assistant", content });
    const hop = { host: "h", at: "", queue_ms: 0, run_ms: 1 };
    const history = [
      { hop: 0, role: "student", ...hop, result: said("A?") },
      { hop: 1, role: "judge", ...hop, result: { agreed: false } },
      { hop: 2, role: "teacher", ...hop, result: said("B.") },
      { hop: 3, role: "other", ...hop, result: said("unheard") },
    ];
    const talk = { agent: "llm", conversation: ["student", "teacher"] };
    const roles = { student: talk, teacher: talk, other: {}, judge: {} };
    await writeRun(join(folder, "run"), [recordOf("a", { history })], false, roles);
    const of = (role: string) => `print(json.dumps(list(run.messages(${role}))))`;
    const told = [
      { role: "assistant", content: "A?" },
      { role: "user", content: "B." },
    ];
    expect(await ask([join(folder, "run")], of('"student"'))).toEqual([told]);
    expect(await ask([join(folder, "run")], of(""))).toEqual([
      [said("A?"), said("B."), said("unheard")],
    ]);
    expect(ask([join(folder, "run")], of('"nobody"'))).rejects.toThrow(
      "DataError: the recipe has no role nobody; roles: student, teacher, other, judge",
    );
    const file = join(folder, "export.jsonl");
    await writeFile(file, `${JSON.stringify({ messages: told })}\n`);
    expect(await ask([file], of('"student"'))).toEqual([told]);
  }));

test("the reader says what it cannot do, and what to do", () =>
  withFolder(async (folder) => {
    const run = join(folder, "run");
    await writeRun(run, RECORDS, true);
    const newer = (await ask([run], "print(json.dumps(sys.version_info >= (3, 14)))")) === true;
    if (newer) expect(await ask([run], EVERYTHING)).toEqual(EXPECTED);
    else
      await expect(ask([run], EVERYTHING)).rejects.toThrow(
        "trajectories.jsonl.zst is compressed: use Python 3.14, or pip install zstandard",
      );
    await expect(ask([run], "run.dataframe()")).rejects.toThrow(
      "DataError: dataframe() needs pandas: pip install pandas",
    );
    await expect(ask([run], "run['nobody', 'x']")).rejects.toThrow("ids are text");
    await expect(ask([join(folder, "no")], "")).rejects.toThrow("no is not there");
    await mkdir(join(folder, "empty"));
    await expect(ask([join(folder, "empty")], "len(run)")).rejects.toThrow(
      "empty is not a run directory: it has no manifest.json",
    );
    const broken = join(folder, "broken.jsonl");
    await writeFile(broken, '{"id":"a"}\n{"id"\n');
    await expect(ask([broken], "list(run)")).rejects.toThrow(
      "broken.jsonl:2: this line is not JSON",
    );
    await cp(broken, join(folder, "broken.parquet"));
    await expect(ask([join(folder, "broken.parquet")], "")).rejects.toThrow("pandas.read_parquet");
  }));
