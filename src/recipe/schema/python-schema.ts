// [python]: the interpreters that run the rule of a recipe when it is a Python file.

import * as v from "valibot";
import { described, duration, positive } from "./value-schema.ts";

export const python = v.strictObject({
  command: v.optional(
    described(
      v.pipe(v.array(v.string()), v.minLength(1, "at least the program"), v.title("list of text")),
      "The interpreter and its arguments: of a virtual environment, of conda, or through uv. It " +
        "starts where the program was started.",
      [".venv/bin/python"],
    ),
    ["python3"],
  ),
  processes: v.optional(
    described(positive, "The most interpreters of each process that runs the rule.", 4),
    2,
  ),
  timeout: v.optional(
    described(
      duration,
      "The time within which the rule must decide. A task whose rule takes longer fails.",
      "5s",
    ),
    "30s",
  ),
});
