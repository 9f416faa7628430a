// Names that refer to nothing, keys that nothing reads, roles that no task reaches, files that are
// gone.

import { describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withProcesses } from "../../src/recipe/process-role.ts";
import { checkReferences } from "../../src/recipe/references.ts";
import { validateRecipe } from "../../src/recipe/validate.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { withFolder } from "../parts/folder.ts";

const LLM = { agent: "llm", model: "m", prompt: { text: "Q" } };

/** The problems of a recipe with these tables, as lines of key and message. */
function complaintsOf(tables: JsonObject): string[] {
  const { recipe, complaints } = validateRecipe({
    name: "r",
    dataset: { path: "/d" },
    models: { m: { kind: "simulated" } },
    roles: { a: LLM },
    orchestrator: { pattern: "sequence", roles: ["a"] },
    ...tables,
  });
  if (recipe === null) throw new Error(JSON.stringify(complaints));
  return checkReferences(withProcesses(recipe, {})).map(
    ({ key, message, suggestion }) =>
      `${key}: ${message}${suggestion === undefined ? "" : ` (${suggestion})`}`,
  );
}
/** The same of one role beside the role that the orchestrator names. */
const ofRole = (role: JsonObject, tables: JsonObject = {}) =>
  complaintsOf({ roles: { a: LLM, b: role }, orchestrator: RULE, ...tables });
const RULE = { pattern: "sequence", roles: ["a", "b"] };
const BOX = { sandboxes: { box: { image: "ubuntu" } } };

test("a sound recipe has no complaints", () => {
  expect(complaintsOf({})).toEqual([]);
  expect(
    complaintsOf({
      ...BOX,
      roles: { a: LLM, b: { agent: "exec", sandbox: "box" } },
      orchestrator: RULE,
    }),
  ).toEqual([]);
});

test("an interpreter is for a Python file of a role outside a container", () => {
  const python = ["py"];
  const ofRole = (role: JsonObject, tables: JsonObject = {}) =>
    complaintsOf({ roles: { a: LLM, b: role }, orchestrator: RULE, ...tables }).filter((one) =>
      one.startsWith("roles.b.python"),
    );
  expect(ofRole({ agent: "llm", model: "m", request: "/r.py", python })).toEqual([]);
  expect(ofRole({ agent: "/a.py", python })).toEqual([]);
  const idle = "only a role whose agent or request is a Python file reads this key";
  expect(ofRole({ agent: "llm", model: "m", request: "/r.ts", python })).toEqual([
    `roles.b.python: ${idle}`,
  ]);
  expect(ofRole({ ...LLM, python })).toEqual([`roles.b.python: ${idle}`]);
  expect(ofRole({ agent: "/a.sh", python })).toEqual([`roles.b.python: ${idle}`]);
  expect(ofRole({ agent: "/a.py", command: ["py", "/a.py"], python })).toEqual([
    "roles.b.python: this key has no effect: command says how the program is started",
  ]);
  expect(ofRole({ agent: "/a.py", sandbox: "box", python }, BOX)).toEqual([
    "roles.b.python: a program in a sandbox runs with the sandbox's own python3; remove this key",
  ]);
});

describe("an llm role", () => {
  test("an llm role needs a model that exists", () => {
    expect(ofRole({ agent: "llm", prompt: { text: "Q" } })).toEqual([
      "roles.b: an llm role needs a model, one of [models]",
    ]);
    expect(ofRole({ ...LLM, model: "mm" })).toEqual([
      'roles.b.model: no model is named "mm"; models: m (m)',
    ]);
    expect(complaintsOf({ models: {} })).toEqual([
      'roles.a.model: no model is named "m"; there are no models',
    ]);
  });

  test("an llm role needs a prompt, a system message or a request, and one of them is enough", () => {
    const bare = { agent: "llm", model: "m" };
    expect(ofRole(bare)).toEqual([
      "roles.b: an llm role needs a prompt, a system message or a request",
    ]);
    expect(ofRole({ ...bare, system: { text: "S" } })).toEqual([]);
    expect(ofRole({ ...bare, prompt: { text: "S" } })).toEqual([]);
  });

  test("every key that a request module replaces is reported as without effect", () =>
    withFolder(async (folder) => {
      const path = (name: string) => join(folder, name);
      for (const name of ["r.ts", "t.json"]) await writeFile(path(name), "");
      const written = {
        ...LLM,
        request: path("r.ts"),
        system: { text: "S" },
        conversation: ["a"],
        tools: path("t.json"),
      };
      expect(ofRole(written)).toEqual(
        ["system", "prompt", "conversation", "tools"].map(
          (key) =>
            `roles.b.${key}: this key has no effect: the role's request module writes the whole request`,
        ),
      );
      expect(ofRole({ agent: "llm", model: "m", request: path("r.ts") })).toEqual([]);
    }));

  test("the conversation of an llm role names only roles that exist", () => {
    expect(ofRole({ ...LLM, conversation: ["a", "c", "b"] })).toEqual([
      'roles.b.conversation.1: no role is named "c"; roles: a, b',
    ]);
  });

  test("an llm role cannot have a sandbox", () => {
    expect(ofRole({ ...LLM, sandbox: "box" }, BOX)).toEqual([
      "roles.b.sandbox: an llm role cannot have a sandbox: its model answers outside of it",
    ]);
  });
});

