// The pool of interpreters of a rule: questions go together, and interpreters that die or never
// come to an end are replaced. Each test runs real interpreters.

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MatrixError } from "../../src/error.ts";
import { InterpreterPool, type PoolOptions } from "../../src/python/pool.ts";
import { withFolder } from "../parts/folder.ts";
import { withTimers } from "../parts/timers.ts";
import { until } from "../parts/until.ts";

const RULE = {
  kind: "rule",
  settings: {},
  watched: 0,
  blame: { code: "orchestrator_failed", subject: "the rule" },
} as const;
const HEAD = "import os, sys, time\nfrom matrix_agent import done, orchestrator, to\n";

/** Runs a test with a pool for this body of `next`, in which `state` is what was asked. */
function withPool(
  next: string,
  use: (pool: InterpreterPool, said: readonly string[], folder: string) => Promise<void>,
  more: Partial<PoolOptions> = {},
): Promise<void> {
  return withFolder(async (folder) => {
    const path = join(folder, "rule.py");
    const body = next.replaceAll("\n", "\n        ");
    const rule = `@orchestrator
class Rule:
    def start(self, row, context):
        return to("a")
    def next(self, state, result, context):
        ${body}
`;
    await writeFile(path, HEAD + rule);
    const said: string[] = [];
    const { pool } = await InterpreterPool.open({
      ...{ command: ["python3"], path, processes: 2, decideMs: 20_000 },
      ...RULE,
      say: (line) => void said.push(line),
      ...more,
    });
    await use(pool, said, folder);
  });
}

const ask = (pool: InterpreterPool, state: unknown) =>
  pool.ask(JSON.stringify({ op: "next", state, result: null, context: { id: "1" } }));
const decided = async (pool: InterpreterPool, state: unknown) => {
  const answer = await ask(pool, state);
  return (answer["decided"] as { state: unknown }).state;
};
const failure = (pool: InterpreterPool, state: unknown) =>
  ask(pool, state).then(
    () => null,
    ({ code, message }: MatrixError) => [code, message],
  );

test("each question has its own answer, and many go to an interpreter together", () =>
  withPool("return to('a', [state, os.getpid()])", async (pool) => {
    const answers = await Promise.all(Array.from({ length: 600 }, (_, n) => decided(pool, n)));
    expect(answers.map((answer) => (answer as number[])[0])).toEqual(
      Array.from({ length: 600 }, (_, n) => n),
    );
    const processes = new Set(answers.map((answer) => (answer as number[])[1]));
    expect(processes.size).toBeLessThanOrEqual(2);
  }));

test("the text that a rule prints is logged, and is not taken for an answer", () =>
  withPool("print('I am', state)\nreturn to('a', state)", async (pool, said) => {
    expect(await decided(pool, 7)).toBe(7);
    expect(await decided(pool, 8)).toBe(8);
    expect(said.slice(0, 2)).toEqual(["I am 7", "I am 8"]);
  }));

test("a killed interpreter is replaced, and its questions are asked again", () =>
  withPool(
    "path = os.path.join(os.path.dirname(__file__), 'died')\n" +
      "if state == 3 and not os.path.exists(path):\n" +
      "    open(path, 'w').close()\n" +
      "    os.kill(os.getpid(), 9)\n" +
      "return to('a', state)",
    async (pool) => {
      const all = await Promise.all([1, 2, 3, 4].map((n) => decided(pool, n)));
      expect(all).toEqual([1, 2, 3, 4]);
    },
  ));

test("a question that ends each interpreter fails alone, with the last words", () =>
  withPool(
    "if state == 'bad':\n" +
      "    print('going down', file=sys.stderr)\n" +
      "    os._exit(3)\n" +
      "return to('a', state)",
    async (pool) => {
      const [bad, ...others] = await Promise.all([
        failure(pool, "bad"),
        ...[1, 2, 3].map((n) => decided(pool, n)),
      ]);
      expect(others).toEqual([1, 2, 3]);
      expect(bad).toEqual([
        "orchestrator_failed",
        "the rule ended its interpreter each time it was asked, with these last words:\ngoing down",
      ]);
    },
  ));

