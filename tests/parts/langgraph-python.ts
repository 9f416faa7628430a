// The interpreter that has LangGraph for Python. Run scripts/python-env to make it.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./repository.ts";

const path = join(ROOT, ".tools/langgraph/bin/python");

/** Null where it is missing, which must not be so in continuous integration. */
export const langgraphPython = existsSync(path) ? path : null;

if (langgraphPython === null) {
  if (process.env["CI"] === "true") throw new Error("scripts/python-env has not run");
  console.warn("skipped: graphs in Python, because scripts/python-env has not run");
}