describe("keys that an agent does not read", () => {
  test("every key of an llm role is reported for another agent", () => {
    const role = {
      agent: "language",
      model: "m",
      system: { text: "S" },
      prompt: { text: "S" },
      conversation: ["a"],
      schema: { type: "object" },
      attachments: ["row.x"],
      attachment_folder: "/",
      sampling: { top_p: 1 },
      accepts: ["cut"],
    };
    const { agent: _, ...keys } = role;
    const message = "only an llm role reads this key; the agent of this role is language";
    expect(ofRole(role).sort()).toEqual(
      Object.keys(keys)
        .map((key) => `roles.b.${key}: ${message}`)
        .sort(),
    );
    expect(ofRole({ agent: "language", sampling: {}, accepts: [] })).toEqual([]);
  });

  test("retries are reported where no user code could fail: in llm roles and in language roles", () => {
    const llm = "an llm role does not read this key; set models.m.retries";
    const language = "a language role does not read this key: it answers the same each time";
    expect(ofRole({ ...LLM, retries: 2 })).toEqual([`roles.b.retries: ${llm}`]);
    expect(ofRole({ agent: "language", retries: 1 })).toEqual([`roles.b.retries: ${language}`]);
    expect(ofRole({ ...LLM, retries: 0 })).toEqual([]);
    expect(ofRole({ agent: "exec", sandbox: "box", retries: 2 }, BOX)).toEqual([]);
  });

  test("keys of programs are reported for an agent that is not a program", () => {
    const message = "only a program reads this key; the agent of this role is not a program";
    const keys = { command: ["x"], processes: 2, history: false };
    expect(ofRole({ agent: "language", ...keys })).toEqual(
      ["command", "processes", "history"].map((key) => `roles.b.${key}: ${message}`),
    );
    expect(ofRole({ ...LLM, ...keys })).toHaveLength(3);
  });

  test("a program role reads its keys", () => {
    expect(ofRole({ agent: "process", command: ["x"], processes: 2, history: false })).toEqual([]);
  });
});

describe("a role in a sandbox", () => {
  test("a role names only a sandbox that exists", () => {
    expect(ofRole({ agent: "exec", sandbox: "bx" }, BOX)).toContain(
      'roles.b.sandbox: no sandbox is named "bx"; sandboxes: box (box)',
    );
  });

  test("an exec role needs a sandbox, and takes no command", () => {
    expect(ofRole({ agent: "exec" })).toEqual([
      "roles.b: an exec role needs a sandbox, one of [sandboxes]",
    ]);
    expect(ofRole({ agent: "exec", sandbox: "box", command: ["x"] }, BOX)).toEqual([
      "roles.b.command: an exec role takes its commands from the task; remove this key",
    ]);
  });

  test("a language role cannot have a sandbox", () => {
    expect(ofRole({ agent: "language", sandbox: "box" }, BOX)).toEqual([
      "roles.b.sandbox: a language role cannot have a sandbox: it is a part of matrix",
    ]);
  });

  test("a program's name says how to start it, or a command does", () =>
    withFolder(async (folder) => {
      for (const name of ["a.py", "a.rb"]) await writeFile(join(folder, name), "");
      const [python, ruby] = [join(folder, "a.py"), join(folder, "a.rb")];
      expect(ofRole({ agent: python, sandbox: "box" }, BOX)).toEqual([]);
      expect(ofRole({ agent: ruby, sandbox: "box" }, BOX)).toEqual([
        'roles.b.agent: the name does not say how to start this program; set command = ["…"]',
      ]);
      expect(ofRole({ agent: ruby, sandbox: "box", command: ["ruby", ruby] }, BOX)).toEqual([]);
      expect(ofRole({ agent: ruby })).toEqual([
        'roles.b.agent: the name does not say how to start this program; set command = ["…"]',
      ]);
    }));

  test("the number of programs in a sandbox is set at the sandbox", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "a.py"), "");
      const role = { agent: join(folder, "a.py"), sandbox: "box", processes: 2 };
      expect(ofRole(role, BOX)).toEqual([
        "roles.b.processes: this key is for programs without a sandbox; set sandboxes.NAME.count instead",
      ]);
    }));
});

