// A small recipe for tests of a run: a student with a simulated model, and a grader in code.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plan } from "../../src/run/plan.ts";
import { prepare } from "../../src/run/prepare.ts";

const RECIPE = `
name = "small"

[dataset]
path = "rows.jsonl"

[models.m]
kind = "simulated"
latency = "1ms"
tokens_per_second = 1000000

[roles.student]
agent = "llm"
model = "m"
prompt = { text = "What is {{ row.question }}?" }

[roles.grader]
agent = "grade.ts"

[orchestrator]
pattern = "sequence"
roles = ["student", "grader"]
`;

/** The grader gives full marks to even rows. */
const GRADE = `export default ({ row }) => ({ score: row.n % 2 === 0 ? 1 : 0 });\n`;

export interface SmallRun {
  readonly rows?: number;
  /** The recipe, if it is another one. */
  readonly recipe?: string;
  /** Files beside the recipe, by name. */
  readonly files?: Readonly<Record<string, string>>;
  readonly overrides?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Writes the files of a small run. Returns the path of its recipe. */
export async function writeSmallRun(folder: string, small: SmallRun = {}): Promise<string> {
  const { rows = 4, recipe = RECIPE, files = {} } = small;
  await mkdir(folder, { recursive: true });
  const row = (n: number) => JSON.stringify({ n, question: `${n} + ${n}` });
  const all = {
    "recipe.toml": recipe,
    "grade.ts": GRADE,
    "rows.jsonl": Array.from({ length: rows }, (_, n) => `${row(n)}\n`).join(""),
    ...files,
  };
  for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text);
  return join(folder, "recipe.toml");
}

/** Writes the files and checks the recipe. */
export async function prepareSmallRun(folder: string, small: SmallRun = {}): Promise<Plan> {
  const path = await writeSmallRun(folder, small);
  const { overrides = [], env = {} } = small;
  return prepare(path, { overrides, env, cwd: folder });
}
