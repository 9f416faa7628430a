// Where a key stands in a TOML file. Parsed again with positions, and only when a problem has to be shown.

import { type AST, parseTOML } from "toml-eslint-parser";

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** Positions of every key in a file and of its value, by dotted path; list elements by index. */
export function positionsOf(text: string): ReadonlyMap<string, { readonly key: Position; readonly value: Position }> {
  const positions = new Map<string, { key: Position; value: Position }>();
  const note = (path: string, key: AST.TOMLNode, value: AST.TOMLNode): void => {
    positions.set(path, { key: startOf(key), value: startOf(value) });
  };
  const visitValue = (value: AST.TOMLContentNode, path: string): void => {
    if (value.type === "TOMLInlineTable") for (const pair of value.body) visitPair(pair, path);
    if (value.type !== "TOMLArray") return;
    value.elements.forEach((element, index) => {
      note(`${path}.${index}`, element, element);
      visitValue(element, `${path}.${index}`);
    });
  };
  const visitPair = (pair: AST.TOMLKeyValue, prefix: string): void => {
    let path = prefix;
    for (const part of pair.key.keys) {
      path = join(path, part.type === "TOMLBare" ? part.name : part.value);
      // `a.b = 1` also says where `a` stands, unless a header said it before.
      if (!positions.has(path)) note(path, part, part);
    }
    note(path, pair.key.keys.at(-1) ?? pair.key, pair.value);
    visitValue(pair.value, path);
  };
  for (const node of parseTOML(text).body[0].body) {
    if (node.type === "TOMLKeyValue") {
      visitPair(node, "");
      continue;
    }
    const path = node.resolvedKey.join(".");
    for (let depth = 1; depth <= node.resolvedKey.length; depth++) {
      const part = node.resolvedKey.slice(0, depth).join(".");
      if (depth === node.resolvedKey.length || !positions.has(part)) note(part, node.key, node.key);
    }
    for (const pair of node.body) visitPair(pair, path);
  }
  return positions;
}

function join(prefix: string, key: string): string {
  return prefix === "" ? key : `${prefix}.${key}`;
}

function startOf(node: AST.TOMLNode): Position {
  return { line: node.loc.start.line, column: node.loc.start.column + 1 };
}
