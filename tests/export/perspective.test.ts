import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Part } from "../../src/export/parts.ts";
import {
  createPerspective,
  type Perspective,
  type PerspectiveOptions,
} from "../../src/export/perspective.ts";
import { compileExpression } from "../../src/recipe/expression/expression.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { withFolder } from "../parts/folder.ts";
import { BEST_OF_THREE, DIALOGUE, TOOL_LOOP } from "../parts/run-directory.ts";
import { hopsOf, manifestOf, recordOf, TOOL } from "./made.ts";

const VARIABLES = { row: { question: "Why?" }, state: null, history: [], last: null } as never;

function perspective(
  recipe: JsonObject,
  options: Partial<PerspectiveOptions> = {},
  hashes: Record<string, string> = {},
): Promise<Perspective> {
  return createPerspective("run", manifestOf({ recipe, hashes }), {
    as: null,
    trainOn: null,
    tools: null,
    withPrompts: true,
    ...options,
  });
}

/** The recipe of the tool loop with changes to its speaker. */
function toolLoopWith(solver: JsonObject): JsonObject {
  const roles = TOOL_LOOP["roles"] as { readonly solver: JsonObject; readonly tools: JsonObject };
  return { ...TOOL_LOOP, roles: { ...roles, solver: { ...roles.solver, ...solver } } };
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

test("a perspective takes the parts and prompts that the recipe suggests", async () => {
  const found = await perspective(DIALOGUE);
  expect([...found.parts]).toEqual([
    ["student", "assistant"],
    ["teacher", "user"],
  ]);
  expect(found).toMatchObject({ assistant: "student", lastAnswerOnly: false });
  expect([...found.trained]).toEqual(["student"]);
  expect(found.system?.(VARIABLES)).toBe("You study.");
  expect(found.prompt?.(VARIABLES)).toBe("Why?");
  expect(found.toolsOf(recordOf())).toEqual([]);
});

test("a perspective takes the user's parts, and the prompts of the first assistant", async () => {
  const as = new Map([
    ["judge", "user"],
    ["teacher", "assistant"],
    ["student", "assistant"],
  ] as const);
  const found = await perspective(DIALOGUE, { as });
  expect(found.parts).toBe(as);
  expect(found).toMatchObject({ assistant: "teacher", lastAnswerOnly: false, system: null });
  expect([...found.trained]).toEqual(["teacher", "student"]);
  const picked = await perspective(DIALOGUE, { as, trainOn: ["student"] });
  expect([...picked.trained]).toEqual(["student"]);
});

test("a role that is named alone keeps its own view, and with other roles it has none", async () => {
  const roles = DIALOGUE["roles"] as JsonObject;
  const recipe = { ...DIALOGUE, roles, orchestrator: { module: "route.ts" } };
  const viewOf = async (...as: readonly (readonly [string, Part])[]) => {
    const { ownView, lastAnswerOnly } = await perspective(recipe, { as: new Map(as) });
    return { ownView, lastAnswerOnly };
  };
  expect(await viewOf(["student", "assistant"])).toEqual({
    ownView: { hasPrompt: true },
    lastAnswerOnly: false,
  });
  const none = { ownView: null, lastAnswerOnly: false };
  expect(await viewOf(["student", "assistant"], ["teacher", "user"])).toEqual(none);
  const inDialogue = await perspective(DIALOGUE, { as: new Map([["student", "assistant"]]) });
  expect(inDialogue).toMatchObject(none);
});

test("an export without prompts needs no prompt", async () => {
  const found = await perspective(DIALOGUE, { withPrompts: false });
  expect([found.system, found.prompt]).toEqual([null, null]);
});

test.each<
  [what: string, options: Partial<PerspectiveOptions>, message: string, hint: string | undefined]
>([
  [
    "an unknown role",
    { as: new Map([["pupil", "assistant"]]) },
    "run: its recipe has no role pupil; roles: student, teacher, judge",
    undefined,
  ],
  [
    "an unknown role to train on",
    { trainOn: ["pupil"] },
    "run: its recipe has no role pupil; roles: student, teacher, judge",
    undefined,
  ],
  [
    "no assistant",
    { as: new Map([["teacher", "user"]]) },
    "--as names no assistant",
    "for example --as writer=assistant",
  ],
  [
    "training on a user",
    { trainOn: ["student", "teacher"] },
    "--train-on teacher: this role is not an assistant in these conversations",
    "assistants: student; add one with --as teacher=assistant",
  ],
])("%s is refused", async (_, options, message, hint) => {
  const refusal = await perspective(DIALOGUE, options).catch((thrown) => thrown);
  expect(refusal).toMatchObject({ code: "usage", message });
  expect(refusal.hint).toBe(hint);
});

test("a manifest whose recipe is of another version is refused", async () => {
  await expect(perspective({ name: "r" })).rejects.toMatchObject({
    code: "usage",
    message: "run: this version of matrix cannot read the recipe in its manifest.json",
  });
});

test("a prompt in a file is taken when the file is the one that the run was made with", () =>
  withFolder(async (folder) => {
    const path = join(folder, "p.md");
    await writeFile(path, "Ask {{ row.question }}");
    const recipe = toolLoopWith({ prompt: path });
    const found = await perspective(recipe, {}, { [path]: sha256("Ask {{ row.question }}") });
    expect(found.prompt?.(VARIABLES)).toBe("Ask Why?");
    const hint = expect.stringContaining("--no-prompts");
    await expect(perspective(recipe, {}, { [path]: sha256("other") })).rejects.toMatchObject({
      code: "usage",
      message: `${path} has changed since the run was made`,
      hint,
    });
    const gone = join(folder, "gone.md");
    const lost = perspective(toolLoopWith({ prompt: gone }));
    await expect(lost).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining(`cannot read ${gone}, which the run was made with: `),
      hint,
    });
    await perspective(toolLoopWith({ prompt: gone }), { withPrompts: false });
  }));

