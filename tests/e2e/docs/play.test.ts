// The program that plays pages notices when a page is wrong.

import { expect, test } from "bun:test";
import { parsePage } from "./page.ts";
import { play } from "./play.ts";

const RECIPE = `name = "mine"
dataset.path = "rows.jsonl"
models.m.kind = "simulated"
roles.solver = { agent = "llm", model = "m", prompt = { text = "{{ row.question }}" } }
orchestrator = { pattern = "sequence", roles = ["solver"] }
`;
const ROWS = '```jsonl file=rows.jsonl\n{"question":"why?"}\n```\n';

const played = (text: string) => play(parsePage("page.md", text));
const block = (info: string, text: string) => `\`\`\`${info}\n${text}\n\`\`\`\n`;

test("a page whose files, recipe, command and output agree passes", () =>
  played(
    ROWS +
      block("toml", RECIPE) +
      block("toml over=recipe.toml", "run.trials = 2") +
      block("sh", "matrix drive recipe.toml") +
      block("text output", "expected 1 = ok 1 + failed … + lost 0"),
  ));

test("a recipe with an unknown key fails its page, with the line of the block", async () => {
  await expect(played(ROWS + block("toml", `${RECIPE}[run]\nconcurency = 5`))).rejects.toThrow(
    /^page\.md:4: .*unknown key "concurency"/s,
  );
});

test("a command with another exit code than the page states fails the page", async () => {
  await expect(played(block("sh exit=3", "exit 2"))).rejects.toThrow(
    "page.md:1: exit 2 in place of 3",
  );
});

test("a line that the command does not print fails the page", async () => {
  await expect(
    played(block("sh", "echo one two") + block("text output", "one three")),
  ).rejects.toThrow('no line "one three"');
});

test("a block without a language, with an unknown mark, or skipped without a reason fails", async () => {
  await expect(played(block("", "x"))).rejects.toThrow("no check for the language");
  await expect(played(block("sh soon", "true"))).rejects.toThrow('"soon" is not a mark');
  await expect(played(block("sh skip", "true"))).rejects.toThrow("skip needs a reason");
});

test("a command in the background serves the blocks below it on the port that the page names", () =>
  played(
    block('sh background ready="http://"', "matrix model serve --listen 127.0.0.1:8000") +
      block("sh", "curl -sf http://localhost:8000/v1/models"),
  ));

test("commands marked parallel run at the same time", () =>
  played(
    block(
      "sh parallel",
      "until [ -e b ]; do sleep 0.01; done; touch a\ntouch b; until [ -e a ]; do sleep 0.01; done",
    ),
  ));
