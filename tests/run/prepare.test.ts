// From a recipe file to a checked plan: every problem at once, each with its place.

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { MatrixError } from "../../src/error.ts";
import { NO_RUN } from "../../src/model/context.ts";
import { planStandIn } from "../../src/model/stand-in.ts";
import { prepare } from "../../src/run/prepare.ts";
import { withFolder } from "../parts/folder.ts";
import { keptLog } from "../parts/kept-log.ts";
import { prepareSmallRun, writeSmallRun } from "./small-run.ts";

/** The problems of a small recipe with these overrides and files, as `key: message`. */
async function problemsOf(
  folder: string,
  overrides: readonly string[],
  files: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const error = await prepareSmallRun(folder, { overrides, files }).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MatrixError)) throw error ?? new Error("the recipe has no problem");
  expect(error.code).toBe("recipe_invalid");
  return error.problems.map(
    ({ file, key, message }) => `${key ?? basename(file ?? "")}: ${message}`,
  );
}

test("a plan has the recipe, its models, its agents, its rule and the hashes of its files", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder, { overrides: ["run.max_hops=7"] });
    expect(plan.recipe.name).toBe("small");
    expect([...plan.models.keys()]).toEqual(["m"]);
    expect([...plan.agents.keys()]).toEqual(["student", "grader"]);
    expect(plan.rule.maxHops).toBe(7);
    expect([...plan.rule.roles]).toEqual(["student", "grader"]);
    expect(Object.keys(plan.hashes)).toEqual([join(folder, "grade.ts")]);
    expect(plan.hashes[join(folder, "grade.ts")]).toMatch(/^[0-9a-f]{64}$/);
  }));

test("the hash of a prompt is that of its bytes, and changes with them", () =>
  withFolder(async (folder) => {
    const path = join(folder, "prompt.md");
    const overrides = ["roles.student.prompt=prompt.md"];
    const files = { "prompt.md": "What is {{ row.question }}?" };
    const plan = await prepareSmallRun(folder, { overrides, files });
    const sha256 = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    expect(plan.hashes[path]).toBe(sha256);
    await writeFile(path, "Tell me: {{ row.question }}?");
    const changed = await prepare(join(folder, "recipe.toml"), { overrides, env: {}, cwd: folder });
    expect(changed.hashes[path]).not.toBe(sha256);
  }));

test("all problems of models, roles and rule are reported at once", () =>
  withFolder(async (folder) => {
    const problems = await problemsOf(
      folder,
      [
        "models.m.replies=broken.ts",
        "roles.grader.agent=bad.ts",
        'orchestrator={module="rule.ts"}',
        "run.budget.money=1",
      ],
      {
        "broken.ts": "export default 7;\n",
        "bad.ts": "export default 7;\n",
        "rule.ts": "throw new Error('no rule');\n",
      },
    );
    // The role of the broken model is not reported a second time.
    expect(problems.map((line) => line.split(": ")[0])).toEqual([
      "models.m",
      "roles.grader",
      "rule.ts",
      "models.m",
    ]);
    expect(problems[3]).toContain("run.budget.money needs the price of every model in use");
  }));

test("the error names the recipe and how many problems it has", () =>
  withFolder(async (folder) => {
    const path = await writeSmallRun(folder);
    const overrides = ["roles.grader.agent=none.ts"];
    await expect(prepare(path, { overrides, env: {}, cwd: folder })).rejects.toThrow(
      `${path}: 1 problem`,
    );
  }));

test("a rule that sends a task several ways at once needs delivery by retry", () =>
  withFolder(async (folder) => {
    const rule = 'orchestrator={pattern="fan-out", roles=["student"], after=["grader"]}';
    expect(await problemsOf(folder, [rule, 'run.delivery="at-most-once"'])).toEqual([
      'run.delivery: this orchestrator sends a task several ways at once, which needs delivery = "retry"',
    ]);
    await prepareSmallRun(folder, { overrides: [rule] });
    await prepareSmallRun(folder, { overrides: ['run.delivery="at-most-once"'] });
  }));

test("a plan is simulated when a role asks a simulated model, and not for a model without a role", () =>
  withFolder(async (folder) => {
    expect((await prepareSmallRun(folder)).simulated).toBe(true);
    const served = 'models.s={kind="openai", model="x", base_url="http://127.0.0.1:9/v1"}';
    const other = await prepareSmallRun(folder, { overrides: [served, "roles.student.model=s"] });
    expect(other.simulated).toBe(false);
  }));

test("a plan with other agents keeps everything else", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder);
    const agents = new Map([...plan.agents].slice(0, 1));
    const other = plan.withAgents(agents);
    expect(other.agents).toBe(agents);
    expect([other.loaded, other.models, other.rule, other.hashes]).toEqual([
      plan.loaded,
      plan.models,
      plan.rule,
      plan.hashes,
    ]);
    expect(plan.agents.size).toBe(2);
  }));

test("a plan opens agents for the roles that it is asked for alone", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder);
    const { log, lines } = keptLog();
    const { permits, spend, recorder } = NO_RUN;
    const live = await plan.open({
      ...{ host: "h", roles: ["grader", "unknown"], answers: null, log, permits, spend, recorder },
    });
    expect([...live.agents.keys()]).toEqual(["grader"]);
    expect([live.replicated, live.answers.journal, live.answers.cache]).toEqual([[], null, null]);
    await live.stop();
    expect(lines).toEqual([]);
  }));

test("a plan that is open lists the models that have replicas", () =>
  withFolder(async (folder) => {
    const served = 'models.m={kind="openai", model="x", base_url="http://127.0.0.1:9/v1"}';
    const plan = await prepareSmallRun(folder, { overrides: [served] });
    const { permits, spend, recorder } = NO_RUN;
    const { log } = keptLog();
    const live = await plan.open({
      ...{ host: "h", roles: ["student"], answers: null, log, permits, spend, recorder },
    });
    expect(live.replicated).toHaveLength(1);
    await live.stop();
  }));

test("models can be planned another way: a forecast has stand-ins", () =>
  withFolder(async (folder) => {
    const served = 'models.m={kind="openai", model="x", base_url="http://127.0.0.1:9/v1"}';
    const recipe = await writeSmallRun(folder);
    const overrides = [served];
    const plan = await prepare(recipe, { overrides, env: {}, cwd: folder, planModel: planStandIn });
    expect(plan.models.get("m")?.simulated).toBe(false);
    const asked: string[] = [];
    await prepare(recipe, {
      ...{ env: {}, cwd: folder },
      planModel: (name, config, loaders) => {
        asked.push(name);
        return planStandIn(name, config, loaders);
      },
    });
    expect(asked).toEqual(["m"]);
  }));
