// Programs as agents, through the binary: any language, no sandbox, and whatever they do each task
// ends in its record.

import { describe, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isJsonObject } from "../../../src/task/json.ts";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import type { Finished } from "../../parts/finished.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { until } from "../../parts/until.ts";

const RECIPE = `name = "programs"
dataset.path = "rows.jsonl"
[roles.first]
agent = "first.py"
with = { mark = "!" }
[roles.second]
agent = "process"
command = ["sh", "-c", "exec python3 -u second.py"]
timeout = "20s"
[orchestrator]
pattern = "sequence"
roles = ["first", "second"]
`;
/** Dies once, under the first row that says so. */
const FIRST = `import os, sys
from matrix_agent import serve

def step(task, settings):
    if task["row"].get("die") and not os.path.exists("died"):
        open("died", "w").close()
        print("I shall die", file=sys.stderr)
        os._exit(3)
    if task["row"].get("fail"):
        raise ValueError("no such questiön")
    print("this goes to the log")
    return {"text": task["row"]["q"].upper() + settings["mark"], "pid": os.getpid()}

serve(step)
`;
/** Speaks the protocol by itself, and badly where a row says so. */
const SECOND = `import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if "cancel" in request:
        continue
    row = request["task"]["row"]
    if row.get("silent"):
        continue
    if row.get("forge"):
        for guess in range(100):
            for id in (guess, str(guess)):
                print(json.dumps({"id": id, "ok": True, "result": "forged"}), flush=True)
        continue
    if row.get("babble"):
        print("Hello, I am no JSON", flush=True)
        continue
    answers = 2 if row.get("twice") else 1
    for _ in range(answers):
        print(json.dumps({"id": request["id"], "ok": True, "result": request["task"]["last"]["text"]}), flush=True)
    if row.get("replay"):
        print(json.dumps({"id": FIRST_ID, "ok": True, "result": "forged"}), flush=True)
    FIRST_ID = request["id"]
`;

