// The library for Python as a wheel has it: a package with `py.typed`. Pyright takes all of it at
// its strictest, knows what a user's decorated functions are, and marks what is wrong.

import { expect, test } from "bun:test";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";

const USE = `from typing import Any

from matrix_agent import (
    Context, Hop, Message, ModelRequest, PromptTask, ReplyRequest, Route, Task, ToolCall,
    agent, done, fork, orchestrator, replies, request, serve, to,
)


@orchestrator
class Debate:
    def start(self, row: dict[str, Any], context: Context) -> Route:
        return fork([to("a"), to("b", {"turns": 1})], 1)

    def next(self, state: dict[str, int], result: Any, context: Context) -> Route:
        hop: Hop = context.history[-1]
        if state["turns"] == 5:
            return done(score=1.0, outcome={"last": hop["role"]})
        return to("con" if context.role == "pro" else "pro", {"turns": state["turns"] + 1})


@agent
def solve(task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    return {"answer": task["row"]["question"].upper(), "hop": task["hop"]}


@agent(threads=4)
async def slow(task: Task) -> str:
    return task["id"]


@request
def ask(task: PromptTask, settings: dict[str, Any]) -> ModelRequest:
    call: ToolCall = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said: Message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"messages": [{"role": "user", "content": task["row"]["question"]}, said]}


@replies
def say(request: ReplyRequest) -> str:
    return str(request["messages"][-1].get("content"))


assert Debate().next({"turns": 5}, None, Context(role="pro", history=[]))
assert solve({"row": {}}, {})  # a task lacks the rest
wrong: int = to("a")
serve(solve)
`;

test(
  "pyright takes the library at its strictest, and finds exactly what is wrong in its use",
  () =>
    withFolder(async (folder) => {
      const library = join(folder, "wheel/matrix_agent");
      await mkdir(library, { recursive: true });
      await copyFile(join(ROOT, "sandboxes/matrix_agent.py"), join(library, "__init__.py"));
      await writeFile(join(library, "py.typed"), "");
      await writeFile(join(folder, "use.py"), USE);
      const config = {
        ...{ include: ["wheel", "use.py"], extraPaths: ["wheel"] },
        ...{ typeCheckingMode: "strict", pythonVersion: "3.9" },
      };
      await writeFile(join(folder, "pyrightconfig.json"), JSON.stringify(config));
      const pyright = join(ROOT, "node_modules/pyright/index.js");
      const child = Bun.spawnSync([process.execPath, pyright, "--outputjson", "-p", folder]);
      const { generalDiagnostics: found } = JSON.parse(child.stdout.toString());
      const lineOf = (text: string) => USE.split("\n").findIndex((line) => line.startsWith(text));
      expect(
        found.map(({ rule, range }: { rule: string; range: { start: { line: number } } }) => [
          ...[rule, range.start.line],
        ]),
      ).toEqual([
        ["reportArgumentType", lineOf("assert solve(")],
        ["reportAssignmentType", lineOf("wrong: int")],
      ]);
    }),
  120_000,
);
