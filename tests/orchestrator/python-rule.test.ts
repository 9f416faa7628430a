// A rule in Python: what it is asked, what it may read, and what its decisions and errors become.

import { expect, test } from "bun:test";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MatrixError } from "../../src/error.ts";
import { nextMessage, type Rule, startTask } from "../../src/orchestrator/advance.ts";
import type { RemoteOrchestrator } from "../../src/orchestrator/contract.ts";
import { createPythonRule } from "../../src/orchestrator/python-rule.ts";
import { PythonFiles } from "../../src/python/files.ts";
import type { JsonObject } from "../../src/task/json.ts";
import type { Message, Task } from "../../src/task/task.ts";
import { withFolder } from "../parts/folder.ts";
import { ADMITTED, hopOf } from "./walk.ts";

const HEAD = "from matrix_agent import done, fork, orchestrator, to\n";

async function create(path: string, settings: JsonObject = {}, command = ["python3"]) {
  const files = new PythonFiles({ command, processes: 1, decideMs: 20_000, say: () => undefined });
  return createPythonRule(await files.open({ kind: "rule", path, settings }));
}

function withRule(
  source: string,
  use: (rule: RemoteOrchestrator, folder: string) => Promise<void>,
  settings: JsonObject = {},
): Promise<void> {
  return withFolder(async (folder) => {
    await writeFile(join(folder, "route.py"), source);
    await use(await create(join(folder, "route.py"), settings), folder);
  });
}

/** The problems of a file that does not load, without the folder. */
const problemsOf = (source: string, settings: JsonObject = {}, command = ["python3"]) =>
  withFolder(async (folder) => {
    const path = join(folder, "route.py");
    await writeFile(path, source);
    const error = (await create(path, settings, command).catch((thrown) => thrown)) as MatrixError;
    expect(error.code).toBe("module_invalid");
    const inFolder = (text: string) => text.replaceAll(folder, "");
    return {
      message: inFolder(error.message),
      problems: (error.problems ?? []).map((one) => ({ ...one, file: inFolder(one.file ?? "") })),
    };
  });

const ruleOf = (orchestrator: RemoteOrchestrator): Rule => ({
  orchestrator,
  roles: new Set(["a", "b"]),
  maxHops: 9,
});
const taskOf = (message: Message): Task => {
  if (message.kind !== "step") throw new Error(JSON.stringify(message));
  return message.task;
};
const errorOf = (message: Message) => (message.kind === "end" ? message.ending.error : null);

test("a rule routes by its state, the result and its context, and reads row and history when it wants to", () =>
  withRule(
    `${HEAD}
@orchestrator
class Rule:
    def start(self, row, context):
        return to("a", {"q": row["q"], "seed": context.seed, "role": context.role})
    def next(self, state, result, context):
        if context.role == "a":
            return to("b", {**state, "said": result})
        seen = [hop["result"] for hop in context.history]
        return done("agreed", score=0.5, outcome={"seen": seen, "row": context.row, "state": state})
`,
    async (orchestrator) => {
      const rule = ruleOf(orchestrator);
      const admitted = { ...ADMITTED, row: { q: "why", id: 12345678901234567890n as never } };
      const first = taskOf(await startTask(rule, admitted));
      expect([first.role, first.state]).toEqual([
        "a",
        { q: "why", seed: ADMITTED.seed, role: null },
      ]);
      const second = taskOf(await nextMessage(rule, first, hopOf("a", "x")));
      expect([second.role, second.state]).toMatchObject(["b", { q: "why", said: "x" }]);
      const end = await nextMessage(rule, second, hopOf("b", { y: 2 }, 1));
      expect(end).toMatchObject({
        kind: "end",
        ending: {
          ...{ status: "ok", stopReason: "agreed", score: 0.5 },
          outcome: { seen: ["x", { y: 2 }], row: admitted.row, state: second.state },
        },
      });
    },
  ));

