// [roles.NAME]: the agent that does a role's steps, and what it reads.

import * as v from "valibot";
import { interpreter } from "./python-schema.ts";
import { requestFields } from "./request-schema.ts";
import {
  count,
  described,
  duration,
  expression,
  flag,
  path,
  positive,
  roles,
  settings,
  template,
  text,
} from "./value-schema.ts";

/** Agents that are part of matrix. Every other agent is a file. */
export const BUILT_IN_AGENTS: readonly string[] = ["llm", "exec", "language", "process"];

export const roleSchema = v.strictObject({
  agent: described(
    v.pipe(v.string(), v.nonEmpty(), v.title("agent")),
    "What does the step: `llm`, `exec`, `language`, `process`, or the path of a module or of a " +
      "program.",
    "llm",
  ),
  sandbox: v.optional(
    described(
      v.pipe(v.string(), v.title("sandbox")),
      "The sandbox in which the agent runs, one of `[sandboxes]`. Unset, it runs without one.",
      "box",
    ),
  ),
  command: v.optional(
    described(
      v.pipe(v.array(text), v.minLength(1, "a program and its arguments")),
      "How a program is started. Its file is in the variable `MATRIX_AGENT`. Unset, the " +
        "ending of the file decides: `.py`, `.mjs`, `.js` or `.sh`.",
      ["python3", "score.py"],
    ),
  ),
  python: v.optional(
    described(
      interpreter,
      "The interpreter of this role's Python file, and its arguments. Unset, `python.command`; in " +
        "a container, its `python3`.",
      [".venv-numpy/bin/python"],
    ),
  ),
  files: v.optional(
    described(
      v.pipe(v.array(path), v.title("list of paths")),
      "Files and folders that the agent needs beside its own file and the modules that this file " +
        "imports. A program in a sandbox sees no others.",
      ["lexicon.json", "rules"],
    ),
    [],
  ),
  processes: v.optional(
    described(
      positive,
      "Programs of this role on each host, for a program without a sandbox. Unset, 1.",
      4,
    ),
  ),
  history: v.optional(
    described(
      flag,
      "Sends a program the whole history of the task. When false, it is sent the last result only.",
      true,
    ),
    true,
  ),
  with: v.optional(
    described(settings, "Settings that the agent reads, as it defines them.", { any: "settings" }),
    {},
  ),
  model: v.optional(
    described(
      v.pipe(v.string(), v.title("model")),
      "The model of an `llm` role, one of `[models]`.",
      "served",
    ),
  ),
  system: v.optional(described(template, "The template of the system message.", "system.md")),
  prompt: v.optional(
    described(template, "The template of the first user message.", {
      text: "{{ row.question }}",
    }),
  ),
  conversation: v.optional(
    described(
      roles,
      "The roles whose results follow the prompt as messages: the role's own as assistant, those " +
        "of others as user, tool results as tool. Unset, a speaker of a dialogue sees all " +
        "speakers, the speaker of a tool loop sees itself and its tools, and other roles of a " +
        "pattern see none. Unset under a module or a graph, a role sees its own results, the " +
        "tool results that answer its calls, and what other roles handed back to it.",
      ["speaker", "critic"],
    ),
  ),
  request: v.optional(
    described(
      path,
      "A module or a Python file that writes the messages and tools that the model is sent. It " +
        "takes the place of `system`, `prompt`, `conversation` and `tools`.",
      "request.ts",
    ),
  ),
  sampling: v.optional(
    described(
      requestFields,
      "Fields that are sent to the endpoint as they are, such as `temperature`, `top_p`, " +
        "`max_tokens` and `stop`.",
      { temperature: 0.8, max_tokens: 512 },
    ),
    {},
  ),
  tools: v.optional(
    described(path, "A JSON file with a list of tools in the OpenAI shape.", "tools.json"),
  ),
  attachments: v.optional(
    described(
      v.pipe(v.array(expression), v.minLength(1, "at least one expression")),
      "Expressions over `row` that give images and audio for the prompt: a path, the URL of an " +
        "image, or base64.",
      ["row.image"],
    ),
  ),
  attachment_folder: v.optional(
    described(
      path,
      "The folder below which the paths of attachments lie. No path may lead out of it.",
      "images",
    ),
  ),
  schema: v.optional(
    described(
      v.pipe(
        v.union([path, settings], "a path, or the schema as a table"),
        v.title("path, or table"),
      ),
      "The JSON schema of the answer. An answer that does not fit is asked for once more. " +
        "The checked value is kept as `parsed`.",
      "answer.schema.json",
    ),
  ),
  accepts: v.optional(
    described(
      v.array(v.picklist(["refused", "content_filtered", "cut", "malformed"])),
      "Reasons for a missing answer with which the task goes on. Other reasons end it. " +
        "`malformed` is an empty message, when every try gave one, and a tool call without a name.",
      ["cut"],
    ),
    [],
  ),
  concurrency: v.optional(
    described(
      positive,
      "Steps of this role at once, on each host. Unset, 1,000, or `run.concurrency` when that is " +
        "more.",
      1000,
    ),
    1000,
  ),
  timeout: v.optional(described(duration, "The time for one try of a step.", "15m"), "15m"),
  retries: v.optional(
    described(
      count,
      "How often a step is tried again when the code, the program or the command of this role " +
        "failed or took too long. An `llm` role has the `retries` of its model instead.",
      2,
    ),
    0,
  ),
});
