// The README keeps its word: its keys are the schema's, its tables the program's, its commands run.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";
import { ERROR_CODES } from "../../src/error.ts";
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
