// Names of the functions, classes and constants around a place in a source, so that a mutant can be
// named by them and not by its line.

import type { babel } from "@stryker-mutator/instrumenter";

export interface Scope {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

type Node = babel.NodePath["node"];

/** The name that a node gives to what is inside it; null for most nodes. */
export function nameOf(node: Node, parent: Node | undefined): string | null {
  switch (node.type) {
    case "FunctionDeclaration":
    case "ClassDeclaration":
      return node.id?.name ?? null;
    case "ClassMethod":
    case "ClassProperty":
    case "ObjectMethod":
    case "ObjectProperty":
      return isCallable(node) && node.key.type === "Identifier" ? node.key.name : null;
    case "ClassPrivateMethod":
    case "ClassPrivateProperty":
      return node.key.id.name;
    case "VariableDeclarator":
      if (node.id.type !== "Identifier" || !node.init) return null;
      return isFunction(node.init) || isTopLevel(parent) ? node.id.name : null;
    default:
      return null;
  }
}

function isCallable(node: Node): boolean {
  return !("value" in node) || (typeof node.value === "object" && isFunction(node.value));
}

function isFunction(node: unknown): boolean {
  const type = (node as Node | null)?.type;
  return type === "ArrowFunctionExpression" || type === "FunctionExpression";
}

/** Constants at the left margin; those of a function are named after the function alone. */
function isTopLevel(declaration: Node | undefined): boolean {
  return (
    declaration?.loc?.start.column === 0 || declaration?.loc?.start.column === "export ".length
  );
}

/** Names of the scopes around a node, the outermost first. */
export function enclosing(
  scopes: readonly Scope[],
  [start, end]: readonly [number, number],
): string[] {
  return scopes
    .filter((scope) => scope.start <= start && end <= scope.end)
    .sort((a, b) => a.start - b.start || b.end - a.end)
    .map(({ name }) => name)
    .filter((name, i, names) => name !== names[i - 1]);
}