test("settings reach the constructor that takes them; join and unanswered are there when the rule has them", () =>
  withRule(
    `${HEAD}
@orchestrator
class Rule:
    def __init__(self, settings):
        self.names = settings["names"]
    def start(self, row, context):
        return fork([to(name) for name in self.names], "s")
    def next(self, state, result, context):
        return done(score=result)
    def unanswered(self, state, reason, context):
        return done(reason, outcome={"by": context.role})
    def join(self, state, ended, context):
        return None if None in ended else done(score=sum(end["score"] for end in ended))
`,
    async (rule) => {
      const context = { id: "1", trial: 0, seed: 1, role: null, row: {}, history: [] };
      expect(await rule.start({}, context)).toEqual({
        fork: [
          { to: "a", state: null },
          { to: "b", state: null },
        ],
        state: "s",
      });
      const two = { done: "completed" as const, score: 2, outcome: null };
      expect(await rule.join?.("s", [two, null], context)).toBeNull();
      expect(await rule.join?.("s", [two, two], context)).toMatchObject({
        done: "completed",
        score: 4,
      });
      expect(await rule.unanswered?.(null, "cut", { ...context, role: "a" })).toEqual({
        ...{ done: "cut", score: null, outcome: { by: "a" } },
      });
    },
    { names: ["a", "b"] },
  ));

test("a rule that has neither join nor unanswered is not asked for them", () =>
  withRule(
    `${HEAD}
@orchestrator
class Rule:
    def start(self, row, context): return to("a")
    def next(self, state, result, context): return done()
`,
    async (rule) => {
      expect([rule.join, rule.unanswered]).toEqual([undefined, undefined]);
    },
  ));

test("a part of the context that the rule reads behind a bare except is still sent", () =>
  withRule(
    `${HEAD}
@orchestrator
class Rule:
    def start(self, row, context): return to("a")
    def next(self, state, result, context):
        try:
            count = len(context.history)
        except BaseException:
            count = -1
        return done(score=count)
`,
    async (orchestrator) => {
      const rule = ruleOf(orchestrator);
      const first = taskOf(await startTask(rule, ADMITTED));
      expect(await nextMessage(rule, first, hopOf("a", 1))).toMatchObject({ ending: { score: 1 } });
    },
  ));

test("a class with update() sets its next role, and its attributes are the state", () =>
  withRule(
    `${HEAD}
@orchestrator
class Coral:
    def __init__(self):
        self._current_agent = "a"
        self.turns = []
    async def update(self, result, updater, logger):
        self.turns.append([updater.role, result])
        logger.info("turn")
        self._current_agent = {1: "b", 2: None}[len(self.turns)]
        return self
`,
    async (orchestrator) => {
      const rule = ruleOf(orchestrator);
      const first = taskOf(await startTask(rule, ADMITTED));
      expect([first.role, first.state]).toEqual(["a", { _current_agent: "a", turns: [] }]);
      const second = taskOf(await nextMessage(rule, first, hopOf("a", "x")));
      expect([second.role, second.state]).toEqual([
        "b",
        { _current_agent: "b", turns: [["a", "x"]] },
      ]);
      const end = await nextMessage(rule, second, hopOf("b", "y", 1));
      expect(end).toMatchObject({ kind: "end", ending: { status: "ok", stopReason: "completed" } });
    },
  ));

