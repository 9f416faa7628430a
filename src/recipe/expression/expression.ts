// Expressions in recipes are CEL (Common Expression Language, cel.dev): pure, without loops, and
// strict about missing keys. CEL has two kinds of numbers and JSON has one, so integers and
// fractions may be mixed here, as in JSON.

import { Environment } from "@marcbachmann/cel-js";
import { MatrixError, messageOf } from "../error.ts";
import { ExactNumber } from "../task/exact.ts";
import type { Json, JsonObject } from "../task/json.ts";
import { matchesPattern } from "../task/linear-pattern.ts";

/** Most turns of the loops of one evaluation (`map`, `filter`, `all`, `exists`). */
const TURNS_MAX = 1_000_000;
/** Most characters of a text, and most items of a list, that an expression makes. */
const CHARS_MAX = 64 * 2 ** 20;
const ITEMS_MAX = 10_000_000;
const DURATION_CHARS_MAX = 100;

export type Expression = (variables: JsonObject) => Json;

const environment = new Environment({
  unlistedVariablesAreDyn: true,
  homogeneousAggregateLiterals: false,
});
for (const operator of ["+", "-", "*", "/", "%"] as const) {
  const apply = arithmetic(operator);
  environment.registerOperator(`double ${operator} int`, (a: number, b: bigint) =>
    apply(a, Number(b)),
  );
  environment.registerOperator(`int ${operator} double`, (a: bigint, b: number) =>
    apply(Number(a), b),
  );
}
registerExactNumbers();

/**
 * Functions of the library that do not end, or not in this memory, for some texts. Calls of them go
 * to functions of another name, because the library does not let its own be replaced.
 */
const BOUNDED: ReadonlyMap<string, string> = new Map([
  ["matches", "matchesLinearly"],
  ["join", "joinBounded"],
]);
environment.registerFunction("string.matchesLinearly(string): bool", matchesLinearly);
environment.registerFunction("list.joinBounded(): string", joinBounded);
environment.registerFunction("list.joinBounded(string): string", joinBounded);

environment.registerFunction("shortText(string): string", shortText);

/**
 * Fails with `recipe_invalid` when the text does not parse. The compiled expression fails with
 * `orchestrator_failed` when it cannot be evaluated.
 */
export function compileExpression(source: string): Expression {
  const budget = { turns: 0 };
  let evaluate: (variables: JsonObject) => unknown;
  try {
    const parsed = environment.parse(source);
    bound(parsed.ast, budget);
    evaluate = parsed;
  } catch (cause) {
    throw new MatrixError("recipe_invalid", `the expression does not parse: ${firstLine(cause)}`, {
      cause,
    });
  }
  return (variables) => {
    budget.turns = 0;
    try {
      return toJson(requireSize(evaluate(variables)));
    } catch (cause) {
      throw new MatrixError(
        "orchestrator_failed",
        `the expression \`${source}\` fails: ${firstLine(cause)}`,
        { cause },
      );
    }
  };
}

/** A loop of the library: it asks `condition` before each turn, and gives `result` at its end. */
interface Loop {
  condition?: (accumulated: unknown) => boolean;
  result: (accumulated: unknown) => unknown;
}

/** Bounds what the expression below `node` can do. */
function bound(node: unknown, budget: { turns: number }, seen = new Set<unknown>()): void {
  if (typeof node !== "object" || node === null || seen.has(node)) return;
  seen.add(node);
  if (Array.isArray(node)) for (const part of node) bound(part, budget, seen);
  const { op, args, meta } = node as Partial<Node>;
  if (op === undefined) return;
  if (op === "rcall") args[0] = BOUNDED.get(args[0]) ?? args[0];
  // The library reads a duration in time that grows with the third power of its length.
  if (op === "call" && args[0] === "duration") args[1] = args[1].map(asShortText);
  if (op === "comprehension") {
    boundLoop(args, budget);
    for (const part of Object.values(args)) bound(part, budget, seen);
  }
  bound(args, budget, seen);
  bound(meta?.alternate, budget, seen);
}

/** A node of the library's tree. Each operation has another shape of `args`. */
interface Node {
  readonly op: string;
  // biome-ignore lint/suspicious/noExplicitAny: the types of the library leave its loops out
  readonly args: any;
  readonly meta: { readonly alternate?: unknown };
}

function boundLoop(loop: Loop, budget: { turns: number }): void {
  const { condition, result } = loop;
  loop.condition = (accumulated) => {
    budget.turns++;
    if (budget.turns > TURNS_MAX) throw new Error(`its loops take more than ${TURNS_MAX} turns`);
    requireLast(accumulated);
    return condition?.(accumulated) ?? true;
  };
  loop.result = (accumulated) => result(requireLast(accumulated));
}