describe("a sandbox", () => {
  /** The problems of a sandbox in which a role runs. */
  const ofBox = (box: JsonObject) =>
    ofRole({ agent: "exec", sandbox: "box" }, { sandboxes: { box } });

  test("a sandbox that no role uses is reported", () => {
    expect(complaintsOf(BOX)).toEqual(["sandboxes.box: no role uses this sandbox"]);
  });

  test("a sandbox needs an image that exists, unless it is plain processes", () => {
    expect(ofBox({})).toEqual([
      "sandboxes.box: a sandbox needs an image unless its engine is process",
    ]);
    expect(ofBox({ engine: "process" })).toEqual([]);
    expect(ofBox({ image: "/nowhere" })).toEqual([
      "sandboxes.box.image: no such file or folder: /nowhere",
    ]);
    expect(ofBox({ image: "/nowhere", engine: "process" })).toEqual([]);
    expect(ofBox({ image: "nowhere" })).toEqual([]);
    expect(ofBox({ image: "/" })).toEqual([]);
  });

  test("a sandbox cannot run a SIF by Docker", () =>
    withFolder(async (folder) => {
      const image = join(folder, "x.sif");
      await writeFile(image, "");
      expect(ofBox({ image, engine: "docker" })).toEqual([
        "sandboxes.box.image: Docker cannot run a SIF; set engine to auto or apptainer",
      ]);
      expect(ofBox({ image })).toEqual([]);
      expect(ofBox({ image, engine: "apptainer" })).toEqual([]);
    }));

  test("warm is at most count", () => {
    expect(ofBox({ image: "i", warm: 3, count: 2 })).toEqual([
      "sandboxes.box.warm: found 3; allowed: at most count, which is 2",
    ]);
    expect(ofBox({ image: "i", warm: 2, count: 2 })).toEqual([]);
  });

  test("a sandbox mounts only files that exist, and plain processes have no mounts", () => {
    const mounts = [
      { source: "/", target: "/a" },
      { source: "/nowhere", target: "/b" },
    ];
    expect(ofBox({ image: "i", mounts })).toEqual([
      "sandboxes.box.mounts.1.source: no such file or folder: /nowhere",
    ]);
    expect(ofBox({ engine: "process", mounts: mounts.slice(0, 1) })).toEqual([
      "sandboxes.box.mounts: plain processes already see the files of this machine; remove the mounts",
    ]);
  });
});

describe("routes", () => {
  const named = (orchestrator: JsonObject) => complaintsOf({ orchestrator });

  test.each([
    ["sequence", { roles: ["a", "x"] }, ["roles.1"]],
    ["best-of-n", { roles: ["a", "x"], n: 2 }, ["roles.1"]],
    ["fan-out", { roles: ["a", "x"], after: ["x"] }, ["roles.1", "after.0"]],
    ["pipeline", { stages: [{ role: "a" }, { role: "x" }] }, ["stages.1.role"]],
    ["dialogue", { speakers: ["x"], between: ["a", "x"] }, ["speakers.0", "between.1"]],
    ["tool-loop", { speaker: "x", tools: "a", reward: "x" }, ["speaker", "reward"]],
    ["tool-loop", { speaker: "a", tools: "x" }, ["tools"]],
  ])("a %s is refused when %j names a role that does not exist", (pattern, keys, places) => {
    expect(named({ pattern, ...keys })).toEqual(
      places.map((place) => `orchestrator.${place}: no role is named "x"; roles: a`),
    );
  });

  test.each([
    ["best-of-n", { roles: ["a"], n: 2 }],
    ["fan-out", { roles: ["a"] }],
    ["fan-out", { roles: ["b"], after: ["a"] }],
    ["pipeline", { stages: [{ role: "a" }] }],
    ["dialogue", { speakers: ["b"], between: ["a"] }],
    ["tool-loop", { speaker: "a", tools: "a" }],
    ["tool-loop", { speaker: "b", tools: "b", reward: "a" }],
  ])("a %s with %j reaches every role that it names", (pattern, keys) => {
    const roles = { a: LLM, b: LLM };
    const complaints = complaintsOf({ roles, orchestrator: { pattern, ...keys } });
    expect(complaints.filter((line) => line.startsWith("roles.a"))).toEqual([]);
  });

  test("a role that a pattern does not name is reported", () => {
    expect(complaintsOf({ roles: { a: LLM, b: LLM } })).toEqual([
      "roles.b: no task reaches this role: the orchestrator does not name it",
    ]);
  });

  test("a module or a graph may go to any role", () =>
    withFolder(async (folder) => {
      const path = join(folder, "m.ts");
      await writeFile(path, "");
      const roles = { a: LLM, b: LLM };
      expect(complaintsOf({ roles, orchestrator: { module: path } })).toEqual([]);
      expect(complaintsOf({ roles, orchestrator: { graph: `${path}#build` } })).toEqual([]);
    }));
});

