// Rules, requests and replies in Python prove themselves pure: each interpreter watches the first
// answers of every operation. What reads the clock, the environment or randomness fails with its
// place, and so does what remembers.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Opened, PythonFiles, type PythonOptions } from "../../src/python/files.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { withFolder } from "../parts/folder.ts";

const HEAD = `import datetime, os, random, secrets, time, uuid
from datetime import date
from matrix_agent import orchestrator, to
`;
/** The line of `next` in the file. */
const LINE = 10;

/** A rule whose `next` has this body, on one line, and whose module has these further lines. */
function withRule(
  body: string,
  use: (ask: (state?: unknown) => Promise<JsonObject>, opened: Opened) => Promise<void>,
  { module = "pass", ...options }: Partial<PythonOptions> & { readonly module?: string } = {},
): Promise<void> {
  return withFolder(async (folder) => {
    const path = join(folder, "rule.py");
    const rule = `${module}
@orchestrator
class Rule:
    def start(self, row, context):
        return to("a")
    def next(self, state, result, context): ${body}
`;
    await writeFile(path, HEAD + rule);
    const files = new PythonFiles({ processes: 1, say: () => undefined, ...options });
    const opened = await files.open({ kind: "rule", path, settings: {} });
    const context = { id: "1", trial: 0, seed: 7, role: "a" };
    const question = (state: unknown) => ({ op: "next", state, result: null, context });
    await use((state = {}) => opened.pool.ask(JSON.stringify(question(state))), opened);
  });
}

const messageOf = (answer: JsonObject) => String((answer["error"] as JsonObject)?.["message"]);

test.each([
  ["return to('a', time.time())", "the clock (time.time)"],
  ["return to('a', datetime.datetime.now().year)", "the clock (datetime.now)"],
  ["return to('a', date.today().year)", "the clock (date.today)"],
  ["return to('a', os.environ['PATH'])", "the environment (os.environ, 'PATH')"],
  ["return to('a', os.getenv('NO_SUCH'))", "the environment (os.environ, 'NO_SUCH')"],
  ["return to(random.choice(['a', 'b']))", "the random generator of its process (random)"],
  ["return to('a', random.Random().random())", "a seed)"],
  ["return to('a', str(uuid.uuid4()))", "randomness of the machine (os.urandom)"],
  ["return to('a', secrets.token_hex(4))", "randomness of the machine (os.urandom)"],
  ["return to('a', os.getpid())", "the machine (os.getpid)"],
  ["return to('a', os.getcwd())", "the machine (os.getcwd)"],
  ["return to('a', __import__('socket').gethostname())", "the machine (socket.gethostname)"],
] as const)("a rule that does %s fails with its place and what it reads", (body, what) =>
  withRule(body, async (ask) => {
    const answer = await ask();
    expect(answer["error"]).toMatchObject({ kind: "NotPure" });
    expect(messageOf(answer)).toStartWith(`rule.py, line ${LINE - 1} reads `);
    expect(messageOf(answer)).toContain(what);
    expect(messageOf(answer)).toContain("the same question must have the same answer");
  }),
);

test("a generator with a seed, a parsed date and the log of the library are pure", () =>
  withRule(
    "logging.getLogger('r').warning('x'); return to('a', [random.Random(context.seed).random(), datetime.date(2026, 1, 2), datetime.datetime.fromisoformat('2026-01-02')])",
    async (ask) => {
      expect((await ask())["decided"]).toEqual({
        to: "a",
        state: [random7, "2026-01-02", "2026-01-02T00:00:00"],
      });
    },
    { module: "import logging" },
  ));
/** `random.Random(7).random()`. */
const random7 = 0.32383276483316237;

test("a rule that remembers an earlier call fails, with both of its answers", () =>
  withRule(
    "SEEN.append(1); return to('a', len(SEEN))",
    async (ask) =>
      expect(messageOf(await ask())).toBe(
        "the same question had two answers, so something is remembered or drawn between calls: " +
          '{"decided":{"to":"a","state":1}}, and then {"decided":{"to":"a","state":2}}',
      ),
    { module: "SEEN = []" },
  ));

test("a rule may change the state that it was given", () =>
  withRule("state['n'] += 1; return to('a', state)", async (ask) =>
    expect((await ask({ n: 1 }))["decided"]).toEqual({ to: "a", state: { n: 2 } }),
  ));

test("the text that a rule prints is logged once, although the rule decides twice", async () => {
  const said: string[] = [];
  await withRule("print('once'); return to('a')", async (ask) => void (await ask()), {
    say: (_, line) => void said.push(line),
  });
  expect(said).toEqual(["once"]);
});

test("the first sixteen questions of an operation are watched, and a replay watches all", () =>
  withRule("return to('a', time.time() if state else 0)", async (ask) => {
    for (let asked = 0; asked < 15; asked++) await ask(0);
    expect(messageOf(await ask(1))).toContain("reads the clock");
    expect((await ask(1))["error"]).toBeUndefined();
  }).then(() =>
    withRule(
      "return to('a', time.time() if state else 0)",
      async (ask) => {
        for (let asked = 0; asked < 40; asked++) await ask(0);
        expect(messageOf(await ask(1))).toContain("reads the clock");
      },
      { watchesAll: true },
    ),
  ));
