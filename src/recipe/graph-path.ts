// Where a graph comes from: "graph.ts#build" is the export `build` of graph.ts, "graph.ts" its default export.

export interface GraphPath {
  readonly module: string;
  readonly name: string;
}

export function parseGraphPath(text: string): GraphPath {
  const [, module = text, name = "default"] = /^(.*)#([\w$]+)$/.exec(text) ?? [];
  return { module, name };
}

/** The same export of the module elsewhere. */
export function moveGraphPath(text: string, module: string): string {
  const { name } = parseGraphPath(text);
  return name === "default" ? module : `${module}#${name}`;
}
