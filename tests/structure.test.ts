// The house rules that a machine can hold.

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { ROOT } from "./parts/repository.ts";

const SRC = join(ROOT, "src");
const COLUMNS_MAX = 100;
const FILES_OF_FOLDER_MAX = 24;

/**
 * Layers from the top. Names on one line must not import each other. Files in src/ itself are
 * named.
 */
const LAYERS: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli"],
  ["run"],
  ["driver", "host", "export", "view", "sdk.ts"],
  ["records", "peer", "agent"],
  ["model", "sandbox", "dataset", "orchestrator"],
  ["http", "recipe", "telemetry", "python"],
  ["task"],
  [
    "error.ts",
    "known-secrets.ts",
    "durable-file.ts",
    "platform.ts",
    "random-id.ts",
    "process.ts",
    "version.ts",
  ],
];

/** Packages that more than one file may import. */
const SHARED_PACKAGES: Readonly<Record<string, RegExp>> = {
  "@opentelemetry/api": /^telemetry\/(tracing|recorded-series)\.ts$/,
  "@opentelemetry/resources": /^telemetry\/(otlp|recorded-series)\.ts$/,
  "@opentelemetry/sdk-metrics": /^telemetry\/(otlp|metrics|recorded-series)\.ts$/,
  "@opentelemetry/sdk-trace-base": /^telemetry\/(otlp|tracing)\.ts$/,
  "apache-arrow": /^dataset\/arrow\//,
  hyparquet: /^dataset\/parquet\//,
  dockerode: /^sandbox\/docker\//,
  // The command line.
  commander: /^cli\//,
  hono: /^(model\/served\/server|http\/(peer|metrics)-server|view\/(app|guard|routes\/[\w-]+))\.ts$/,
  // The borders where data enters.
  valibot:
    /^(recipe\/(schema\/(\w+-)?schema|validate|difference)|task\/usage-schema|peer\/control|agent\/exec|records\/(manifest|check-record|driver-file|holder|annotations\/annotation)|view\/routes\/judging-routes)\.ts$/,
  // The web page.
  preact: /^view\/page\//,
  "@preact/signals": /^view\/page\//,
  "@tanstack/preact-table": /^view\/page\/records\//,
  "eventsource-parser": /^(model\/endpoint\/body|view\/page\/source\/http)\.ts$/,
  diff: /^(sandbox\/changes|view\/page)\//,
  "highlight.js": /^view\/page\/text\//,
  "markdown-it": /^view\/page\/text\//,
  "yocto-queue": /^(host\/role|model\/(limit|line))\.ts$/,
  "fastest-levenshtein": /^(recipe\/validate|dataset\/files)\.ts$/,
};

const filesBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));
const files = filesBelow(SRC);
const textOf = new Map(files.map((file) => [file, readFileSync(join(SRC, file), "utf8")]));
const imports = new Map(files.map((file) => [file, importsOf(textOf.get(file) ?? "")]));