describe("expressions and files", () => {
  const parseError = /^([\w.]+): the expression does not parse: /;
  const wrongIn = (tables: JsonObject) =>
    complaintsOf(tables).map((line) => parseError.exec(line)?.[1] ?? line);

  test("every expression of a recipe is parsed", () => {
    const bad = "1 +";
    const rule = (keys: JsonObject) => ({ orchestrator: keys });
    expect(wrongIn({ dataset: { path: "/d", filter: bad } })).toEqual(["dataset.filter"]);
    expect(wrongIn({ roles: { a: { ...LLM, attachments: ["row.a", bad] } } })).toEqual([
      "roles.a.attachments.1",
    ]);
    expect(wrongIn(rule({ pattern: "sequence", roles: ["a"], score: bad }))).toEqual([
      "orchestrator.score",
    ]);
    expect(wrongIn(rule({ pattern: "dialogue", speakers: ["a"], until: bad, score: bad }))).toEqual(
      ["orchestrator.score", "orchestrator.until"],
    );
    expect(wrongIn(rule({ pattern: "tool-loop", speaker: "a", tools: "a", until: bad }))).toEqual([
      "orchestrator.until",
    ]);
    expect(wrongIn(rule({ pattern: "best-of-n", roles: ["a"], n: 2, accept: bad }))).toEqual([
      "orchestrator.accept",
    ]);
    const stages = [{ role: "a" }, { role: "a", keep: bad }];
    expect(wrongIn(rule({ pattern: "pipeline", stages }))).toEqual(["orchestrator.stages.1.keep"]);
    expect(wrongIn(rule({ graph: "/", score: bad }))).toEqual(["orchestrator.score"]);
  });

  test("an expression of the rule must not read the result of a role that does not exist", () => {
    const rule = (score: string) => ({
      orchestrator: { pattern: "sequence", roles: ["a"], score },
    });
    expect(complaintsOf(rule("has(results.a) && results['a'].x > row.results.b.c"))).toEqual([]);
    expect(
      complaintsOf(rule("[1].exists(n, n < results.aa.n) || size(results['zzz']) > 0")),
    ).toEqual([
      'orchestrator.score: no role is named "aa"; roles: a (a)',
      'orchestrator.score: no role is named "zzz"; roles: a',
    ]);
    expect(complaintsOf({ dataset: { path: "/d", filter: "results.zzz" } })).toEqual([]);
  });

  test("a misspelt built-in agent is one problem, with the name that was probably meant", () => {
    expect(ofRole({ ...LLM, agent: "/no/lmm" })).toEqual([
      "roles.b.agent: no such file: /no/lmm (llm)",
    ]);
    expect(ofRole({ agent: "/no/grade.ts" })).toEqual([
      "roles.b.agent: no such file: /no/grade.ts",
    ]);
  });

  test("a file that does not exist is reported under the key that names it", () => {
    expect(complaintsOf({ models: { m: { kind: "simulated", replies: "/no/r.ts" } } })).toEqual([
      "models.m.replies: no such file: /no/r.ts",
    ]);
    expect(complaintsOf({ orchestrator: { graph: "/no/g.ts#build" } })).toEqual([
      "orchestrator.graph: no such file: /no/g.ts",
    ]);
  });
});
