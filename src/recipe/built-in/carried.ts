// The recipes, templates and sandboxes that the binary carries. They are loaded when they are
// needed.

/** Under Deno the name leads to files-on-disk.ts, and otherwise to files.js. */
export function carried(): Promise<typeof import("./files.js")> {
  return import("#built-in");
}
