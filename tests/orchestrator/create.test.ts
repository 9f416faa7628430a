import { expect, test } from "bun:test";
import { Annotation, START, StateGraph } from "@langchain/langgraph";
import { done, type Orchestrator, to } from "../../src/orchestrator/contract.ts";
import { createOrchestrator } from "../../src/orchestrator/create.ts";
import type { OrchestratorConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import { walkOrchestrator } from "./walk.ts";

const RULE: Orchestrator = { start: () => to("a"), next: () => done() };

function load(config: OrchestratorConfig, exports: Record<string, unknown>, loaded: string[] = []) {
  const loadModule = async (path: string) => {
    loaded.push(path);
    return exports;
  };
  return createOrchestrator(config, loadModule, ["a"]);
}

test("a module's default export is the orchestrator", async () => {
  const loaded: string[] = [];
  const rule = await load({ module: "route.ts", with: {} }, { default: RULE }, loaded);
  expect(rule).toBe(RULE);
  expect(loaded).toEqual(["route.ts"]);
});

test("a function that a module exports is given orchestrator.with and may be async", async () => {
  const settings: unknown[] = [];
  const make = async (given: unknown) => {
    settings.push(given);
    return RULE;
  };
  expect(await load({ module: "route.ts", with: { n: 1 } }, { default: make })).toBe(RULE);
  expect(settings).toEqual([{ n: 1 }]);
});

test("a module that refuses its settings is invalid, with its reason", async () => {
  const refuse = () => {
    throw new Error("n is missing");
  };
  await expect(load({ module: "route.ts", with: {} }, { default: refuse })).rejects.toMatchObject({
    code: "module_invalid",
    message: "route.ts refuses orchestrator.with: n is missing",
  });
});

test.each<[exported: string, value: unknown]>([
  ["nothing", undefined],
  ["null", null],
  ["text", "route"],
  ["an object without next()", { start: RULE.start }],
  ["an object without start()", { next: RULE.next }],
  ["a function of the settings that returns nothing", () => undefined],
])("a module that exports %s is invalid", async (_, value) => {
  await expect(load({ module: "route.ts", with: {} }, { default: value })).rejects.toMatchObject({
    code: "module_invalid",
    message: "route.ts does not export an orchestrator",
    hint: expect.stringContaining("export default orchestrator("),
  });
});

test("a graph is the named export of its module, or the answer of that export", async () => {
  const State = Annotation.Root({ n: Annotation<number> });
  const build = ({ n }: { n: number }) =>
    new StateGraph(State)
      .addNode("a", () => ({ n }))
      .addEdge(START, "a")
      .compile();
  const loaded: string[] = [];
  const config = { graph: "graph.ts#build", with: { n: 5 }, score: "n * 2" };
  const made = await load(config, { build }, loaded);
  expect(loaded).toEqual(["graph.ts"]);
  expect(walkOrchestrator(made, { a: () => null })).toMatchObject({
    route: ["a"],
    ending: { score: 10 },
  });
  const exported = await load(config, { build: build({ n: 1 }) });
  expect(walkOrchestrator(exported, { a: () => null }).ending.score).toBe(2);
});

test("a graph that the module does not export is invalid", async () => {
  await expect(load({ graph: "graph.ts#build", with: {} }, {})).rejects.toMatchObject({
    code: "module_invalid",
    message: "graph.ts#build does not give a StateGraph",
  });
});
