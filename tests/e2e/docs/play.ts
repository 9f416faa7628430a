// Plays a page's blocks in their order, in one folder: writes its files, checks its recipes, runs
// its commands. docs/contributing.md says how an author marks a block.

import { mkdir, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { parse } from "smol-toml";
import { BINARY } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import type { Block, Page } from "./page.ts";

/** Languages whose blocks only show or store text. */
const PLAIN = ["text", "md", "jinja", "csv", "diff", "dockerfile"];
const MARKS = [
  "skip",
  "needs",
  "file",
  "over",
  "later",
  "exit",
  "background",
  "ready",
  "parallel",
  "output",
];
const COMMAND_TIMEOUT_MS = 60_000;

interface Background {
  readonly block: Block;
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly output: { text: string };
}

/** The state of a page after the blocks that have run so far. */
interface Scene {
  readonly folder: string;
  readonly env: Record<string, string>;
  /** Replaces every port that the page names by one that is free, the same one throughout. */
  readonly withFreePorts: (text: string) => string;
  readonly background: Background[];
  /** Output of the last command block, both streams. */
  last: string;
}

export function play(page: Page): Promise<void> {
  return withFolder(async (folder) => {
    for (const name of ["recipes", "sandboxes", "scripts", "dist"])
      await symlink(join(ROOT, name), join(folder, name));
    const scene: Scene = {
      folder,
      env: environment(),
      withFreePorts: await freePorts(page),
      background: [],
      last: "",
    };
    try {
      for (const block of page.blocks) {
        await playBlock(block, scene).catch((thrown) => {
          throw new Error(
            `${block.page}:${block.line}: ${thrown instanceof Error ? thrown.message : thrown}`,
          );
        });
      }
    } finally {
      await Promise.all(scene.background.map(end));
    }
  });
}

async function playBlock(block: Block, scene: Scene): Promise<void> {
  for (const mark of block.marks.keys())
    if (!MARKS.includes(mark)) throw new Error(`"${mark}" is not a mark`);
  const reason = block.marks.get("skip");
  if (reason === "") throw new Error('skip needs a reason: skip="why it does not run here"');
  if (reason !== undefined) return;
  const missing = block.marks
    .get("needs")
    ?.split(",")
    .find((tool) => !isThere(tool));
  if (missing !== undefined) {
    console.log(`skipped: ${block.page}:${block.line} needs ${missing}`);
    return;
  }
  const text = scene.withFreePorts(block.text);
  const file = block.marks.get("file");
  if (file !== undefined) await write(join(scene.folder, file), text);
  if (block.language === "sh") await playCommands(block, text, scene);
  else if (block.language === "toml") await playRecipe(block, text, scene);
  else if (block.marks.has("output")) expectLines(text, scene.last);
  else parseText(block, text);
}

async function playCommands(block: Block, text: string, scene: Scene): Promise<void> {
  if (block.marks.has("background")) return startBackground(block, text, scene);
  const scripts = block.marks.has("parallel") ? commandsOf(text) : [text];
  const outputs = await Promise.all(
    scripts.map(async (script) => {
      const child = shell(script, scene);
      const timer = setTimeout(() => killGroup(child.pid, "SIGKILL"), COMMAND_TIMEOUT_MS);
      const [code, stdout, stderr] = await Promise.all([
        child.exited,
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      clearTimeout(timer);
      const wanted = Number(block.marks.get("exit") ?? 0);
      if (code !== wanted)
        throw new Error(`exit ${code} in place of ${wanted}\n${script}\n${stdout}${stderr}`);
      return stdout + stderr;
    }),
  );
  scene.last = outputs.join("");
}

/** The commands of a block: lines that end with a backslash go on. */
function commandsOf(text: string): readonly string[] {
  return text
    .replace(/\\\n/g, " ")
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
}

async function startBackground(block: Block, text: string, scene: Scene): Promise<void> {
  const child = shell(text, scene);
  const output = { text: "" };
  for (const stream of [child.stdout, child.stderr]) void collect(stream, output);
  scene.background.push({ block, child, output });
  const ready = block.marks.get("ready");
  if (ready === undefined) return;
  await until(
    () => output.text.includes(ready) || child.exitCode !== null,
    `"${ready}" is printed`,
  );
  if (!output.text.includes(ready))
    throw new Error(`it ended before it printed "${ready}":\n${output.text}`);
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  output: { text: string },
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) output.text += decoder.decode(chunk, { stream: true });
}

/** Ends a command in the background. One that ended before by itself must have succeeded. */
async function end({ block, child, output }: Background): Promise<void> {
  const code = child.exitCode;
  killGroup(child.pid, "SIGTERM");
  await Promise.race([child.exited, new Promise((resolve) => setTimeout(resolve, 5_000))]);
  killGroup(child.pid, "SIGKILL");
  if (code !== null && code !== 0)
    throw new Error(`${block.page}:${block.line}: exit ${code}\n${output.text}`);
}

function shell(script: string, { folder, env }: Scene): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  return Bun.spawn(["bash", "-euo", "pipefail", "-c", script], {
    cwd: folder,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

/** Without what would change how the commands behave, and with `matrix` on the path. */
function environment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(MATRIX_|OTEL_|HF_)/.test(name),
  ) as [string, string][];
  return { ...Object.fromEntries(kept), PATH: `${dirname(BINARY)}:${process.env["PATH"]}` };
}

/** A recipe must pass `matrix check`; with `over=FILE` it is laid over that recipe first. */
async function playRecipe(block: Block, text: string, scene: Scene): Promise<void> {
  parse(text);
  const over = block.marks.get("over");
  const name = block.marks.get("file") ?? (over === undefined ? "recipe.toml" : "overlay.toml");
  await write(
    join(scene.folder, name),
    over === undefined ? text : `extends = ${JSON.stringify(over)}\n${text}`,
  );
  if (block.marks.has("later")) return;
  const child = Bun.spawnSync([BINARY, "check", name], { cwd: scene.folder, env: scene.env });
  const wanted = Number(block.marks.get("exit") ?? 0);
  scene.last = `${child.stdout}${child.stderr}`;
  if (child.exitCode !== wanted)
    throw new Error(`matrix check ends with ${child.exitCode}:\n${scene.last}`);
}

/** Lines of the page must be lines of the output, in this order; "…" stands for anything. */
function expectLines(shown: string, output: string): void {
  const lines = output.split("\n").map((line) => line.trim());
  let at = 0;
  for (const line of shown.split("\n").map((each) => each.trim())) {
    if (line === "" || line === "…") continue;
    const pattern = new RegExp(`^${line.split("…").map(RegExp.escape).join(".*")}$`);
    const found = lines.findIndex((each, index) => index >= at && pattern.test(each));
    if (found === -1) throw new Error(`the output has no line "${line}" in its place:\n${output}`);
    at = found + 1;
  }
}

function parseText(block: Block, text: string): void {
  if (block.language === "json") JSON.parse(text);
  else if (block.language === "jsonl") for (const line of text.trim().split("\n")) JSON.parse(line);
  else if (block.language === "yaml") Bun.YAML.parse(text);
  else if (block.language === "ts" || block.language === "js")
    new Bun.Transpiler({ loader: block.language }).transformSync(text);
  else if (block.language === "python") parsePython(text);
  else if (!PLAIN.includes(block.language))
    throw new Error(`there is no check for the language "${block.language}"`);
}

function parsePython(text: string): void {
  if (!isThere("python3")) return;
  const child = Bun.spawnSync(["python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())"], {
    stdin: Buffer.from(text),
  });
  if (child.exitCode !== 0) throw new Error(`Python does not read it:\n${child.stderr}`);
}

const TRIALS: Readonly<Record<string, readonly string[]>> = {
  docker: ["docker", "info"],
  apptainer: ["apptainer", "--version"],
};
const found = new Map<string, boolean>();

/** A tool is there when it answers. */
function isThere(tool: string): boolean {
  const known = found.get(tool);
  if (known !== undefined) return known;
  const [command = tool, ...args] = TRIALS[tool] ?? [tool, "--version"];
  const answers =
    Bun.which(command) !== null &&
    Bun.spawnSync([command, ...args], { stdout: "ignore", stderr: "ignore" }).exitCode === 0;
  found.set(tool, answers);
  return answers;
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

const ADDRESS = /\b(localhost|127\.0\.0\.1|0\.0\.0\.0):(\d{4,5})\b/g;

/** The ports are held at once while they are chosen, so that no two are the same. */
async function freePorts(page: Page): Promise<(text: string) => string> {
  const named = new Set(
    page.blocks.flatMap(({ text }) =>
      [...text.matchAll(ADDRESS)].map((match) => match[2] as string),
    ),
  );
  const servers = await Promise.all(
    [...named].map(async (port) => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const address = server.address();
      return {
        port,
        server,
        free: typeof address === "object" && address !== null ? String(address.port) : port,
      };
    }),
  );
  for (const { server } of servers) await new Promise((resolve) => server.close(resolve));
  const free = new Map(servers.map(({ port, free }) => [port, free]));
  return (text) =>
    text.replace(ADDRESS, (_, host: string, port: string) => `${host}:${free.get(port) ?? port}`);
}
