// The plan of an agent from its role's table: what is read and checked, and what an open agent
// does.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type LiveParts, loadTemplate, planAgent, readTools } from "../../src/agent/create.ts";
import type { ChatRequest } from "../../src/model/contract.ts";
import { PythonFiles } from "../../src/python/files.ts";
import type { OrchestratorConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import type { Recipe, RoleConfig } from "../../src/recipe/schema/schema.ts";
import type { SandboxPool } from "../../src/sandbox/pool.ts";
import { agentContext } from "../parts/agent-context.ts";
import { withFolder } from "../parts/folder.ts";
import { hopOf, taskOf } from "../parts/task.ts";

const context = agentContext();
const DIALOGUE = { pattern: "dialogue", speakers: ["a", "b"] } as unknown as OrchestratorConfig;

const role = (more: Partial<RoleConfig>): RoleConfig =>
  ({ agent: "llm", model: "m", with: {}, sampling: {}, accepts: [], ...more }) as RoleConfig;

function planning(modules: Readonly<Record<string, unknown>> = {}) {
  const loaded: string[] = [];
  const recipe = {
    orchestrator: DIALOGUE,
    run: { task_limit: { calls: 2 } },
    roles: {},
    sandboxes: { box: { engine: "process", timeout: 9 } },
  } as unknown as Recipe;
  const plan = (name: string, config: Partial<RoleConfig>) =>
    planAgent(name, role(config), {
      recipe,
      cwd: "/here",
      python: new PythonFiles(),
      loadModule: async (path) => {
        loaded.push(path);
        return { default: modules[path] };
      },
    });
  return { plan, loaded };
}

/** A model that answers with its name, and keeps its requests. */
function liveWith(...names: readonly string[]) {
  const requests: ChatRequest[] = [];
  const models = new Map(
    names.map((name) => [
      name,
      {
        id: name,
        costOf: () => undefined,
        chat: async (request: ChatRequest) => {
          requests.push(request);
          return {
            message: { role: "assistant" as const, content: name },
            finishReason: "stop",
            usage: { requests: 1, prompt_tokens: 1, completion_tokens: 1 },
          };
        },
      },
    ]),
  );
  const live: LiveParts = {
    models,
    pool: () => {
      throw new Error("no pool was expected");
    },
  };
  return { live, requests };
}

test("an llm role asks its model with all that its table names", () =>
  withFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await writeFile(at("system.md"), "You are {{ role }}.");
    await writeFile(at("tools.json"), '[{"type": "function"}]');
    await writeFile(at("schema.json"), '{"type": "object"}');
    const { plan } = planning();
    const planned = await plan("a", {
      system: at("system.md"),
      prompt: { text: "Q: {{ row.q }}" },
      tools: at("tools.json"),
      schema: at("schema.json"),
      sampling: { top_p: 1 },
    } as Partial<RoleConfig>);
    const history = [hopOf("b", { content: "seen" }), hopOf("judge", { content: "hidden" })];
    const task = taskOf({ row: { q: "?" }, history });
    expect(planned.render?.(task)).toEqual([
      { role: "system", content: "You are a." },
      { role: "user", content: "Q: ?\n\nseen" },
    ]);
    const { live, requests } = liveWith("m", "other");
    await Promise.resolve(planned.open(live).run(task, context)).catch(() => undefined);
    expect(requests[0]).toMatchObject({
      sampling: { top_p: 1 },
      tools: [{ type: "function" }],
      schema: { type: "object" },
    });
  }));

test("an llm role with nothing but a prompt has neither tools nor a schema", async () => {
  const { plan } = planning();
  const planned = await plan("x", { prompt: { text: "Q" } } as Partial<RoleConfig>);
  const { live, requests } = liveWith("m");
  expect(await planned.open(live).run(taskOf(), context)).toMatchObject({
    model: "m",
    result: { content: "m" },
  });
  expect(requests[0]?.messages).toEqual([{ role: "user", content: "Q" }]);
  expect(requests[0]).not.toHaveProperty("tools");
  expect(requests[0]).not.toHaveProperty("schema");
});

test("a conversation that the table names replaces that of the pattern", async () => {
  const { plan } = planning();
  const config = { prompt: { text: "Q" }, conversation: ["judge"] } as Partial<RoleConfig>;
  const planned = await plan("a", config);
  const history = [
    hopOf("b", { content: "hidden" }),
    hopOf("a", { content: "hidden" }),
    hopOf("judge", { content: "seen" }),
  ];
  expect(planned.render?.(taskOf({ history }))).toEqual([{ role: "user", content: "Q\n\nseen" }]);
});

