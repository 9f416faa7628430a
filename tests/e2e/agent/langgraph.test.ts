// The agent of docs/agents.md: a graph of LangGraph for Python that calls models by itself, as one
// role, with the real package and a model server.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BINARY, matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { ROOT } from "../../parts/repository.ts";
import { readPage } from "../docs/page.ts";

const PYTHON = join(ROOT, ".tools/langgraph/bin/python");
const hasLangGraph = existsSync(PYTHON);
if (!hasLangGraph) console.log("skipped: no LangGraph for Python (scripts/python-env installs it)");

const blockOf = (file: string): string => {
  const block = readPage("docs/agents.md").blocks.find(({ marks }) => marks.get("file") === file);
  if (block === undefined) throw new Error(`docs/agents.md has no ${file}`);
  return block.text;
};

test.if(hasLangGraph)(
  "a graph of LangGraph that asks a model server by itself is one step of each task",
  () =>
    withFolder(async (folder) => {
      const questions = ["Why is the sky blue?", "What is a prime?", "Who was Ada?"];
      const files = {
        "rows.jsonl": questions.map((question) => JSON.stringify({ question })).join("\n"),
        "researcher.py": blockOf("researcher.py"),
        "researcher.toml": `name = "research"\ndataset.path = "rows.jsonl"\n${blockOf("researcher.toml")}`,
      };
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      const replies =
        "replies={ text = \"{{ 'better' if messages | length == 3 else 'first' }}: {{ messages[0].content }}\" }";
      const server = Bun.spawn([BINARY, "model", "serve", "--listen", "127.0.0.1:0", replies], {
        ...{ stdout: "pipe", stderr: "ignore" },
      });
      try {
        const { value } = await server.stdout.getReader().read();
        const env = {
          OPENAI_BASE_URL: new TextDecoder().decode(value).trim(),
          OPENAI_API_KEY: "none",
        };
        const python = `python={ command = ["${PYTHON}"], install = false }`;
        const run = await matrix(["drive", "researcher.toml", "-q", "-o", "run", python], {
          ...{ cwd: folder, env },
        });
        expect([run.code, run.stderr]).toEqual([0, ""]);
        const records = await readRecords(join(folder, "run"));
        const results = new Map(records.map(({ row, history }) => [row["question"], history]));
        for (const question of questions)
          expect(results.get(question)?.map(({ result }) => result)).toEqual([
            { content: `better: ${question}`, calls: 2, tokens: expect.any(Number) },
          ]);
      } finally {
        server.kill("SIGTERM");
        await server.exited;
      }
    }),
  120_000,
);
