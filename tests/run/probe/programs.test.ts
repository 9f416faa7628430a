// The programs of a recipe are started once before a run, and what does not start is a problem.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkPrograms } from "../../../src/run/probe/programs.ts";
import { runRecipe } from "../../../src/run/run-recipe.ts";
import { withFolder } from "../../parts/folder.ts";
import { prepareSmallRun } from "../small-run.ts";

const program = (script: string) => [
  'roles.grader.agent="process"',
  `roles.grader.command=${JSON.stringify(["/bin/sh", "-c", script])}`,
];

test("programs that start are no problem, nor is a recipe without programs", () =>
  withFolder(async (folder) => {
    await checkPrograms(await prepareSmallRun(folder));
    const overrides = program("cat > /dev/null");
    await checkPrograms(await prepareSmallRun(folder, { overrides }));
  }));

test("a program that does not start is a problem of its role", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { overrides: program("echo oh dear >&2; exit 4") });
    await expect(checkPrograms(plan)).rejects.toMatchObject({
      code: "recipe_invalid",
      message: "the programs: 1 problem",
      problems: [
        {
          key: "roles.grader",
          message:
            "/bin/sh -c echo oh dear >&2; exit 4 does not start: it ended with exit 4 " +
            "with these last words:\noh dear",
        },
      ],
    });
  }));

const PLAIN = 'sandboxes.named.engine="process"';
const BOX = 'sandboxes.named.image="alpine:3"';
const NAMED = 'roles.grader.sandbox="named"';
const COMMAND = 'roles.grader.command=["/bin/cat"]';
test.each([
  ["a program in a plain process", ["grader"], program("exit 0")],
  ["a program in plain processes of a name", ["grader"], [PLAIN, NAMED, COMMAND]],
  ["a program in a container", [], [BOX, NAMED, COMMAND]],
  ["an agent that runs commands", [], [PLAIN, 'roles.grader.agent="exec"', NAMED]],
  ["code in the program itself", [], []],
])("the check of %s starts the programs of %j", (_, expected, overrides) =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { overrides });
    const started: string[] = [];
    const agents = [...plan.agents].map(([name, agent]) => {
      const start = async () => void started.push(name);
      return [name, { ...agent, start }] as const;
    });
    await checkPrograms(plan.withAgents(new Map(agents)));
    expect(started).toEqual([...expected]);
  }),
);

test("a run whose program does not start is refused before its directory is made", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { overrides: program("exit 4") });
    const directory = join(folder, "run");
    await expect(runRecipe(plan, { directory })).rejects.toMatchObject({ code: "recipe_invalid" });
    expect(existsSync(directory)).toBe(false);
  }));