test.each([
  ["raise KeyError('no')", "KeyError: 'no'"],
  [
    "return to('a', {'x': [1, float('nan')]})",
    "TypeError: state.x[1] is nan, which JSON does not have",
  ],
  ["return to('a', {'x': {1, 2}})", "TypeError: state.x: a set has no order: use sorted(...)"],
  ["return to('a', {'x': object()})", "TypeError: state.x: object is not JSON"],
  [
    "return done(score='7')",
    /^next\(\) after a gives the score "7"; a score is a number, true, false or null$/,
  ],
  [
    "return done('agred')",
    /^next\(\) after a ends the task as "agred"; allowed: completed, agreed, /,
  ],
  [
    "return done(outcome=[1])",
    /^next\(\) after a gives the outcome \[1\]; an outcome is an object or null/,
  ],
  [
    "state = {}; state['s'] = state; return to('a', state)",
    /^TypeError: state[.s]+… is nested too/,
  ],
  ["return to('a', input())", "EOFError: EOF when reading a line"],
  ["return 5", "next() after a returned 5; it must return to(role, state), fork() or done()"],
  [
    "return to('c')",
    'next() after a routes to "c", which is not a role of the recipe; roles: a, b',
  ],
] as const)("a rule that does %s ends the task with its error", (body, message) =>
  withRule(
    `${HEAD}
@orchestrator
class Rule:
    def start(self, row, context): return to("a")
    def next(self, state, result, context):
        ${body}
`,
    async (orchestrator) => {
      const rule = ruleOf(orchestrator);
      const first = taskOf(await startTask(rule, ADMITTED));
      const error = errorOf(await nextMessage(rule, first, hopOf("a", 1)));
      expect(error).toMatchObject({ code: "orchestrator_failed", role: "a", hop: 0 });
      const told = error?.message ?? "";
      if (typeof message === "string") expect(told).toBe(message);
      else expect(told).toMatch(message);
      expect(told.length).toBeLessThan(200);
    },
  ),
);

test("the traceback of a rule's error begins in the rule", () =>
  withRule(
    `${HEAD}
def deep():
    raise ValueError("oh")
@orchestrator
class Rule:
    def start(self, row, context): return to("a")
    def next(self, state, result, context): return deep()
`,
    async (orchestrator, folder) => {
      const rule = ruleOf(orchestrator);
      const first = taskOf(await startTask(rule, ADMITTED));
      const { stack = "" } = errorOf(await nextMessage(rule, first, hopOf("a", 1))) ?? {};
      const files = [...stack.matchAll(/File "([^"]+)", line (\d+)/g)].map(([, f, n]) => [f, n]);
      expect(files).toEqual([
        [join(folder, "route.py"), "8"],
        [join(folder, "route.py"), "4"],
      ]);
    },
  ));

test("half of a character comes back as it went into a rule", () =>
  withRule(
    `${HEAD}
@orchestrator
class Rule:
    def start(self, row, context): return to("a", {"half": "\\ud83d", "whole": "é😀"})
    def next(self, state, result, context): return to("b", [state, result])
`,
    async (orchestrator) => {
      const rule = ruleOf(orchestrator);
      const first = taskOf(await startTask(rule, ADMITTED));
      const { state } = taskOf(await nextMessage(rule, first, hopOf("a", "x\udc00y")));
      expect(state).toEqual([{ half: "\ud83d", whole: "é😀" }, "x\udc00y"]);
    },
  ));

test("values of Python that stand for JSON become JSON", () =>
  withRule(
    `${HEAD}
import dataclasses, datetime, decimal, enum, pathlib, uuid
@dataclasses.dataclass
class Point:
    x: int
    y: object
class Color(enum.Enum):
    RED = "red"
@orchestrator
class Rule:
    def start(self, row, context):
        return to("a", {
            "point": Point(1, Point(2, None)), "color": Color.RED, "two": decimal.Decimal("2"),
            "half": decimal.Decimal("0.5"), "day": datetime.date(2026, 11, 30), "pair": (1, 2),
            "path": pathlib.PurePosixPath("a/b"), "id": uuid.UUID(int=1), "big": 2**70, 3: "three",
        })
    def next(self, state, result, context): return done()
`,
    async (orchestrator) => {
      const { state } = taskOf(await startTask(ruleOf(orchestrator), ADMITTED));
      expect(state).toEqual({
        ...{ point: { x: 1, y: { x: 2, y: null } }, color: "red", two: 2, half: 0.5 },
        ...{ day: "2026-11-30", pair: [1, 2], path: "a/b", "3": "three" },
        ...{ id: "00000000-0000-0000-0000-000000000001", big: (2n ** 70n) as never },
      });
    },
  ));

