// Mutation operators that Stryker does not have: numbers, removed statements, plain ternaries and
// rounding. They run beside Stryker's own inside its instrumenter.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { babel } from "@stryker-mutator/instrumenter";

type Path = babel.NodePath;
type Node = Path["node"];

interface Operator {
  readonly name: string;
  mutate(path: Path): Iterable<Node>;
}

/** A unit that is easily taken for another one: 1000 and 1024 bytes, 60 seconds and 1000 ms. */
const UNITS: ReadonlyMap<number, number> = new Map([
  [1000, 1024],
  [1024, 1000],
  [1_000_000, 1_048_576],
  [1_048_576, 1_000_000],
  [60, 100],
  [3600, 60],
  [60_000, 1000],
  [3_600_000, 60_000],
]);

/** Larger numbers are tuning values: off by one makes no difference that a test should notice. */
const COUNT_MAX = 32;

const ROUNDING: ReadonlyMap<string, string> = new Map([
  ["floor", "ceil"],
  ["ceil", "floor"],
  ["round", "floor"],
  ["trunc", "ceil"],
]);

/**
 * Numbers in constants such as `4 * 2 ** 20`, noted when the traversal enters the whole of it:
 * later the instrumenter has put switches between a number and its neighbours.
 */
const tuning = new WeakSet<Node>();

const numericLiteral: Operator = {
  name: "NumericLiteral",
  *mutate({ node, parent }) {
    if (node.type === "BinaryExpression" && isConstant(node)) noteNumbers(node);
    if (node.type !== "NumericLiteral" || tuning.has(node)) return;
    if (parent?.type === "TSLiteralType") return;
    if (parent?.type === "ObjectProperty" && parent.key === node) return;
    // A time or a size, such as `const TIMEOUT_MS = 60_000`.
    if (parent?.type === "VariableDeclarator" && node.value > COUNT_MAX) return;
    const mutated = mutateNumber(node.value);
    if (mutated !== null) yield numberNode(mutated);
  },
};

function isConstant(node: Node): boolean {
  if (node.type === "NumericLiteral") return true;
  return node.type === "BinaryExpression" && isConstant(node.left) && isConstant(node.right);
}

function noteNumbers(node: Node): void {
  if (node.type === "NumericLiteral") tuning.add(node);
  if (node.type !== "BinaryExpression") return;
  noteNumbers(node.left);
  noteNumbers(node.right);
}

export function mutateNumber(value: number): number | null {
  const unit = UNITS.get(value);
  if (unit !== undefined) return unit;
  if (value === 1) return 0;
  if (Number.isInteger(value)) return value <= COUNT_MAX ? value + 1 : null;
  return value < 1 ? 1 - value : value + 1;
}

const statementRemoval: Operator = {
  name: "StatementRemoval",
  *mutate({ node }) {
    if (node.type !== "ExpressionStatement") return;
    const { expression } = node;
    const removable =
      (expression.type === "AssignmentExpression" && expression.operator === "=") ||
      (expression.type === "AwaitExpression" && expression.argument.type === "CallExpression");
    if (removable) yield { type: "EmptyStatement" } as Node;
  },
};

/** Stryker mutates the condition of a ternary only where it is a comparison. */
const ternaryCondition: Operator = {
  name: "TernaryCondition",
  *mutate({ node, parent }) {
    if (parent?.type !== "ConditionalExpression" || parent.test !== node) return;
    if (node.type === "BinaryExpression" || node.type === "LogicalExpression") return;
    yield { type: "BooleanLiteral", value: true } as Node;
    yield { type: "BooleanLiteral", value: false } as Node;
  },
};

const rounding: Operator = {
  name: "Rounding",
  *mutate({ node }) {
    if (node.type !== "CallExpression" || node.callee.type !== "MemberExpression") return;
    const { object, property } = node.callee;
    if (object.type !== "Identifier" || object.name !== "Math") return;
    if (property.type !== "Identifier") return;
    const other = ROUNDING.get(property.name);
    if (other === undefined) return;
    const replacement = structuredClone({ ...node, leadingComments: null });
    Object.assign(replacement.callee, { property: { type: "Identifier", name: other } });
    yield replacement;
  },
};

const OPERATORS: readonly Operator[] = [
  numericLiteral,
  statementRemoval,
  ternaryCondition,
  rounding,
];

function numberNode(value: number): Node {
  return { type: "NumericLiteral", value } as Node;
}

/**
 * Adds the operators to those of the instrumenter. Its list is not part of its exports; the pinned
 * version keeps it in this file.
 */
export async function addOperators(): Promise<void> {
  const entry = fileURLToPath(import.meta.resolve("@stryker-mutator/instrumenter"));
  const path = join(dirname(entry), "mutators/mutate.js");
  const { allMutators } = (await import(path)) as { allMutators: Operator[] };
  for (const operator of OPERATORS) {
    if (!allMutators.some(({ name }) => name === operator.name)) allMutators.push(operator);
  }
}
