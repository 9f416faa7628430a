// Which runs can be replayed with which recipe.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { llmRolesOf } from "../../../src/run/replay/llm-roles.ts";
import { replayWork } from "../../../src/run/replay/replay-work.ts";
import { runRecipe } from "../../../src/run/run-recipe.ts";
import { withFolder } from "../../parts/folder.ts";
import { prepareSmallRun, type SmallRun } from "../small-run.ts";

const NO_WISH = { ask: [], from: null };

/** Plays a small run into `folder/run`, and prepares its replay with another recipe. */
async function replayed(
  folder: string,
  other: SmallRun,
  first: SmallRun = {},
  wish: { readonly ask: readonly string[]; readonly from: string | null } = NO_WISH,
) {
  const directory = join(folder, "run");
  await runRecipe(await prepareSmallRun(folder, { rows: 2, ...first }), { directory });
  const plan = await prepareSmallRun(folder, { rows: 2, ...first, ...other });
  const replay = directory;
  return replayWork(plan, {
    replay,
    directory: join(folder, "again"),
    checkpoint: undefined,
    ...wish,
  });
}

const RENAMED = [
  'roles.pupil={agent="llm", model="m", prompt={text="What is {{ row.question }}?"}}',
  'roles.student={agent="grade.ts"}',
  'orchestrator.roles=["pupil", "student", "grader"]',
];

test("a replay works on the records of the other run, with its trials, seed and rows", () =>
  withFolder(async (folder) => {
    const first = { overrides: ["run.trials=2", "run.seed=5"] };
    const { plan, rows } = await replayed(folder, { overrides: ["run.seed=6"] }, first);
    expect(rows).toMatchObject({
      ...{ expected: 4, trials: 2, seed: 5, simulated: true },
      ...{ replay: { directory: join(folder, "run") }, scan: { rows: 4 } },
    });
    const salt = 6;
    expect(rows.replay?.wish).toEqual({ roles: ["student"], ask: [], from: null, salt });
    expect([...plan.agents.keys()]).toEqual(["student", "grader"]);
    const stream = await rows.open();
    const drawn: string[] = [];
    for (let row = await stream.next(); row !== null; row = await stream.next())
      drawn.push(`${row.id}/${row.trial}`);
    expect(drawn.sort()).toEqual(["0/0", "0/1", "1/0", "1/1"]);
    await stream.close();
  }));

test("a replay cannot be written into the directory that it replays", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder);
    const directory = join(folder, "run");
    for (const replay of [directory, `${directory}/../run`])
      await expect(
        replayWork(plan, { replay, directory, checkpoint: undefined, ...NO_WISH }),
      ).rejects.toMatchObject({
        code: "usage",
        message: `--replay ${replay}: the replay is a run of its own, and cannot be written there`,
        hint: "choose another directory with -o",
      });
  }));

test("only a run directory can be replayed", () =>
  withFolder(async (folder) => {
    const plan = await prepareSmallRun(folder);
    const options = {
      replay: folder,
      directory: join(folder, "again"),
      checkpoint: undefined,
      ...NO_WISH,
    };
    await expect(replayWork(plan, options)).rejects.toMatchObject({
      code: "usage",
      message: `--replay ${folder} is not a run directory: it has no manifest.json`,
    });
  }));

test("a recipe with a new role that asks a model is refused, and the hint names --ask", () =>
  withFolder(async (folder) => {
    await expect(replayed(folder, { overrides: RENAMED })).rejects.toMatchObject({
      code: "run_refused",
      message: `${join(folder, "run")} has no answer of pupil: its llm roles are student`,
      hint: "--ask pupil asks the model of a new role, and takes every other answer from the records",
    });
  }));

test("a recipe without a role that asks a model cannot replay a run with one", () =>
  withFolder(async (folder) => {
    const overrides = ['roles.student={agent="grade.ts"}'];
    await expect(replayed(folder, { overrides })).rejects.toThrow(
      "its llm roles are student, and the recipe has none",
    );
  }));

test("runs without models can be replayed", () =>
  withFolder(async (folder) => {
    const first = { overrides: ['roles.student={agent="grade.ts"}'] };
    expect((await replayed(folder, {}, first)).rows.expected).toBe(2);
  }));

test("a changed prompt, schema or sampling is refused with its key", () =>
  withFolder(async (folder) => {
    const refused = async (overrides: readonly string[], key: string) =>
      expect(
        replayed(join(folder, key), { overrides }).then(
          () => null,
          (thrown: unknown) => thrown,
        ),
      ).resolves.toMatchObject({
        code: "run_refused",
        problems: [{ key, message: "it differs from the run whose answers are replayed" }],
        hint: "a replay may change rules, code and scores; --ask student asks a role anew, with its new prompt",
      });
    await refused(['roles.student.prompt={text="Else?"}'], "roles.student.prompt");
    await refused(['roles.student.system={text="Be short."}'], "roles.student.system");
    await refused(["roles.student.sampling={temperature=1}"], "roles.student.sampling");
  }));

