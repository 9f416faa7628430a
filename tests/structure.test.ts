// The house rules that a machine can hold: imports go down the layers, no cycles, one owner for each third-party package.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const SRC = resolve(import.meta.dir, "../src");

/** From the top; what shares a line must not import each other. Files at the root of src are named by themselves. */
const LAYERS: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli"],
  ["run", "sdk.ts"],
  ["driver", "host", "export"],
  ["records", "peer", "agent"],
  ["model", "sandbox", "dataset", "orchestrator"],
  ["http", "recipe", "telemetry"],
  ["task"],
  ["error.ts", "platform.ts", "random-id.ts", "process.ts", "version.ts"],
];

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".ts"),
);
const imports = new Map(files.map((file) => [file, importsOf(file)]));

/** Every specifier, `import type`, re-exports and `import()` included. */
function importsOf(file: string): readonly string[] {
  const source = readFileSync(join(SRC, file), "utf8").replace(/^\s*\/\/.*$/gm, "");
  const found = source.matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^;"'`]*?from\s+"([^"]+)"|(?:^|\n)\s*import\s+"([^"]+)"|\bimport\("([^"]+)"\)/g,
  );
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

function targetsOf(file: string): readonly string[] {
  return (imports.get(file) ?? [])
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => relative(SRC, resolve(SRC, dirname(file), specifier)))
    .filter((target) => !target.startsWith(".."));
}

const folderOf = (file: string) => file.split("/")[0] ?? "";
const layerOf = (file: string) => LAYERS.findIndex((layer) => layer.includes(folderOf(file)));

describe("the house", () => {
  test("has a layer for every folder and file of src", () => {
    expect(files.filter((file) => layerOf(file) === -1)).toEqual([]);
  });

  test("imports only downwards, types included", () => {
    const wrong = files.flatMap((file) =>
      targetsOf(file)
        .filter((target) => folderOf(target) !== folderOf(file) && layerOf(target) <= layerOf(file))
        .map((target) => `${file} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test("has no import cycles", () => {
    const cycles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(" → "));
      if (done.has(file) || path.includes(file)) return;
      for (const target of targetsOf(file)) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  test("imports each third-party package in the one file or folder that owns it", () => {
    // Commander belongs to the command line, and the schema library to the borders where data enters.
    const shared: Readonly<Record<string, RegExp>> = {
      dockerode: /^sandbox\/docker\//,
      commander: /^cli\//,
      hono: /^(model\/server|http\/(peer|metrics)-server)\.ts$/,
      valibot:
        /^(recipe\/((\w+-)?schema|validate|difference)|peer\/control|agent\/exec|records\/(manifest|check-record|driver-file))\.ts$/,
      "yocto-queue": /^(host\/role|model\/(limit|endpoint\/waiting-line))\.ts$/,
      "fastest-levenshtein": /^(recipe\/complaint|dataset\/files)\.ts$/,
    };
    const owners = new Map<string, string[]>();
    for (const [file, specifiers] of imports) {
      for (const specifier of specifiers) {
        if (specifier.startsWith(".") || specifier.startsWith("node:")) continue;
        const name = specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/");
        if (shared[name]?.test(file)) continue;
        owners.set(name, [...new Set([...(owners.get(name) ?? []), file])]);
      }
    }
    expect([...owners].filter(([, files]) => files.length > 1)).toEqual([]);
  });

  test("keeps Bun and Deno out of everything but the platform file", () => {
    const wrong = files.filter(
      (file) =>
        file !== "platform.ts" &&
        /\b(?:Bun|Deno)\.\w|from "bun/.test(readFileSync(join(SRC, file), "utf8")),
    );
    expect(wrong).toEqual([]);
  });

  test("begins every file with what it is", () => {
    expect(
      files.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(readFileSync(join(SRC, file), "utf8"))),
    ).toEqual([]);
  });
});