test("a file imports from beside it", () =>
  withFolder(async (folder) => {
    await mkdir(join(folder, "parts"));
    await writeFile(join(folder, "parts", "names.py"), 'FIRST = "b"\n');
    await writeFile(
      join(folder, "route.py"),
      `${HEAD}
from parts.names import FIRST
@orchestrator
class Rule:
    def start(self, row, context): return to(FIRST)
    def next(self, state, result, context): return done()
`,
    );
    const rule = ruleOf(await create(join(folder, "route.py")));
    expect(taskOf(await startTask(rule, ADMITTED)).role).toBe("b");
  }));

test("a file that does not load is a problem with its place", async () => {
  expect(await problemsOf("def f(:\n    pass\n")).toEqual({
    message: "/route.py does not load",
    problems: [{ file: "/route.py", line: 1, column: 7, message: "SyntaxError: invalid syntax" }],
  });
  const { problems } = await problemsOf("import os\nos.no_such\n");
  expect(problems).toMatchObject([
    {
      file: "/route.py",
      line: 2,
      message: "AttributeError: module 'os' has no attribute 'no_such'",
    },
  ]);
});

test("a package that is missing names the interpreter that lacks it", async () => {
  const { problems } = await problemsOf("import no_such_package_at_all\n");
  expect(problems).toMatchObject([{ file: "/route.py", line: 1 }]);
  expect(problems[0]?.message).toMatch(
    /^No module named 'no_such_package_at_all': \/.*python.* \(Python 3\.[\d.]+\) lacks it; /,
  );
});

test("a file without a rule, with two, or with half of one says so", async () => {
  const messageOf = async (source: string) => (await problemsOf(source)).problems[0]?.message;
  expect(await messageOf("x = 1\n")).toBe(
    "LookupError: the file has no rule: mark one class with @orchestrator",
  );
  const one = (name: string) =>
    `@orchestrator\nclass ${name}:\n    def start(self, row, c): pass\n`;
  expect(await messageOf(HEAD + one("A") + one("B"))).toBe(
    "LookupError: the file has 2 rules: mark one class with @orchestrator",
  );
  expect(await messageOf(HEAD + one("A"))).toBe("TypeError: the rule has no next()");
});

test("an interpreter that cannot be started is a problem that names the key", async () => {
  const { message } = await problemsOf(HEAD, {}, ["no-such-python"]);
  expect(message).toStartWith("no-such-python cannot run /route.py: ");
  const dead = await problemsOf(HEAD, {}, ["sh", "-c", "echo broken >&2; exit 3"]);
  expect(dead.message).toBe("sh -c echo broken >&2; exit 3 cannot run /route.py: broken");
});

/** An interpreter that wants the history after role a alone, and notes the parts that it gets. */
const WANTING = `import json, sys
path = json.loads(sys.stdin.readline())["path"]
print(json.dumps({"operations": ["start", "next"]}), flush=True)
for line in sys.stdin:
    for ask in json.loads(line):
        sent = ask["context"]
        parts = [name for name in ("row", "history") if name in sent]
        with open(path, "a") as file:
            file.write(f"{ask['op']} {sent['role']} {'+'.join(parts)}\\n")
        lacks = sent["role"] == "a" and "history" not in sent
        answer = {"missing": ["history"]} if lacks else {"decided": {"to": "b", "state": None}}
        print(json.dumps(answer), flush=True)
`;

test("a part that the rule reads after one role is sent after that role, and after no other", () =>
  withFolder(async (folder) => {
    const program = join(folder, "wanting.py");
    await writeFile(program, WANTING);
    const log = join(folder, "log");
    const rule = await create(log, {}, ["python3", program]);
    const context = { id: "1", trial: 0, seed: 1, row: {}, history: [] };
    await rule.start({}, { ...context, role: null });
    for (const role of ["a", "b", "a", "b"]) await rule.next(null, 1, { ...context, role });
    expect((await readFile(log, "utf8")).trimEnd().split("\n")).toEqual([
      ...["start None row", "next a ", "next a history", "next b ", "next a history", "next b"],
    ]);
  }));
