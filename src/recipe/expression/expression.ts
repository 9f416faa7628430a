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
    if (Array.isArray(node)) node.forEach(visit);
    if (typeof node !== "object" || node === null || !("op" in node) || !("args" in node)) return;
    const [object, name] = accessIn(node) ?? [];
    if (name !== undefined && isVariable(object, variable)) found.add(name);
    visit(node.args);
  };
  visit(environment.parse(source).ast);
  return found;
}

/** A field of `result`, or of the result of a role: `results.judge.points`. */
export interface NamedField {
  /** Null for `result`. */
  readonly role: string | null;
  readonly field: string;
}

/** Every field of a result that an expression reads, each once. */
export function fieldsNamed(source: string): readonly NamedField[] {
  const found = new Map<string, NamedField>();
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit);
    if (typeof node !== "object" || node === null || !("op" in node) || !("args" in node)) return;
    const [object, field] = accessIn(node) ?? [];
    const [owner, role] = accessIn(object) ?? [];
    if (field !== undefined && isVariable(object, "result"))
      found.set(field, { role: null, field });
    if (field !== undefined && role !== undefined && isVariable(owner, "results"))
      found.set(`${role} ${field}`, { role, field });
    visit(node.args);
  };
  visit(environment.parse(source).ast);
  return [...found.values()];
}

/** The object and the name of `object.name` and of `object["name"]`. */
function accessIn(node: unknown): readonly [object: unknown, name: string] | null {
  if (typeof node !== "object" || node === null || !("op" in node) || !("args" in node))
    return null;
  const { op, args } = node;
  if ((op !== "." && op !== "[]") || !Array.isArray(args)) return null;
  const [object, key] = args;
  const name = op === "[]" && key?.op === "value" ? key.args : key;
  return typeof name === "string" ? [object, name] : null;
}

function isVariable(node: unknown, name: string): boolean {
  const { op, args } = (node ?? {}) as { readonly op?: unknown; readonly args?: unknown };
  return op === "id" && args === name;
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
