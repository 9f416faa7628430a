// Takes the place of files.js under Deno, as deno.json says. Deno has one content for each address:
// a module that was imported as text could not be loaded as code.

import { readFileSync } from "node:fs";

const TOP = new URL("../../../", import.meta.url);
const list = readFileSync(new URL("./files.js", import.meta.url), "utf8");

export const FILES = mapOf("FILES");
export const TEMPLATES = mapOf("TEMPLATES");

/** The files that a map of files.js lists. */
function mapOf(name: string): ReadonlyMap<string, string> {
  const [, entries = ""] = list.split(`export const ${name} = new Map([\n`);
  const paths = (entries.split("\n]);")[0] ?? "").matchAll(/^ {2}\["([^"]+)",/gm);
  return new Map(
    [...paths].map(([, path = ""]) => [path, readFileSync(new URL(path, TOP), "utf8")]),
  );
}
