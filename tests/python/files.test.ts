// The Python files of a recipe: their interpreters, the pools that they share, and what a file must
// mark.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { MatrixError } from "../../src/error.ts";
import { PythonFiles } from "../../src/python/files.ts";
import type { Kind } from "../../src/python/interpreter.ts";
import { withFolder } from "../parts/folder.ts";

const ALL = `from matrix_agent import agent, done, orchestrator, replies, request, to
@agent
def step(task): pass
@request
def ask(task): return {"messages": []}
@replies
def say(request): return "x"
@orchestrator
class Rule:
    def start(self, row, context): return to("a")
    def next(self, state, result, context): return done()
`;

const withFile = (source: string, use: (path: string) => Promise<void>) =>
  withFolder(async (folder) => {
    const path = join(folder, "all.py");
    await writeFile(path, source);
    await use(path);
  });

test("one file may hold a rule, a request, replies and an agent", () =>
  withFile(ALL, async (path) => {
    const files = new PythonFiles({ processes: 1 });
    const operations = async (kind: Kind) => [
      ...(await files.open({ kind, path, settings: null })).about.operations,
    ];
    expect(await operations("rule")).toEqual(["start", "next"]);
    expect(await operations("request")).toEqual(["request"]);
    expect(await operations("replies")).toEqual(["replies"]);
  }));

test("files with the same interpreter and settings share a pool, and others do not", () =>
  withFile(ALL, async (path) => {
    const files = new PythonFiles({ processes: 1 });
    const poolOf = async (more: object) =>
      (await files.open({ kind: "request", path, settings: null, ...more })).pool;
    const pool = await poolOf({});
    expect(await poolOf({})).toBe(pool);
    expect(await poolOf({ command: ["python3"] })).toBe(pool);
    expect(await poolOf({ command: ["python3", "-X", "utf8"] })).not.toBe(pool);
    expect(await poolOf({ settings: { a: 1 } })).not.toBe(pool);
    expect(await poolOf({ kind: "replies" })).not.toBe(pool);
  }));

test("a role's own interpreter comes before that of the recipe", async () => {
  const files = new PythonFiles({ command: ["recipe-python", "-X"] });
  expect(await files.commandFor("a.py")).toEqual(["recipe-python", "-X"]);
  expect(await files.commandFor("a.py", ["own"])).toEqual(["own"]);
  expect(await new PythonFiles().commandFor("a.py")).toEqual(["python3"]);
});

test.each([
  ["rule", "LookupError: the file has no rule: mark one class with @orchestrator"],
  ["request", "LookupError: the file has no request: mark one function with @request"],
  ["replies", "LookupError: the file has no replies: mark one function with @replies"],
] as const)("a file without a %s says what to mark", (kind, message) =>
  withFile("x = 1\n", async (path) => {
    const opened = new PythonFiles().open({ kind, path, settings: null });
    const { code, problems } = (await opened.catch((thrown) => thrown)) as MatrixError;
    expect([code, problems[0]?.message]).toEqual(["module_invalid", message]);
  }),
);

test("two marks of one kind, and a mark on a value that is not a function, are problems", () =>
  withFile(
    "from matrix_agent import replies, request\nrequest(5)\n" +
      "@replies\ndef a(request): pass\n@replies\ndef b(request): pass\n",
    async (path) => {
      const messageOf = async (kind: Kind) => {
        const opened = new PythonFiles().open({ kind, path, settings: null });
        const { problems } = (await opened.catch((thrown) => thrown)) as MatrixError;
        return problems[0]?.message;
      };
      expect(await messageOf("request")).toBe(
        "TypeError: @request marks a int, which is not a function",
      );
      expect(await messageOf("replies")).toBe(
        "LookupError: the file has 2 replies: mark one function with @replies",
      );
    },
  ));

test("a missing package of a file that states its needs names the key that installs them", () =>
  withFile(
    "# /// script\n# dependencies = ['no-such']\n# ///\nimport no_such_one\n",
    async (path) => {
      const opened = new PythonFiles().open({ kind: "rule", path, settings: null });
      const { problems } = (await opened.catch((thrown) => thrown)) as MatrixError;
      expect(problems[0]).toMatchObject({ file: path, line: 4 });
      expect(problems[0]?.message).toContain(
        "install it there, or let uv install what the file states with python.install = true",
      );
    },
  ));

test("the text that a file prints is logged with the path of the file", () =>
  withFile(`${ALL}print("loaded")\n`, async (path) => {
    const said: string[][] = [];
    const say = (...line: string[]): void => void said.push(line);
    const { pool } = await new PythonFiles({ say, processes: 1 }).open({
      ...{ kind: "replies", path, settings: null },
    });
    const { decided } = await pool.ask(
      JSON.stringify({ op: "replies", request: {}, settings: {}, seed: 1 }),
    );
    expect([decided, said]).toEqual(["x", [[path, "loaded"]]]);
  }));