/** All specifiers, of `import type`, re-exports and `import()` too. */
function importsOf(source: string): readonly string[] {
  const found = source
    .replace(/^\s*\/\/.*$/gm, "")
    .matchAll(
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

test("every folder and file of src has a layer", () => {
  expect(files.filter((file) => layerOf(file) === -1)).toEqual([]);
});

test("imports only go down the layers, imports of types included", () => {
  const wrong = files.flatMap((file) =>
    targetsOf(file)
      .filter((target) => folderOf(target) !== folderOf(file) && layerOf(target) <= layerOf(file))
      .map((target) => `${file} → ${target}`),
  );
  expect(wrong).toEqual([]);
});

test("there is no import cycle", () => {
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

test("each third-party package is imported in the one file or folder that owns it", () => {
  const owners = new Map<string, Set<string>>();
  for (const [file, specifiers] of imports) {
    for (const specifier of specifiers) {
      if (specifier.startsWith(".") || specifier.startsWith("node:")) continue;
      const words = specifier.split("/");
      const name = words.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
      if (SHARED_PACKAGES[name]?.test(file)) continue;
      owners.set(name, (owners.get(name) ?? new Set()).add(file));
    }
  }
  expect([...owners].filter(([, files]) => files.size > 1)).toEqual([]);
});

test("only the platform file knows Bun and Deno", () => {
  const knows = (file: string) => /\b(?:Bun|Deno)\.\w|from "bun/.test(textOf.get(file) ?? "");
  expect(files.filter((file) => file !== "platform.ts" && knows(file))).toEqual([]);
});

test("every file of src begins with a comment that says what it is", () => {
  const begins = (file: string) => /^(#!.*\n)?\/\/ \S/.test(textOf.get(file) ?? "");
  expect(files.filter((file) => !begins(file))).toEqual([]);
});

test("no file only passes on what other files export, but the one that users import", () => {
  const passesOn = (file: string) => /^export\b[^;]*?\bfrom "/m.test(textOf.get(file) ?? "");
  expect(files.filter((file) => file !== "sdk.ts" && passesOn(file))).toEqual([]);
});

test("no file is named for what is in every file", () => {
  const vague = /^(utils?|lib|helpers?|common|types|misc|index)\.ts$/;
  const all = ["src", "tests", "scripts"].flatMap((folder) => filesBelow(join(ROOT, folder)));
  expect(all.filter((file) => vague.test(basename(file)))).toEqual([]);
});

test(`no folder of src has more than ${FILES_OF_FOLDER_MAX} files`, () => {
  const counts = new Map<string, number>();
  for (const file of files) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  expect([...counts].filter(([, count]) => count > FILES_OF_FOLDER_MAX)).toEqual([]);
});

/** Lines of comments, of all sources, with their place. */
function commentLines(): ReturnType<typeof allLines> {
  return allLines().filter(([, line, inText]) => !inText && /^\s*(\/\/|\/\*|\*)/.test(line));
}

/** `inText` is true for a line that begins within a template literal. */
function allLines(): readonly (readonly [place: string, text: string, inText: boolean])[] {
  return ["src", "tests", "scripts"].flatMap((folder) =>
    filesBelow(join(ROOT, folder)).flatMap((file) => {
      let inText = false;
      const lines = readFileSync(join(ROOT, folder, file), "utf8").split("\n");
      return lines.map((line, index) => {
        const begins = inText;
        const isComment = !inText && /^\s*(\/\/|\/\*|\*)/.test(line);
        const marks = isComment ? 0 : (line.match(/(?<!\\)`/g)?.length ?? 0);
        if (marks % 2 === 1) inText = !inText;
        return [`${folder}/${file}:${index + 1}`, line, begins] as const;
      });
    }),
  );
}

test(`no line of a comment is longer than ${COLUMNS_MAX} columns, unless it is a link`, () => {
  const long = commentLines().filter(
    ([, line]) => line.length > COLUMNS_MAX && !/https?:\/\/\S{60,}/.test(line),
  );
  expect(long.map(([place]) => place)).toEqual([]);
});

// The formatter breaks every line that it can; it cannot break a literal.
test(`no line is longer than ${COLUMNS_MAX} columns, unless a literal makes it so`, () => {
  const literals = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`?|\/(?:[^/\\]|\\.)+\/[a-z]*/g;
  const long = allLines().filter(
    ([, line, inText]) =>
      !inText && line.length > COLUMNS_MAX && line.replaceAll(literals, "").length === line.length,
  );
  expect(long.map(([place]) => place)).toEqual([]);
});

test("no comment begins without its noun", () => {
  const bare = /^\s*(\/\/|\/\*\*?|\*)\s*(Of|Whether|Whoever)\s/;
  const starts = commentLines().filter(
    ([, line], index, lines) => bare.test(line) && isStart(line, lines[index - 1]?.[1]),
  );
  expect(starts.map(([place, line]) => `${place} ${line.trim()}`)).toEqual([]);
});

/** True for a line that begins a comment or follows the end of a sentence. */
function isStart(line: string, before: string | undefined): boolean {
  if (/^\s*\/\*\*/.test(line)) return true;
  return before === undefined || !/[a-z,;]$/.test(before.trim());
}

test("no unit test needs the binary or a piece of the end-to-end tests", () => {
  const units = filesBelow(join(ROOT, "tests")).filter((file) => !file.startsWith("e2e/"));
  const wrong = units.filter((file) =>
    importsOf(readFileSync(join(ROOT, "tests", file), "utf8")).some(
      (specifier) =>
        (specifier.endsWith("parts/binary.ts") || specifier.includes("e2e/")) &&
        !file.startsWith("parts/"),
    ),
  );
  expect(wrong).toEqual([]);
});
