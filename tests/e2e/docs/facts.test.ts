// Tables of the documentation that state what the program has, held against the program itself.

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "smol-toml";
import { ERROR_CODES } from "../../../src/error.ts";
import { STOP_REASONS } from "../../../src/task/task.ts";
import { createMetrics } from "../../../src/telemetry/metrics.ts";
import { ATTRIBUTE } from "../../../src/telemetry/names.ts";
import { RECORDED_METRICS } from "../../../src/telemetry/recorded-metrics.ts";
import { Recorder } from "../../../src/telemetry/recorder.ts";
import { matrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { CORAL, ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { headingsOf, readPage, readPages, spansOf, tableUnder } from "./page.ts";

const names = (cell = "") => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string);
/** The code spans in the first column of a table. */
const column = (path: string, heading: string) =>
  tableUnder(readPage(path), heading).flatMap(([first]) => names(first));
const sorted = (values: Iterable<string>) => [...new Set(values)].sort();

test("troubleshooting.md explains every error code, and only those", () => {
  const explained = headingsOf(readPage("docs/troubleshooting.md"), 3).filter((heading) =>
    /^[a-z]+(_[a-z]+)*$/.test(heading),
  );
  expect(sorted(explained)).toEqual(sorted(ERROR_CODES));
});

test("troubleshooting.md quotes messages that the program prints", () => {
  const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(ROOT, "src", name), "utf8"));
  const [, symptoms = ""] = readPage("docs/troubleshooting.md").prose.split("without a code\n");
  const quoted = headingsOf({ ...readPage("docs/troubleshooting.md"), prose: symptoms }, 3)
    .filter((heading) => /^[a-z…]/.test(heading))
    .map((heading) => heading.split("…").map((piece) => piece.trim()));
  const unknown = quoted.filter(
    (pieces) => !sources.some((source) => pieces.every((piece) => source.includes(piece))),
  );
  expect(unknown).toEqual([]);
  expect(quoted.length).toBeGreaterThan(0);
});

test("files.md lists every stop reason, and only those", () => {
  expect(sorted(column("docs/files.md", "Stop reasons"))).toEqual(sorted(STOP_REASONS));
});

test("files.md lists every field of a record and of a hop", () =>
  withFolder(async (folder) => {
    await matrix(["drive", CORAL, "--limit", "1", "-o", folder]);
    const [record] = await readRecords(folder);
    const listed = column("docs/files.md", "Records");
    expect(sorted(listed)).toEqual(sorted(Object.keys(record ?? {})));
    const hops = new Set(record?.history.flatMap((hop) => Object.keys(hop)));
    const hopTable = readPage("docs/files.md").prose.split("A hop has these fields:")[1] ?? "";
    expect(names(hopTable.split("\n\n")[1])).toEqual(expect.arrayContaining([...hops]));
  }));

