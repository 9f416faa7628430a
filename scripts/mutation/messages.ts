// Finds the text for people in a source. Mutants inside it are left out, because a test would only
// repeat the text.

import type { babel } from "@stryker-mutator/instrumenter";

type Node = babel.NodePath["node"];

/**
 * Keys of texts. A `message` may also be a task on the wire, so it counts only where it is a text.
 */
const TEXT_KEYS = new Set(["hint", "description", "help"]);
const TEXTS = new Set(["StringLiteral", "TemplateLiteral"]);

/** True for an error that is made, a text of an object, and a line for the log or a terminal. */
export function isMessage(node: Node): boolean {
  if (node.type === "NewExpression") {
    return node.callee.type === "Identifier" && node.callee.name.endsWith("Error");
  }
  if (node.type === "ObjectProperty") {
    if (node.key.type !== "Identifier") return false;
    return (
      TEXT_KEYS.has(node.key.name) || (node.key.name === "message" && TEXTS.has(node.value.type))
    );
  }
  const call = node.type === "ExpressionStatement" ? node.expression : node;
  if (call.type !== "CallExpression" || call.callee.type !== "MemberExpression") return false;
  const { object, property } = call.callee;
  const owner = nameAt(object.type === "MemberExpression" ? object.property : object);
  return owner === "console" || (owner === "log" && nameAt(property) === "write");
}

function nameAt(node: Node): string | null {
  if (node.type === "PrivateName") return node.id.name;
  return node.type === "Identifier" ? node.name : null;
}
