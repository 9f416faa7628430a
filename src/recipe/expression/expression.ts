// Expressions in recipes are CEL (Common Expression Language, cel.dev): pure, without loops, and
// strict about missing keys. CEL has two kinds of numbers and JSON has one, so integers and
// fractions may be mixed here, as in JSON.

import { Environment } from "@marcbachmann/cel-js";
import { MatrixError, messageOf } from "../../error.ts";
import { ExactNumber } from "../../task/exact.ts";
import type { Json, JsonObject } from "../../task/json.ts";
import { addBounds, bound, inPlainNames, requireSize } from "./bounds.ts";

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
addBounds(environment);

/**
 * Fails with `recipe_invalid` when the text does not parse. The compiled expression fails with
 * `orchestrator_failed` when it cannot be evaluated.
 */
export function compileExpression(source: string): Expression {
  const budget = { turns: 0 };
  let evaluate: (variables: JsonObject) => unknown;
  try {
    const parsed = environment.parse(source);
    bound(environment, parsed.ast, budget);
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
  return inPlainNames(messageOf(cause).split("\n")[0] ?? "");
}

function toJson(value: unknown): Json {
  if (typeof value !== "bigint") return value as Json;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
