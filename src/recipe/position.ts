// The line and column of each key in a TOML file. The parser of recipes gives no positions, so a
// file is parsed a second time, and only when a problem has to be shown.

import { type AST, ParseError, parseTOML } from "toml-eslint-parser";
import { joinKey } from "./key-path.ts";

export interface Position {
  /** From 1, as editors count. */
  readonly line: number;
  /** From 1, as editors count. */
  readonly column: number;
}

export type Positions = ReadonlyMap<string, { readonly key: Position; readonly value: Position }>;

/**
 * Positions of every key in a file and of its value, by key path. An element of a list has its
 * index as the last part. The map is empty when the text does not parse.
 */
export function positionsOf(text: string): Positions {
  try {
    return visit(parseTOML(text, { tomlVersion: "latest" }).body[0].body);
  } catch (thrown) {
    if (thrown instanceof ParseError) return new Map();
    throw thrown;
  }
}

function visit(body: readonly (AST.TOMLKeyValue | AST.TOMLTable)[]): Positions {
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
      path = joinKey(path, part.type === "TOMLBare" ? part.name : part.value);
      // `a.b = 1` also gives `a` a position, unless a header did so before.
      if (!positions.has(path)) note(path, part, part);
    }
    note(path, pair.key.keys.at(-1) ?? pair.key, pair.value);
    visitValue(pair.value, path);
  };
  for (const node of body) {
    if (node.type === "TOMLKeyValue") {
      visitPair(node, "");
      continue;
    }
    let path = "";
    for (const [index, part] of node.resolvedKey.entries()) {
      path = joinKey(path, String(part));
      if (index === node.resolvedKey.length - 1 || !positions.has(path))
        note(path, node.key, node.key);
    }
    for (const pair of node.body) visitPair(pair, path);
  }
  return positions;
}

function startOf(node: AST.TOMLNode): Position {
  return { line: node.loc.start.line, column: node.loc.start.column + 1 };
}