async function drive(
  folder: string,
  rows: readonly object[],
  ...more: readonly string[]
): Promise<Finished> {
  const files = {
    "recipe.toml": RECIPE,
    "first.py": FIRST,
    "second.py": SECOND,
    "rows.jsonl": rows.map((row) => JSON.stringify(row)).join("\n"),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return matrix(["drive", "recipe.toml", "-q", "-o", "run", "run.fail_above=1", ...more], {
    cwd: folder,
  });
}

const rowsOf = (count: number) => Array.from({ length: count }, (_, n) => ({ q: `q${n}` }));

const python = Bun.which("python3");
if (python === null) console.log("skipped: there is no python3 to write agents in");

describe.skipIf(python === null)("a program as an agent", () => {
  test("a program serves many tasks at once, and one that dies is started again and loses none", () =>
    withFolder(async (folder) => {
      const rows = rowsOf(30).map((row, n) => (n === 7 ? { ...row, die: true } : row));
      const { code, stdout } = await drive(folder, rows);
      expect(stdout).toContain("expected 30 = ok 30 + failed 0 + lost 0");
      expect(code).toBe(0);
      const records = await readRecords(join(folder, "run"));
      for (const { id, outcome, attempt } of records)
        expect({ outcome, attempt }).toEqual({ outcome: { result: `Q${id}!` }, attempt: 1 });
      const log = await readFile(join(folder, "run/logs/driver.log"), "utf8");
      expect(log).toMatch(/ended with exit 3; its last words: .*I shall die/);
      expect(log).toContain("info this goes to the log");
    }));

  test("several processes of a program run on a host, from the file that came with the recipe", () =>
    withFolder(async (folder) => {
      const { stdout, stderr } = await drive(
        folder,
        rowsOf(60),
        "--workers",
        "1",
        "-n",
        "4",
        "roles.first.processes=3",
      );
      expect({ stdout, stderr }).toMatchObject({
        stdout: expect.stringContaining("expected 60 = ok 60 + failed 0 + lost 0"),
        stderr: "",
      });
      const records = await readRecords(join(folder, "run"));
      const pids = new Set(
        records.map(({ history: [first] }) => isJsonObject(first?.result) && first.result["pid"]),
      );
      expect(pids.size).toBe(3);
    }));

  test("a program that raises, babbles or says nothing fails the task at hand with a code and its words", () =>
    withFolder(async (folder) => {
      const rows = [{ q: "a", fail: true }, { q: "b", silent: true }, { q: "c" }];
      const { stdout } = await drive(folder, rows, 'roles.second.timeout="3s"');
      expect(stdout).toContain("expected 3 = ok 1 + failed 2 + lost 0");
      const errors = Object.fromEntries(
        (await readRecords(join(folder, "run"))).map(({ id, error }) => [id, error]),
      );
      expect(errors).toEqual({
        "0": expect.objectContaining({
          code: "agent_failed",
          message: "first.py: ValueError: no such questiön",
          stack: expect.stringMatching(/^Traceback .*first\.py".*\nValueError: no such questiön$/s),
          role: "first",
          hop: 0,
        }),
        "1": expect.objectContaining({ code: "agent_timeout", role: "second", hop: 1 }),
        "2": null,
      });
      await drive(folder, [{ q: "a", babble: true }], "--fresh");
      const [record] = await readRecords(join(folder, "run"));
      expect(record?.error).toMatchObject({
        code: "sandbox_bad_answer",
        message: expect.stringContaining("Hello, I am no JSON"),
      });
    }));

  test("a program that guesses ids, answers twice or answers under an old id answers no other row", () =>
    withFolder(async (folder) => {
      const rows = [
        ...[{ q: "a" }, { q: "b", forge: true }, { q: "c" }, { q: "d", twice: true }, { q: "e" }],
        ...[{ q: "f" }, { q: "g", replay: true }, { q: "h" }],
      ];
      // A second answer may break the program while it holds the next row, which is tried again.
      const { stdout } = await drive(folder, rows, "-n", "1", "roles.second.retries=1");
      expect(stdout).toContain("expected 8 = ok 7 + failed 1 + lost 0");
      const records = await readRecords(join(folder, "run"));
      const ends = records.map(({ id, outcome, error }) => [id, outcome, error?.code]);
      expect(ends.sort()).toEqual(
        rows.map(({ q, ...odd }, index) =>
          "forge" in odd
            ? [String(index), null, "sandbox_bad_answer"]
            : [String(index), { result: `${q.toUpperCase()}!` }, undefined],
        ),
      );
      expect(JSON.stringify(records)).not.toContain('"result":"forged"');
      expect(records.find(({ id }) => id === "1")?.error?.message).toStartWith(
        'the agent in sandbox second (process) replied to no open request: "{\\"id\\": 0, ',
      );
    }));

  test("a program ends with matrix, also when matrix is killed", () =>
    withFolder(async (folder) => {
      await drive(folder, rowsOf(1));
      const slow = FIRST.replace(
        '    print("this',
        '    open("pid", "w").write(str(os.getpid()))\n    import time; time.sleep(600)\n    print("this',
      );
      await writeFile(join(folder, "first.py"), slow);
      const { child, finished } = spawnMatrix(["drive", "recipe.toml", "-q", "-o", "other"], {
        cwd: folder,
      });
      const pid = join(folder, "pid");
      await until(
        async () => (await Bun.file(pid).exists()) && (await Bun.file(pid).text()) !== "",
        "the program has begun its step",
      );
      const program = Number(await Bun.file(pid).text());
      child.kill("SIGKILL");
      await finished;
      await until(() => !isAlive(program), "the program is gone");
    }));

  test("a program that the recipe cannot start is refused before anything runs", () =>
    withFolder(async (folder) => {
      await drive(folder, rowsOf(1));
      await writeFile(join(folder, "solver.rb"), "");
      const complaint = async (...more: readonly string[]) =>
        (await matrix(["check", "recipe.toml", ...more], { cwd: folder })).stderr;
      expect(await complaint("roles.first.agent=solver.rb")).toContain(
        'the name does not say how to start this program; set command = ["…"]',
      );
      expect(await complaint("roles.first.agent=gone.py")).toContain("no such file");
      expect(
        await complaint(
          "roles.first.agent=language",
          "roles.first.with={}",
          "roles.first.processes=2",
        ),
      ).toContain("only a program reads this key");
      expect(await complaint('roles.first.command=["python3", "first.py"]')).toBe("");
    }));
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