test("a prompt in a file is compared by its text, wherever the file is", () =>
  withFolder(async (folder) => {
    const first = { overrides: ["roles.student.prompt=a.md"], files: { "a.md": "Say." } };
    const same = { overrides: ["roles.student.prompt=b.md"], files: { "b.md": "Say." } };
    await replayed(join(folder, "same"), same, first);
    const other = { overrides: ["roles.student.prompt=b.md"], files: { "b.md": "Sing." } };
    await expect(replayed(join(folder, "other"), other, first)).rejects.toMatchObject({
      problems: [{ key: "roles.student.prompt" }],
    });
  }));

test("rules, code, models and accepted reasons may change", () =>
  withFolder(async (folder) => {
    const overrides = [
      'roles.student.accepts=["cut"]',
      'models.m.latency="2ms"',
      "run.concurrency=1",
    ];
    expect((await replayed(folder, { overrides })).rows.expected).toBe(2);
  }));

test("a role that is asked may be new, or have another prompt; others may not", () =>
  withFolder(async (folder) => {
    const asking = (name: string, overrides: readonly string[], ask: readonly string[]) =>
      replayed(join(folder, name), { overrides }, {}, { ask, from: null });
    await asking("new", RENAMED, ["pupil"]);
    await asking("prompt", ['roles.student.prompt={text="Else?"}'], ["student"]);
    const judge = 'roles.judge={agent="llm", model="m", prompt={text="Judge."}}';
    const sequence = 'orchestrator.roles=["student", "grader", "judge"]';
    const changed = 'roles.student.prompt={text="Else?"}';
    await asking("judge", [judge, sequence], ["judge"]);
    await expect(asking("other", [judge, sequence, changed], ["judge"])).rejects.toMatchObject({
      problems: [{ key: "roles.student.prompt" }],
      hint: "a replay may change rules, code and scores; --ask judge,student asks a role anew, with its new prompt",
    });
  }));

test("from a role on, that role may be new or changed; from a hop on, any role may be new", () =>
  withFolder(async (folder) => {
    const judge = 'roles.judge={agent="llm", model="m", prompt={text="Judge."}}';
    const overrides = [judge, 'orchestrator.roles=["student", "grader", "judge"]'];
    const from = (name: string, wanted: string, more: readonly string[] = []) =>
      replayed(
        join(folder, name),
        { overrides: [...overrides, ...more] },
        {},
        { ask: [], from: wanted },
      );
    const { rows } = await from("role", "judge");
    expect(rows.replay?.wish.from).toBe("judge");
    expect((await from("hop", "2")).rows.replay?.wish.from).toBe(2);
    await expect(from("code", "grader")).rejects.toThrow("has no answer of judge");
    const changed = ['roles.student.prompt={text="Else?"}'];
    await expect(from("kept", "2", changed)).rejects.toMatchObject({ code: "run_refused" });
  }));

test("an unknown role is refused with the nearest one, and so is a role that asks no model", () =>
  withFolder(async (folder) => {
    const wrong = (name: string, ask: readonly string[], from: string | null) =>
      replayed(join(folder, name), {}, {}, { ask, from });
    await expect(wrong("a", ["studnet"], null)).rejects.toMatchObject({
      code: "usage",
      message: "--ask studnet: the recipe has no such role",
      hint: 'did you mean "student"?',
    });
    await expect(wrong("b", ["nobody-at-all"], null)).rejects.toMatchObject({
      hint: "its roles: student",
    });
    await expect(wrong("c", ["student", "grader"], null)).rejects.toMatchObject({
      code: "usage",
      message: "--ask grader: this role asks no model",
      hint: "every replay runs it anew; roles that ask a model: student",
    });
    await expect(wrong("d", [], "gradr")).rejects.toMatchObject({
      message: "--from gradr: the recipe has no such role",
      hint: 'did you mean "grader"?',
    });
    await expect(wrong("e", [], "nobody-at-all")).rejects.toMatchObject({
      hint: "its roles: student, grader, or the number of a hop",
    });
    await expect(wrong("f", [], "-1")).rejects.toMatchObject({ code: "usage" });
    await expect(wrong("g", [], "1.5")).rejects.toMatchObject({ code: "usage" });
  }));

test("the roles that ask models are those whose agent is llm", () => {
  const roles = { a: { agent: "llm" }, b: { agent: "b.ts" }, "c.d": { agent: "llm" } };
  expect(llmRolesOf({ roles })).toEqual(["a", "c.d"]);
  expect(llmRolesOf({})).toEqual([]);
});