test("a request module and attachments are part of an llm role", async () => {
  const write = () => ({ messages: [{ role: "user", content: "written" }] });
  const { plan, loaded } = planning({ "w.ts": write });
  const planned = await plan("a", {
    request: "w.ts",
    attachments: ["'https://x.org/' + row.q"],
  } as Partial<RoleConfig>);
  expect(loaded).toEqual(["w.ts"]);
  const { live, requests } = liveWith("m");
  await planned.open(live).run(taskOf({ row: { q: "i" } }), context);
  expect(requests[0]?.messages).toEqual([
    {
      role: "user",
      content: [
        { type: "text", text: "written" },
        { type: "image_url", image_url: { url: "https://x.org/i" } },
      ],
    },
  ]);
});

test("a module's role runs its function with the role's settings", async () => {
  const { plan, loaded } = planning({
    "m.ts": (_task: unknown, { settings }: { settings: unknown }) => settings,
  });
  const planned = await plan("a", { agent: "m.ts", with: { k: 1 } });
  expect([loaded, planned.render]).toEqual([["m.ts"], null]);
  expect(await planned.open(liveWith().live).run(taskOf(), context)).toEqual({ result: { k: 1 } });
});

test("a language role needs neither a model nor a module", async () => {
  const { plan, loaded } = planning();
  const planned = await plan("a", { agent: "language", with: { text: "row.t" } });
  expect([loaded, planned.render]).toEqual([[], null]);
  const text = "This is a sentence in English, of course.";
  expect(await planned.open(liveWith().live).run(taskOf({ row: { t: text } }), context)).toEqual({
    result: { language: "en", share: 1 },
  });
});

test.each(["exec", import.meta.path])(
  "a role in a sandbox with the agent %s asks the sandbox's pool",
  async (agent) => {
    const { plan } = planning();
    const planned = await plan("a", {
      agent,
      sandbox: "box",
      history: true,
      files: [],
    } as Partial<RoleConfig>);
    const asked: unknown[] = [];
    const pool = {
      call: async (caller: unknown) => {
        asked.push(caller);
        return { ok: true, result: "done" };
      },
    } as unknown as SandboxPool;
    const names: string[] = [];
    const live = {
      ...liveWith().live,
      pool: (name: string) => {
        names.push(name);
        return pool;
      },
    };
    const { result } = await planned.open(live).run(taskOf(), context);
    expect(result).toEqual(agent === "exec" ? { ok: true, result: "done" } : "done");
    expect([planned.render, names, asked.length]).toEqual([null, ["box"], 1]);
  },
);

test.each([
  [{ system: "/no/such.md" }, "recipe_invalid", "roles.a.system", "cannot read /no/such.md: "],
  [
    { prompt: { text: "{% if %}" } },
    "recipe_invalid",
    "roles.a.prompt",
    "template roles.a.prompt: ",
  ],
  [{ tools: "/no/such.json" }, "recipe_invalid", "roles.a.tools", "cannot read /no/such.json: "],
  [{ schema: "/no/such.json" }, "recipe_invalid", "roles.a.schema", "cannot read /no/such.json: "],
  [
    { agent: "language", with: { x: 1 } },
    "recipe_invalid",
    "roles.a.with",
    "a language agent reads",
  ],
])("the table %j is refused under the key at fault", async (config, code, key, message) => {
  const { plan } = planning();
  await expect(plan("a", config as Partial<RoleConfig>)).rejects.toMatchObject({
    code,
    problems: [{ key, message: expect.stringContaining(message) }],
  });
});

test.each([
  ["{", /x\.json is not JSON: /],
  ["{}", /x\.json is not a list of tools$/],
  ["[1]", /x\.json is not a list of tools$/],
])("a file of tools that holds %j is refused", (text, message) =>
  withFolder(async (folder) => {
    const path = join(folder, "x.json");
    await writeFile(path, text);
    await expect(readTools(path)).rejects.toMatchObject({
      code: "recipe_invalid",
      message: expect.stringMatching(message),
    });
  }),
);

test("a file of tools may be empty", () =>
  withFolder(async (folder) => {
    const path = join(folder, "x.json");
    await writeFile(path, "[]");
    expect(await readTools(path)).toEqual([]);
  }));

test("a schema that is not an object is refused", () =>
  withFolder(async (folder) => {
    const path = join(folder, "x.json");
    await writeFile(path, "[]");
    const { plan } = planning();
    await expect(plan("a", { schema: path } as Partial<RoleConfig>)).rejects.toThrow(
      `${path} is not a JSON schema: it must hold an object`,
    );
  }));

test("a template comes from a file, which names it, or from its own text", () =>
  withFolder(async (folder) => {
    const path = join(folder, "t.md");
    await writeFile(path, "{{ x }}{{ y }}");
    const template = await loadTemplate(path, "unused");
    expect(template({ x: 1, y: 2 })).toBe("12");
    expect(() => template({ x: 1 })).toThrow(`template ${path}: `);
    await expect(
      loadTemplate({ text: "{{ x }}" }, "roles.a.prompt").then((own) => own({})),
    ).rejects.toThrow("template roles.a.prompt: ");
  }));
