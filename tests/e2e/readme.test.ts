// The README keeps its word: its keys are the schema's, its tables the program's, its commands run.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";
import { ERROR_CODES } from "../../src/error.ts";
import { FREE_KEYS, GROWING_KEYS } from "../../src/recipe/keys.ts";
import { STOP_REASONS } from "../../src/task/task.ts";
import { matrix } from "../parts/binary.ts";
import { withFolder } from "../parts/folder.ts";
import { CORAL, ROOT } from "../parts/repository.ts";

const README = readFileSync(join(ROOT, "README.md"), "utf8");
const RECIPES = readFileSync(join(ROOT, "recipes/README.md"), "utf8");
const section = (title: string, page = README) =>
  page.split(new RegExp(`^#+ ${title}$`, "m"))[1]?.split(/^## /m)[0] ?? "";
const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    (match) => match[1] as string,
  );

describe("the README", () => {
  test("lists every key that a recipe may have, and only those", () =>
    withFolder(async (folder) => {
      const reference = (blocks(section("Every key", RECIPES), "toml")[0] ?? "").replace(
        /^extends.*$/m,
        "",
      );
      await mkdir(join(folder, "data"), { recursive: true });
      await writeFile(
        join(folder, "data/a.jsonl.zst"),
        Bun.zstdCompressSync('{"key":1,"lang":"en","question":"q"}\n'),
      );
      const module = {
        "route.ts":
          'import { done, orchestrator, to } from "matrix";\nexport default orchestrator({ start: () => to("speaker"), next: () => done() });',
        "request.ts":
          'import { request } from "matrix";\nexport default request(() => ({ messages: [] }));',
        "replies.ts": 'export default () => "x";',
      };
      const files = {
        ...module,
        "solve.py": "",
        "gold.jsonl": "",
        "system.md": "s",
        "tools.json": "[]",
        "answer.schema.json": "{}",
        "recipe.toml": reference.replace('["speaker", "critic"]', '["speaker"]'),
      };
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      const { stdout, stderr } = await matrix(["check", "recipe.toml"], { cwd: folder });
      expect(stderr).toBe("");
      expect(stdout).toContain("nothing is wrong with it");

      // Every key that an error message would offer stands in the reference.
      const written = JSON.stringify(parse(reference));
      for (const path of [
        "run.x=1",
        "dataset.x=1",
        "models.served.x=1",
        "models.pretend.x=1",
        "models.script.x=1",
        "sandboxes.box.x=1",
        "roles.speaker.x=1",
      ]) {
        const { stderr } = await matrix(["check", "recipe.toml", path], { cwd: folder });
        for (const key of /allowed: ([^;\n]*)/.exec(stderr)?.[1]?.split(", ") ?? [
          "nothing was offered",
        ]) {
          expect(`${path}: ${written.includes(`"${key}":`) ? "listed" : "missing"} ${key}`).toBe(
            `${path}: listed ${key}`,
          );
        }
      }
    }));

  test("names every key that a continued run may change", () => {
    const said = RECIPES.slice(RECIPES.indexOf("A continued run may change"));
    for (const key of [...FREE_KEYS, ...GROWING_KEYS].map((pattern) =>
      pattern.replace(/\.\*$/, ""),
    )) {
      const word = key.startsWith("store.") ? "store" : key.split(".").at(-1);
      expect(said).toMatch(new RegExp(`\\b${word}\\b`));
    }
  });

  test("names every recipe that ships", () => {
    const shipped = readdirSync(join(ROOT, "recipes")).filter((name) => name.endsWith(".toml"));
    for (const name of shipped) expect(RECIPES).toContain(`\`${name}\``);
  });

  test("shows the recipe that ships", () => {
    const shown = parse(blocks(section("A recipe"), "toml")[0] ?? "") as Record<
      string,
      Record<string, unknown>
    >;
    const shipped = parse(readFileSync(CORAL, "utf8")) as Record<string, Record<string, unknown>>;
    expect(shown["orchestrator"]).toEqual(shipped["orchestrator"] as Record<string, unknown>);
    expect(Object.keys(shown["roles"] ?? {})).toEqual(Object.keys(shipped["roles"] ?? {}));
  });

  test("has modules that work as they are printed", () =>
    withFolder(async (folder) => {
      const [route = "", step = ""] = blocks(README, "ts");
      await writeFile(join(folder, "route.ts"), route);
      await writeFile(join(folder, "fetch.ts"), step);
      await writeFile(
        join(folder, "critic.ts"),
        'import { agent } from "matrix";\nexport default agent(({ history }) => ({ accepted: history.length > 2 }));',
      );
      await writeFile(join(folder, "d.jsonl"), '{"topic":"x"}\n');
      await writeFile(
        join(folder, "recipe.toml"),
        'name = "readme"\ndataset.path = "d.jsonl"\nmodels.m.kind = "simulated"\norchestrator.module = "route.ts"\nroles.critic.agent = "critic.ts"\n[roles.writer]\nagent = "llm"\nmodel = "m"\nprompt = { text = "Write about {{ row.topic }}." }\n[roles.fetcher]\nagent = "fetch.ts"\nwith = { unit = "m" }\n',
      );
      const { code, stdout } = await matrix(["drive", "recipe.toml"], { cwd: folder });
      expect(stdout).toContain("expected 1 = ok 1 + failed 0 + lost 0");
      expect(stdout).toContain("score: mean 1.000");
      expect(code).toBe(0);
    }));

  test("names every stop reason, error code of records, command, and dependency", async () => {
    for (const reason of STOP_REASONS)
      expect(section("Files of a run")).toContain(`| \`${reason}\` |`);
    const ofRecords = ERROR_CODES.slice(ERROR_CODES.indexOf("agent_failed"));
    for (const code of ofRecords) expect(section("Files of a run")).toContain(`\`${code}\``);
    const { stdout } = await matrix(["--help"]);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) /gm)]
      .map((match) => match[1] as string)
      .filter((name) => name !== "help");
    for (const command of commands) expect(section("Commands")).toContain(`| \`matrix ${command}`);
    const { dependencies, devDependencies } = JSON.parse(
      readFileSync(join(ROOT, "package.json"), "utf8"),
    );
    for (const name of Object.keys({ ...dependencies, ...devDependencies }))
      expect(section("Why each dependency")).toContain(`\`${name}\``);
  });

  test("names only files and scripts that are there", async () => {
    for (const [, path = ""] of README.matchAll(
      /(?:\.\/)?((?:scripts|recipes|tests|src)\/[\w./-]*\w)/g,
    )) {
      expect(`${path}: ${await Bun.file(join(ROOT, path)).exists()}`).toBe(`${path}: true`);
    }
  });
});