/** The value, whose latest item is no larger than a value may be. */
function requireLast<T>(accumulated: T): T {
  if (Array.isArray(accumulated)) requireSize(accumulated.at(-1));
  return accumulated;
}

/** The value, which an expression has made. Fails when it is too large. */
function requireSize<T>(value: T): T {
  if (typeof value === "string" && value.length > CHARS_MAX)
    throw new Error(`it makes a text of more than ${CHARS_MAX} characters`);
  if (Array.isArray(value) && value.length > ITEMS_MAX)
    throw new Error(`it makes a list of more than ${ITEMS_MAX} items`);
  return value;
}

function matchesLinearly(text: string, pattern: string): boolean {
  try {
    return matchesPattern(text, pattern);
  } catch (cause) {
    throw new Error(`the regular expression ${pattern} is not valid (RE2): ${messageOf(cause)}`);
  }
}

/** The call `shortText(node)`. */
function asShortText(node: unknown): unknown {
  const call = environment.parse("shortText(text)").ast as unknown as { args: unknown[] };
  call.args[1] = [node];
  return call;
}

function shortText(text: string): string {
  if (text.length > DURATION_CHARS_MAX)
    throw new Error(`duration() takes a text of at most ${DURATION_CHARS_MAX} characters`);
  return text;
}

function joinBounded(items: readonly unknown[], separator = ""): string {
  let chars = separator.length * Math.max(0, items.length - 1);
  for (const item of items) {
    if (typeof item !== "string") throw new Error("join() takes a list of texts");
    chars += item.length;
  }
  if (chars > CHARS_MAX) throw new Error(`it makes a text of more than ${CHARS_MAX} characters`);
  return items.join(separator);
}

/** The keys of `variable` that an expression names, such as `judge` in `results.judge.score`. */
export function keysNamed(source: string, variable: string): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) {
      for (const child of node) visit(child);
      return;
    }
    if (typeof node !== "object" || node === null || !("op" in node) || !("args" in node)) return;
    const { op, args } = node;
    if ((op === "." || op === "[]") && Array.isArray(args)) {
      const [object, key] = args;
      const name = op === "[]" && key?.op === "value" ? key.args : key;
      if (object?.op === "id" && object.args === variable && typeof name === "string")
        found.add(name);
    }
    visit(args);
  };
  visit(environment.parse(source).ast);
  return found;
}

/**
 * A fraction with more digits than a double is computed with and ordered as the nearest double. It
 * equals no double.
 */
function registerExactNumbers(): void {
  environment.registerType("ExactNumber", ExactNumber);
  environment.registerFunction("double(ExactNumber): double", (a: ExactNumber) => Number(a));
  environment.registerFunction("string(ExactNumber): string", (a: ExactNumber) => String(a));
  environment.registerOperator("ExactNumber == ExactNumber", (a: ExactNumber, b: ExactNumber) =>
    Boolean(String(a) === String(b)),
  );
  type Side = ExactNumber | bigint | number;
  const sides = ["ExactNumber", "int", "double"];
  for (const [left, right] of sides.flatMap((side) => [
    ["ExactNumber", side],
    ...(side === "ExactNumber" ? [] : [[side, "ExactNumber"]]),
  ])) {
    for (const operator of ["+", "-", "*", "/", "%"] as const) {
      const apply = arithmetic(operator);
      environment.registerOperator(`${left} ${operator} ${right}: double`, (a: Side, b: Side) =>
        apply(Number(a), Number(b)),
      );
    }
    const order = { "<": isLess, ">": (a: Side, b: Side) => isLess(b, a) };
    for (const [operator, holds] of Object.entries(order)) {
      environment.registerOperator(`${left} ${operator} ${right}: bool`, holds);
      environment.registerOperator(
        `${left} ${operator}= ${right}: bool`,
        (a: Side, b: Side) => holds(a, b) || Number(a) === Number(b),
      );
    }
  }
}

function isLess(a: ExactNumber | bigint | number, b: ExactNumber | bigint | number): boolean {
  return Number(a) < Number(b);
}

function arithmetic(operator: "+" | "-" | "*" | "/" | "%"): (a: number, b: number) => number {
  switch (operator) {
    case "+":
      return (a, b) => a + b;
    case "-":
      return (a, b) => a - b;
    case "*":
      return (a, b) => a * b;
    case "/":
      return (a, b) => a / b;
    case "%":
      return (a, b) => a % b;
  }
}

/** The message without the library's further lines, which repeat the expression with a caret. */
function firstLine(cause: unknown): string {
  let line = messageOf(cause).split("\n")[0] ?? "";
  for (const [known, own] of BOUNDED) line = line.replaceAll(own, known);
  return line;
}

function toJson(value: unknown): Json {
  if (typeof value !== "bigint") return value as Json;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
