// One interpreter: its environment, its folder, and its end.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Interpreter } from "../../src/python/interpreter.ts";
import { withFolder } from "../parts/folder.ts";
import { ROOT } from "../parts/repository.ts";
import { until } from "../parts/until.ts";

const RULE = `from matrix_agent import done, orchestrator, to
import os
@orchestrator
class Rule:
    def start(self, row, context):
        return to("a", {"path": os.environ["PYTHONPATH"], "hash": os.environ["PYTHONHASHSEED"]})
    def next(self, state, result, context): return done()
`;
const START = JSON.stringify({ op: "start", context: { row: {} } });

const start = (path: string) =>
  Interpreter.start(
    { command: ["python3"], path, kind: "rule", settings: {}, watched: 0 },
    () => undefined,
  );

test("an interpreter that was killed answers nothing more, and one that was closed ends by itself", () =>
  withFolder(async (folder) => {
    const path = join(folder, "rule.py");
    await writeFile(path, RULE);
    const { interpreter, about } = await start(path);
    expect([...about.operations]).toEqual(["start", "next"]);
    expect((await interpreter.ask([START, START])).length).toBe(2);
    interpreter.kill();
    await until(() => interpreter.hasEnded, "the interpreter has ended");
    await expect(interpreter.ask([START])).rejects.toThrow("the interpreter has ended");
    const other = (await start(path)).interpreter;
    expect(other.hasEnded).toBe(false);
    other.close();
    await until(() => other.hasEnded, "the other has ended");
  }));

test("the library comes before the user's PYTHONPATH, which stays", () =>
  withFolder(async (folder) => {
    const path = join(folder, "rule.py");
    const own = join(folder, "own");
    await mkdir(own);
    await writeFile(join(own, "mine.py"), "NAME = 'mine'\n");
    await writeFile(path, `${RULE}\nimport mine\n`);
    const before = process.env["PYTHONPATH"];
    const pathsOf = async () => {
      const { interpreter } = await start(path);
      const [answer = {}] = await interpreter.ask([START]);
      interpreter.close();
      const { state } = answer["decided"] as { state: { path: string; hash: string } };
      return state;
    };
    try {
      process.env["PYTHONPATH"] = own;
      const { path: both, hash } = await pathsOf();
      expect([both.split(":").length, both.split(":")[1], hash]).toEqual([2, own, "0"]);
      await writeFile(path, RULE);
      for (const unset of ["", undefined]) {
        if (unset === undefined) delete process.env["PYTHONPATH"];
        else process.env["PYTHONPATH"] = unset;
        expect((await pathsOf()).path.split(":")).toHaveLength(1);
      }
    } finally {
      if (before === undefined) delete process.env["PYTHONPATH"];
      else process.env["PYTHONPATH"] = before;
    }
  }));

test("flags and tokens of matrix reach no interpreter, and other variables do", () =>
  withFolder(async (folder) => {
    const path = join(folder, "rule.py");
    const body = 'return to("a", sorted(n for n in os.environ if "TESTED" in n))';
    await writeFile(path, RULE.replace(/return to\("a".*/, body));
    process.env["MATRIX_TESTED"] = "secret";
    process.env["OTHER_TESTED"] = "seen";
    try {
      const { interpreter } = await start(path);
      const [answer = {}] = await interpreter.ask([START]);
      interpreter.close();
      expect(answer["decided"]).toEqual({ to: "a", state: ["OTHER_TESTED"] });
    } finally {
      delete process.env["MATRIX_TESTED"];
      delete process.env["OTHER_TESTED"];
    }
  }));

test("the folder of the library goes with its process", () => {
  const script = `const { libraryPath } = await import(${JSON.stringify(join(ROOT, "src/python/library.ts"))});
    console.log(await libraryPath());`;
  const child = Bun.spawnSync(["bun", "-e", script]);
  const folder = child.stdout.toString().trim();
  expect(folder).toContain("matrix-python-");
  expect(existsSync(folder)).toBe(false);
});