test("a question that is never decided fails alone", () =>
  withPool(
    "while state == 'loop':\n    pass\nreturn to('a', state)",
    async (pool) => {
      const [loop, ...others] = await Promise.all([
        failure(pool, "loop"),
        ...[1, 2].map((n) => decided(pool, n)),
      ]);
      expect(others).toEqual([1, 2]);
      expect(loop).toEqual(["orchestrator_failed", "the rule did not answer within 0.5 s"]);
      expect(await decided(pool, 5)).toBe(5);
    },
    { decideMs: 500 },
  ));

test("SystemExit of a rule ends no interpreter", () =>
  withPool("return to('a', os.getpid()) if state else sys.exit(2)", async (pool) => {
    const pid = await decided(pool, 1);
    expect(await ask(pool, 0)).toMatchObject({ error: { kind: "SystemExit", message: "2" } });
    expect(await decided(pool, 1)).toBe(pid);
  }));

test("a file that is gone when another interpreter is needed fails the questions, with the reason", () =>
  withPool(
    "os.remove(__file__)\nos._exit(1)",
    async (pool) => {
      const [code, message] = (await failure(pool, 1)) ?? [];
      expect(code).toBe("orchestrator_failed");
      expect(message).toContain("the rule can no longer be asked: ");
    },
    { processes: 1 },
  ));

/** An interpreter that notes the length of each list, and answers at once. */
const COUNTING = `import json, sys
path = json.loads(sys.stdin.readline())["path"]
print(json.dumps({"operations": ["start", "next"]}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    with open(path, "a") as file:
        file.write(f"{len(asked)}\\n")
    print("\\n".join(json.dumps({"decided": one}) for one in asked), flush=True)
`;

test("questions that come together go in as few lists as hold them", () =>
  withFolder(async (folder) => {
    const program = join(folder, "counting.py");
    await writeFile(program, COUNTING);
    const path = join(folder, "lists");
    const { pool } = await InterpreterPool.open({
      ...{ command: ["python3", program], path, processes: 1, decideMs: 20_000 },
      ...RULE,
      say: () => undefined,
    });
    const ask = (count: number) =>
      Promise.all(Array.from({ length: count }, (_, n) => pool.ask(String(n))));
    expect((await ask(600)).map(({ decided }) => decided as number)).toEqual(
      Array.from({ length: 600 }, (_, n) => n),
    );
    await ask(1);
    await ask(256);
    const lists = (await readFile(path, "utf8")).trim().split("\n").map(Number);
    expect(lists).toEqual([256, 256, 88, 1, 256]);
  }));

test("a question with which an interpreter died is asked alone, also before new ones", () =>
  withFolder(async (folder) => {
    const program = join(folder, "dying.py");
    // The first list ends the interpreter.
    const dies = "        if len(open(path).readlines()) == 1: sys.exit(1)\n";
    await writeFile(
      program,
      `${COUNTING.replace(/(?= {4}print\("\\n")/, `    if True:\n${dies}`)}`,
    );
    const path = join(folder, "lists");
    const { pool } = await InterpreterPool.open({
      ...{ command: ["python3", program], path, processes: 1, decideMs: 20_000 },
      ...RULE,
      say: () => undefined,
    });
    const first = pool.ask("0");
    await new Promise((resolve) => setImmediate(resolve));
    const others = [pool.ask("1"), pool.ask("2")];
    const answers = await Promise.all([first, ...others]);
    expect(answers.map(({ decided }) => decided)).toEqual([0, 1, 2]);
    const lists = (await readFile(path, "utf8")).trim().split("\n").map(Number);
    expect(lists).toEqual([1, 1, 2]);
  }));

