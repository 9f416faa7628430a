// What the binary carries of recipes, templates and sandboxes. It is loaded when it is asked for.

/** Under Deno the name leads to files-on-disk.ts, and otherwise to files.js. */
export function carried(): Promise<typeof import("./files.js")> {
  return import("#built-in");
}
