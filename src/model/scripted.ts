// The scripted model: it reads replies for each row from a file, to replay known solutions and to
// test what goes wrong. It keeps no count: the reply follows from the number of the role's earlier
// turns, so a task may continue in any process.

import { readFile } from "node:fs/promises";
import { MatrixError, messageOf, type Problem } from "../error.ts";
import { parseJson } from "../task/exact.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { ChatAnswer, ChatRequest } from "./contract.ts";
import { estimateUsage } from "./simulated.ts";

/** Replies by role, in order. */
type Replies = ReadonlyMap<string, readonly ChatAnswer["message"][]>;

/** Reading stops after this many wrong lines: the others are usually wrong in the same way. */
const PROBLEMS_MAX = 20;
const SHAPE =
  '{"id": "ROW", "replies": {"ROLE": ["text", {"content": …, "tool_calls": […]}]}}, ' +
  'with "trial" when it is for one trial only';

export class Script {
  readonly #path: string;
  readonly #rows = new Map<string, Replies>();

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Reads JSON lines, one for each row or each trial of a row. Fails with `recipe_invalid` and the
   * lines that are wrong.
   */
  static async read(path: string): Promise<Script> {
    const script = new Script(path);
    const problems: Problem[] = [];
    for (const [index, line] of (await readText(path)).split("\n").entries()) {
      if (line.trim() === "") continue;
      const problem = script.#add(line);
      if (problem !== null) problems.push({ file: path, line: index + 1, message: problem });
      if (problems.length === PROBLEMS_MAX) break;
    }
    if (problems.length === 0) return script;
    throw new MatrixError("recipe_invalid", `${path} is not a script`, {
      problems,
      hint: `a line is ${SHAPE}`,
    });
  }

  /** Fails with `model_refused_request` when the script has no such reply. */
  answer(request: ChatRequest): ChatAnswer {
    if (request.origin === null)
      throw new MatrixError(
        "model_refused_request",
        `${this.#path} has replies for the steps of roles only`,
      );
    const { row, trial, role, turn } = request.origin;
    const replies = this.#rows.get(keyOf(row, trial)) ?? this.#rows.get(keyOf(row, null));
    const message = replies?.get(role)?.[turn];
    if (message === undefined) {
      const found =
        replies === undefined ? "nothing" : `${replies.get(role)?.length ?? 0} replies of ${role}`;
      throw new MatrixError(
        "model_refused_request",
        `${this.#path} has ${found} for row ${row}, trial ${trial}; asked for reply ${turn + 1}`,
      );
    }
    return {
      message,
      finishReason: "tool_calls" in message ? "tool_calls" : "stop",
      usage: estimateUsage(request, message),
    };
  }

  /** Returns what is wrong with the line, or null when it is sound. */
  #add(line: string): string | null {
    let value: unknown;
    try {
      value = parseJson(line);
    } catch (cause) {
      return `it is not JSON: ${messageOf(cause)}`;
    }
    if (!isJsonObject(value)) return "it is not an object";
    const { id, trial = null, replies } = value;
    if (!(typeof id === "string" || typeof id === "number" || typeof id === "bigint"))
      return "it has no id of a row";
    if (trial !== null && typeof trial !== "number") return "trial is not a number";
    if (!isJsonObject(replies)) return "it has no replies by role";
    const key = keyOf(String(id), trial);
    if (this.#rows.has(key))
      return `row ${id}${trial === null ? "" : `, trial ${trial},`} is there twice`;
    const roles = new Map<string, readonly ChatAnswer["message"][]>();
    for (const [role, list] of Object.entries(replies)) {
      const messages = Array.isArray(list) ? list.map(messageFrom) : [null];
      const wrong = messages.indexOf(null);
      if (wrong !== -1)
        return `reply ${wrong + 1} of ${role} is neither text nor a message with text arguments`;
      roles.set(role, messages as ChatAnswer["message"][]);
    }
    this.#rows.set(key, roles);
    return null;
  }
}

function keyOf(row: string, trial: number | null): string {
  return JSON.stringify([row, trial]);
}

function messageFrom(reply: Json): ChatAnswer["message"] | null {
  if (typeof reply === "string") return { role: "assistant", content: reply };
  if (!isJsonObject(reply)) return null;
  const { content = null, tool_calls: calls } = reply;
  if (content !== null && typeof content !== "string") return null;
  if (calls !== undefined && !(Array.isArray(calls) && calls.length > 0 && calls.every(isCall)))
    return null;
  return { ...reply, role: "assistant", content };
}

function isCall(call: Json): boolean {
  const { id, function: called } = isJsonObject(call) ? call : ({} as JsonObject);
  return (
    typeof id === "string" &&
    isJsonObject(called) &&
    typeof called["name"] === "string" &&
    typeof called["arguments"] === "string"
  );
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