/** Kills each interpreter that loads the file, as often as the file `kills` says. */
const KILLED_LOADING = `import os
from matrix_agent import done, orchestrator, to
HERE = os.path.dirname(__file__)
KILLS = os.path.join(HERE, "kills")
def left():
    return int(open(KILLS).read()) if os.path.exists(KILLS) else 0
if left() > 0:
    count = left() - 1
    open(KILLS, "w").write(str(count))
    os.kill(os.getpid(), 9)
@orchestrator
class Rule:
    def start(self, row, context): return to("a")
    def next(self, state, result, context):
        if not os.path.exists(KILLS):
            open(KILLS, "w").write(str(state))
            os.kill(os.getpid(), 9)
        return to("a", state)
`;

test.each([
  [4, "is answered", '"to":"a"'],
  [5, "fails", "the rule can no longer be asked: "],
] as const)(
  "when the next %d interpreters are killed while they load, a question %s",
  (kills, _, answer) =>
    withFolder(async (folder) => {
      const path = join(folder, "rule.py");
      await writeFile(path, KILLED_LOADING);
      const { pool } = await InterpreterPool.open({
        ...{ command: ["python3"], path, processes: 1, decideMs: 20_000 },
        ...RULE,
        say: () => undefined,
      });
      const asked = await ask(pool, kills).catch(({ message }: MatrixError) => ({ message }));
      expect(JSON.stringify(asked)).toContain(answer);
    }),
);

test.each([
  [2, "is answered", '"to":"answered"'],
  [3, "fails", "the rule ended its interpreter each time it was asked"],
] as const)("a question that was alone when %d interpreters died %s", (alone, _, what) =>
  withPool(
    // The first interpreter dies with both questions.
    "path = os.path.join(os.path.dirname(__file__), 'deaths')\n" +
      "deaths = int(open(path).read()) if os.path.exists(path) else 0\n" +
      `if state == 'bad' and deaths <= ${alone}:\n` +
      "    open(path, 'w').write(str(deaths + 1))\n" +
      "    os._exit(1)\n" +
      "return to('answered', state)",
    async (pool) => {
      const both = await Promise.all(
        ["good", "bad"].map((state) =>
          ask(pool, state).catch(({ message }: MatrixError) => ({ message })),
        ),
      );
      expect(both[0]).toEqual({ decided: { to: "answered", state: "good" } });
      expect(JSON.stringify(both[1])).toContain(what);
    },
    { processes: 1 },
  ),
);

test.each([
  [256, 1, 3],
  [512, 1, 3],
  [513, 2, 3],
  [1100, 2, 2],
  [1100, 1, 1],
])("for %d questions at once %d of at most %d interpreters start", (count, started, processes) =>
  withPool(
    "return to('a', state)",
    async (pool, _said, folder) => {
      const before = `${HEAD}open(os.path.dirname(__file__) + "/started", "a").write("x")\n`;
      const path = join(folder, "rule.py");
      await writeFile(path, (await readFile(path, "utf8")).replace(HEAD, before));
      await Promise.all(Array.from({ length: count }, (_, n) => decided(pool, n)));
      const others = () => readFile(join(folder, "started"), "utf8").catch(() => "");
      await until(async () => (await others()).length >= started - 1, "they have started");
      expect((await others()).length).toBe(started - 1);
    },
    { processes },
  ),
);

test("an interpreter without a question for ten seconds ends, and the next question starts another", () =>
  withTimers((timers) =>
    withPool("return to('a', os.getpid())", async (pool) => {
      const first = await decided(pool, 1);
      expect(timers.waiting()).toEqual([10_000]);
      expect(await decided(pool, 2)).toBe(first);
      expect(timers.waiting()).toEqual([10_000]);
      timers.ring(10_000);
      expect(timers.waiting()).toEqual([]);
      const second = await decided(pool, 3);
      expect(second).not.toBe(first);
      expect(await decided(pool, 4)).toBe(second);
      expect(timers.waiting()).toEqual([10_000]);
    }),
  ));
