// Colours for code, as data.

import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import shell from "highlight.js/lib/languages/shell";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";
import { element, type TextNode } from "./kit.ts";

const languages = {
  ...{ bash, c, cpp, css, diff, go, ini, java, javascript, json, python, rust, shell, sql },
  ...{ typescript, xml, yaml },
};
const lowlight = createLowlight(languages);
/** Characters of code that is coloured. Longer code stays plain. */
const CHARS_MAX = 50_000;

type Tree = ReturnType<typeof lowlight.highlight>["children"][number];

export function highlight(code: string, language: string): readonly TextNode[] {
  const name = language.toLowerCase();
  if (code.length > CHARS_MAX || !lowlight.registered(name)) return [code];
  return lowlight.highlight(name, code).children.flatMap(nodeOf);
}

function nodeOf(tree: Tree): readonly TextNode[] {
  if (tree.type === "text") return [tree.value];
  if (tree.type !== "element") return [];
  const classes = tree.properties["className"];
  const className = Array.isArray(classes) ? classes.join(" ") : "";
  return [element("span", tree.children.flatMap(nodeOf), { className })];
}
