// The path of a graph: "graph.ts#build" is the export `build` of graph.ts, and "graph.ts" is its
// default export.

export interface GraphPath {
  readonly module: string;
  readonly name: string;
}

export function parseGraphPath(text: string): GraphPath {
  const [, module = text, name = "default"] = /^(.*)#([\w$]+)$/.exec(text) ?? [];
  return { module, name };
}

/** The path of the same export after the module has moved. */
export function moveGraphPath(text: string, module: string): string {
  const { name } = parseGraphPath(text);
  return name === "default" ? module : `${module}#${name}`;
}
