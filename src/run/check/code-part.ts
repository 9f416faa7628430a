// The part of a check that runs code of the recipe. It happens in a process of its own, whose
// environment has no secrets (src/run/check/environment.ts): modules are imported there, the rule
// is made, and the first row goes as far as its first prompt. The process gets the row on stdin and
// writes its answer as the last line of stdout. What the code prints goes to stderr.

import { spawn } from "node:child_process";
import { text as readAll } from "node:stream/consumers";
import type { Problem } from "../../error.ts";
import type { ChatMessage } from "../../model/contract.ts";
import { hideFromOthers, ownCommand } from "../../platform.ts";
import { randomId } from "../../random-id.ts";
import type { LoadedRecipe } from "../../recipe/load.ts";
import { parseJson } from "../../task/exact.ts";
import { printable } from "../../task/printable.ts";
import { examine, type PrepareOptions } from "../prepare.ts";
import { type FirstRow, type Preview, previewRow } from "../preview.ts";
import { problemsOf } from "../recipe-problems.ts";

/** The variable by which the process knows its part. */
const PART = "MATRIX_CHECK_CODE";

interface Question {
  /** Begins the line of the answer, so that no print of the code is taken for it. */
  readonly mark: string;
  readonly path: string;
  readonly overrides: readonly string[];
  readonly cwd: string;
  readonly row: FirstRow | null;
  /** False when the recipe has problems that keep the row from its first role. */
  readonly isPreviewed: boolean;
}

interface Answer {
  readonly problems: readonly Problem[];
  readonly firstRole: string | null;
  readonly prompts: readonly (readonly [role: string, prompt: readonly ChatMessage[] | null])[];
}

export interface CodeChecked {
  readonly problems: readonly Problem[];
  readonly preview: Preview;
}

const NOTHING: Preview = { firstRole: null, prompts: new Map() };

/** Runs the part in a process with this environment. */
export async function checkCode(
  loaded: LoadedRecipe,
  asked: Omit<Question, "mark">,
  env: Readonly<Record<string, string>>,
): Promise<CodeChecked> {
  const mark = randomId(16);
  const { file, args } = ownCommand();
  // The code could read the environment of this process, which has the secrets, at /proc.
  const show = await hideFromOthers();
  const child = spawn(file, [...args, "check", asked.path], {
    cwd: asked.cwd,
    env: { ...env, [PART]: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify({ mark, ...asked } satisfies Question));
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const end = await new Promise<string>((resolve) => {
    child.once("error", ({ message }) => resolve(message));
    child.once("close", (code, signal) => resolve(signal ?? `exit ${code}`));
  });
  show?.();
  const text = Buffer.concat(chunks).toString("utf8");
  const at = text.lastIndexOf(`${mark} `);
  const printed = at === -1 ? text : text.slice(0, at);
  if (printed !== "") process.stderr.write(printable(printed));
  if (at === -1) {
    const message = `the recipe's code ended the process that loaded it (${end})`;
    return { problems: [loaded.problemAt("name", message)], preview: NOTHING };
  }
  const { problems, firstRole, prompts } = JSON.parse(text.slice(at + mark.length)) as Answer;
  return { problems, preview: { firstRole, prompts: new Map(prompts) } };
}

/** Tells whether this process is to do the part. */
export function isCodePart(env: PrepareOptions["env"]): boolean {
  return env[PART] === "1";
}

/** Does the part: reads the question on stdin, and returns the line to print. */
export async function answerCodePart(env: PrepareOptions["env"]): Promise<string> {
  const { mark, path, overrides, cwd, row, isPreviewed } = parseJson(
    await readAll(process.stdin),
  ) as Question;
  const { loaded, plan, problems } = await examine(path, { overrides, cwd, env });
  let preview = NOTHING;
  const found = [...problems];
  try {
    if (plan !== null && isPreviewed) preview = await previewRow(plan, row);
  } catch (thrown) {
    found.push(...problemsOf(thrown, "orchestrator", loaded));
  }
  const { firstRole, prompts } = preview;
  const answer: Answer = { problems: found, firstRole, prompts: [...prompts] };
  return `${mark} ${JSON.stringify(answer)}`;
}