test("commands.md lists every command with every flag, and only those", async () => {
  const flags = await flagsOfCommands();
  const documented = Object.fromEntries(
    tableUnder(readPage("docs/commands.md"), "Flags").map(([command, listed]) => [
      names(command)[0],
      sorted(names(listed)),
    ]),
  );
  expect(documented).toEqual(Object.fromEntries(flags));
  const described = column("docs/commands.md", "Commands").map((span) =>
    span.replace(/^matrix /, "").replace(/ (?:[A-Z[-]|key=).*$/, ""),
  );
  expect(sorted(described)).toEqual(sorted(flags.keys()));
});

test("every command and flag that the documentation writes exists", async () => {
  const flags = await flagsOfCommands();
  // Pages also name the flags of the project's own programs.
  const all = new Set([...flags.values()].flat().concat(flagsOfScripts()));
  const problems = readPages().flatMap((page) => {
    const commands = page.blocks
      .filter(({ language }) => language === "sh")
      .flatMap(({ text }) => text.replace(/\\\n/g, " ").replace(/ #.*/g, "").split("\n"));
    return [...commands, ...spansOf(page)].flatMap((line) => {
      const [, written] = /(?:^|\s)(?:dist\/)?matrix ((?:[a-z]+ ?)+)/.exec(line) ?? [];
      const words = written?.trim().split(" ") ?? [];
      const command = [words.slice(0, 2).join(" "), words[0] ?? ""].find((name) => flags.has(name));
      if (written !== undefined && command === undefined)
        return words[0] === "sandbox" || words[0] === "model" ? [] : [`${page.path}: ${line}`];
      const known =
        command === undefined ? all : new Set([...(flags.get(command) ?? []), "--help"]);
      const isOurs = written !== undefined || /^--[a-z-]+/.test(line);
      const wrong = [...line.matchAll(/(?:^|\s)(--[a-z][a-z-]*)/g)].filter(
        ([, flag = ""]) => isOurs && !known.has(flag) && flag !== "--help",
      );
      return wrong.map(([, flag]) => `${page.path}: ${flag} in ${line}`);
    });
  });
  expect(problems).toEqual([]);
});

function flagsOfScripts(): readonly string[] {
  return readdirSync(join(ROOT, "scripts"), { recursive: true, encoding: "utf8" })
    .filter((name) => /^(?:[a-z]+|mutation\/options\.ts)$/.test(name))
    .filter((name) => !["benches", "generators", "mutation", "packages"].includes(name))
    .map((name) => readFileSync(join(ROOT, "scripts", name), "utf8"))
    .flatMap((text) => text.match(/--[a-z][a-z-]+/g) ?? []);
}

/** Commands that do something by themselves, although they have further ones. */
const ALSO_ALONE = ["recipes"];

let flagsFound: Promise<ReadonlyMap<string, readonly string[]>> | null = null;

function flagsOfCommands(): Promise<ReadonlyMap<string, readonly string[]>> {
  flagsFound ??= findFlags();
  return flagsFound;
}

async function findFlags(): Promise<ReadonlyMap<string, readonly string[]>> {
  const commands = await commandsIn([]);
  const nested = await Promise.all(
    commands.map(async (name) => {
      const below = await commandsIn([name]);
      const nested = below.map((other) => `${name} ${other}`);
      return below.length === 0 || ALSO_ALONE.includes(name) ? [name, ...nested] : nested;
    }),
  );
  const found = await Promise.all(
    nested.flat().map(async (name) => {
      const { stdout } = await matrix([...name.split(" "), "--help"]);
      const flags = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(
        (match) => match[1] as string,
      );
      return [name, sorted(flags.filter((flag) => flag !== "--help"))] as const;
    }),
  );
  return new Map(found.sort(([a], [b]) => a.localeCompare(b)));
}

async function commandsIn(path: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await matrix([...path, "--help"]);
  const [, list = ""] = stdout.split("\nCommands:\n");
  return [...list.matchAll(/^ {2}([a-z]+) /gm)]
    .map((match) => match[1] as string)
    .filter((name) => name !== "help");
}

test("seeing.md lists every metric, and only those", async () => {
  const source = { run: "r", host: "h", version: "1" };
  const recorder = new Recorder();
  for (const [name, { kind }] of Object.entries(RECORDED_METRICS))
    recorder[kind](name as keyof typeof RECORDED_METRICS, {});
  const metrics = await createMetrics({}, source, () => EVERYTHING, recorder);
  let rendered = "";
  // The lag of the event loop shows when a timer has fired.
  await until(async () => {
    rendered = await metrics.render();
    return rendered.includes("event_loop_lag");
  }, "the lag of the event loop is measured");
  await metrics.close();
  const emitted = [...rendered.matchAll(/^# TYPE (\w+)/gm)].map((match) => match[1] as string);
  expect(sorted(column("docs/seeing.md", "Metric names"))).toEqual(
    sorted(emitted.filter((name) => name !== "target_info")),
  );
});

/** One observation with a number of each kind. */
const EVERYTHING: ReturnType<Parameters<typeof createMetrics>[2]> = {
  roles: [{ name: "a", busy: 1, queued: 1, slots: 1 }],
  broker: { held: 1, sent: 1, parked: 1, redelivered: 1, duplicates: 1, refused: 1, poisoned: 1 },
  refusedRequests: { stranger: 1 },
  tasks: { inFlight: 1, ok: 1, failed: 1, lost: 1, expected: 4 },
  models: [
    {
      model: "m",
      waiting: 1,
      replicas: [{ replica: "r", isUp: true, inFlight: 1, window: 1 }],
    },
  ],
  spent: { prompt_tokens: 1, completion_tokens: 1, cost: 1.5 },
};

test("seeing.md lists every attribute of spans, and only those", () => {
  expect(sorted(column("docs/seeing.md", "Span attributes"))).toEqual(
    sorted(Object.values(ATTRIBUTE)),
  );
});

test("dependencies.md gives a reason for every dependency, and only for those", () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const given = (heading: string) => column("docs/dependencies.md", heading);
  const carried = [...given("In the binary"), ...given("In the web page")];
  expect(sorted(carried)).toEqual(sorted(Object.keys(manifest.dependencies)));
  expect(sorted(given("For development"))).toEqual(sorted(Object.keys(manifest.devDependencies)));
});

test("shipped.md lists every recipe that ships, and shows the orchestrator of Coral", () => {
  const shipped = readdirSync(join(ROOT, "recipes")).filter((name) => name.endsWith(".toml"));
  expect(sorted(column("docs/shipped.md", "Recipes that ship"))).toEqual(sorted(shipped));
  const shown = readPage("docs/shipped.md").blocks.find(({ language }) => language === "toml");
  const recipe = parse(readFileSync(CORAL, "utf8"));
  expect(parse(shown?.text ?? "")["orchestrator"]).toEqual(recipe["orchestrator"]);
});

test("recipes/README.md lists every recipe that ships", () => {
  const shipped = readdirSync(join(ROOT, "recipes")).filter((name) => name.endsWith(".toml"));
  expect(sorted(column("recipes/README.md", "Recipes"))).toEqual(sorted(shipped));
});

test("performance.md lists every bench", () => {
  const benches = readdirSync(join(ROOT, "scripts/benches")).filter((name) => name.endsWith(".ts"));
  const listed = column("docs/performance.md", "Every bench");
  expect(sorted(listed)).toEqual(sorted(benches.map((name) => name.replace(".ts", ""))));
});

test("decisions/index.md lists every decision, and each is under 40 lines", () => {
  const { prose } = readPage("docs/decisions/index.md");
  const pages = readPages().filter(({ path }) => /^docs\/decisions\/(?!index)/.test(path));
  for (const { path } of pages) {
    expect(prose).toContain(`(${path.replace("docs/decisions/", "")})`);
    expect(readFileSync(join(ROOT, path), "utf8").split("\n").length).toBeLessThan(40);
  }
});

test("scripts/quickstart runs the recipe, checks the accounting and prints one dialogue", () =>
  withFolder(async (folder) => {
    const script = join(ROOT, "scripts/quickstart");
    const child = Bun.spawn([script, join(folder, "run")], { stdout: "pipe", stderr: "inherit" });
    const [code, stdout] = await Promise.all([child.exited, new Response(child.stdout).text()]);
    expect(code).toBe(0);
    expect(stdout).toContain("expected 40 = ok 40 + failed 0 + lost 0");
    expect(stdout).toContain("verified: every row and trial has exactly one record");
    expect(stdout).toMatch(/^student · .* tokens$/m);
  }));

test("the README fits into 120 lines", () => {
  expect(readFileSync(join(ROOT, "README.md"), "utf8").split("\n").length).toBeLessThanOrEqual(121);
});

test("the light and the dark picture differ in nothing but colours", () => {
  const [light, dark] = ["light", "dark"].map((name) =>
    readFileSync(join(ROOT, `docs/public/task-${name}.svg`), "utf8").replace(/#[0-9a-f]{6}/g, "#"),
  );
  expect(light).toBe(dark as string);
});

test("architecture.md shows the layers that the structure test holds", () => {
  const source = readFileSync(join(ROOT, "tests/structure.test.ts"), "utf8");
  const [, list = ""] = /const LAYERS[^=]*= (\[[\s\S]*?\n\]);/.exec(source) ?? [];
  const held = JSON.parse(list.replace(/,(\s*\])/g, "$1")) as string[][];
  const shown = tableUnder(readPage("docs/architecture.md"), "Layers");
  expect(shown.map(([, folders]) => names(folders))).toEqual(held);
});

test("docs/index.md links every page of the site", () => {
  const { prose } = readPage("docs/index.md");
  const missing = readPages()
    .map(({ path }) => path)
    .filter((path) => /^docs\/(?!index\.md$)(?:[^/]+|decisions\/index\.md)$/.test(path))
    .filter((path) => !prose.includes(`(${path.replace("docs/", "")})`));
  expect(missing).toEqual([]);
});

test("every page is in the sidebar of the site", () => {
  const config = readFileSync(join(ROOT, "docs/.vitepress/config.ts"), "utf8");
  const missing = readPages()
    .map(({ path }) => path)
    .filter((path) => path.startsWith("docs/") && !path.startsWith("docs/decisions/"))
    .map((path) => path.replace(/^docs/, "").replace(/(index)?\.md$/, ""))
    .filter((link) => !config.includes(`link: "${link}"`));
  expect(missing).toEqual([]);
});