test("a prompt that cannot be rendered is an error with its key", async () => {
  const found = await perspective(toolLoopWith({ prompt: { text: "{{ state.x.y }}" } }));
  expect(() => found.prompt?.(VARIABLES)).toThrow("roles.solver.prompt cannot be rendered: ");
  try {
    found.prompt?.(VARIABLES);
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: "usage", hint: expect.stringContaining("--no-prompts") });
  }
});

test("the tools of a record are those of the assistant's role", () =>
  withFolder(async (folder) => {
    const path = join(folder, "tools.json");
    await writeFile(path, JSON.stringify([TOOL]));
    const recipe = toolLoopWith({ tools: path });
    const found = await perspective(recipe, {}, { [path]: sha256(JSON.stringify([TOOL])) });
    expect(found.toolsOf(recordOf())).toEqual([TOOL]);
    await expect(perspective(recipe)).rejects.toMatchObject({ code: "usage" });
    // An expression replaces them, so the file is not needed.
    await perspective(recipe, { tools: compileExpression("[]") });
  }));

test("the tools of a record may be found by an expression over it", async () => {
  const found = await perspective(TOOL_LOOP, { tools: compileExpression("row.kit") });
  expect(found.toolsOf(recordOf({ row: { kit: [TOOL] } }))).toEqual([TOOL]);
  for (const kit of ["text", [1]])
    expect(() => found.toolsOf(recordOf({ id: "7", trial: 2, row: { kit } }))).toThrow(
      "--tools does not give a list of tools for row 7, trial 2",
    );
});

const HISTORY = hopsOf(["student", 0], ["judge", 1], ["student", 2], ["judge", 3], ["student", 4]);

test("the conversation of a dialogue is made of the whole history, even with a field `chosen`", async () => {
  const { hopsOf } = await perspective(DIALOGUE);
  expect(hopsOf(recordOf({ history: HISTORY, outcome: { chosen: 1 } }))).toEqual(HISTORY);
});

test("the hops of best-of-n are those of the chosen candidate", async () => {
  const { hopsOf } = await perspective(BEST_OF_THREE);
  const chosenBy = (outcome: JsonObject | null) =>
    hopsOf(recordOf({ history: HISTORY, outcome })).map(({ hop }) => hop);
  expect(chosenBy({ chosen: 0 })).toEqual([0, 1]);
  expect(chosenBy({ chosen: 1 })).toEqual([2, 3]);
  expect(chosenBy({ chosen: 1, candidates: [{ hops: 1 }, {}] })).toEqual([1, 2]);
  expect(chosenBy({})).toEqual([0, 1, 2, 3, 4]);
  expect(chosenBy(null)).toEqual([0, 1, 2, 3, 4]);
});

test("the hops of best-of-n in parallel are those of the chosen branch", async () => {
  const recipe = {
    ...BEST_OF_THREE,
    orchestrator: { ...(BEST_OF_THREE["orchestrator"] as JsonObject), parallel: true },
  };
  const { hopsOf } = await perspective(recipe);
  const history = HISTORY.map((hop, index) => ({ ...hop, branch: index % 2 }));
  const found = hopsOf(recordOf({ history, outcome: { chosen: 1 } }));
  expect(found.map(({ hop }) => hop)).toEqual([1, 3]);
});

test("a perspective reads the attachments of its assistant's prompt", async () => {
  const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";
  const found = await perspective(toolLoopWith({ attachments: ["row.image"] }));
  expect(await found.mediaOf?.(recordOf({ row: { image: png } }))).toEqual([
    { kind: "image", url: `data:image/png;base64,${png}` },
  ]);
  expect(await found.mediaOf?.(recordOf({ row: { image: null } }))).toEqual([]);
  await expect(found.mediaOf?.(recordOf({ id: "7", row: { image: "gone.png" } }))).rejects.toThrow(
    expect.objectContaining({ code: "usage", message: expect.stringContaining("row 7: ") }),
  );
  expect((await perspective(TOOL_LOOP)).mediaOf).toBeNull();
});

test("a perspective has the candidates of best-of-n, and knows when prompts are left out", async () => {
  const found = await perspective(BEST_OF_THREE, { withPrompts: false });
  const record = recordOf({ outcome: { chosen: 0, candidates: [{ score: 1 }] }, history: [] });
  expect(found.candidatesOf(record)).toEqual([{ score: 1, hops: [] }]);
  expect(found.withPrompts).toBeFalse();
  expect((await perspective(DIALOGUE)).candidatesOf(record)).toBeNull();
});
