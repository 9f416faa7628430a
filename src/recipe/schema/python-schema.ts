// [python]: the interpreters that run the Python files of a recipe.

import * as v from "valibot";
import { described, duration, flag, positive } from "./value-schema.ts";

/** An interpreter and its arguments. */
export const interpreter = v.pipe(
  v.array(v.string()),
  v.minLength(1, "at least the program"),
  v.title("list of text"),
);

export const python = v.strictObject({
  command: v.optional(
    described(
      interpreter,
      "The interpreter of Python files outside a sandbox, and its arguments: of a virtual " +
        "environment, of conda, or through uv. A path begins in the folder of the recipe. It " +
        "starts where the program was started.",
      [".venv/bin/python"],
    ),
    ["python3"],
  ),
  processes: v.optional(
    described(
      positive,
      "The most interpreters of each process for the rule, and for each request and replies.",
      4,
    ),
    2,
  ),
  timeout: v.optional(
    described(
      duration,
      "The time within which a rule decides, and a request or a reply is written. A task that " +
        "takes longer fails.",
      "5s",
    ),
    "30s",
  ),
  install: v.optional(
    described(
      flag,
      "Lets uv install what a Python file states in its script metadata (PEP 723). The file then " +
        "runs in an environment of its own, in the cache of uv.",
      true,
    ),
    false,
  ),
});
