// Commands that print text of models, datasets and recipes on a terminal.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";

/** It turns the reading direction, has no width, and clears the screen. */
const EVIL = "x\u202ey\u200bz\u009b2Jw";
const ESCAPED = "x\\u202ey\\u200bz\\u009b2Jw";

const RECIPE = `
name = "evil"
dataset.path = "rows.jsonl"
dataset.id = "id"
models.m.kind = "simulated"
roles.r = { agent = "llm", model = "m", prompt = { text = "{{ row.q }}" } }
orchestrator = { pattern = "sequence", roles = ["r"] }
`;

test("no command that shows a row or an error hands its control characters on", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "recipe.toml"), RECIPE);
    await writeFile(
      join(folder, "rows.jsonl"),
      `${JSON.stringify({ id: EVIL, q: EVIL, [EVIL]: EVIL })}\n`,
    );
    const run = (...args: readonly string[]) => matrix(args, { cwd: folder });
    const said = [
      await run("check", "recipe.toml"),
      await run("check", "recipe.toml", "--json"),
      await run("drive", "recipe.toml", "-o", "out"),
      await run("drive", "recipe.toml", "-o", "dry", "--dry-run"),
      await run("show", "out"),
      await run("show", "out", EVIL, "--trial", "7"),
      await run("report", "out"),
      await run("report", "out", "--json"),
      await run("verify", "out"),
      await run("check", `${EVIL}.toml`),
      await run("export", "out", "--to", EVIL, "-o", "x"),
    ];
    const all = said.map(({ stdout, stderr }) => stdout + stderr);
    expect(all.filter((text) => /[\u202e\u200b\u009b]/.test(text))).toEqual([]);
    for (const shown of [all[0], all[4], all[5], all[9]]) expect(shown).toContain(ESCAPED);
  }));
