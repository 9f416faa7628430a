// Makes the orchestrator of a recipe's [orchestrator] table: a pattern, the user's module, or the
// user's graph.

import { MatrixError, messageOf } from "../error.ts";
import { parseGraphPath } from "../recipe/graph-path.ts";
import type { OrchestratorConfig, PatternConfig } from "../recipe/schema/orchestrator-schema.ts";
import { createBestOfN } from "./best-of-n.ts";
import type { Orchestrator } from "./contract.ts";
import { createDialogue } from "./dialogue.ts";
import { createFanOut } from "./fan-out.ts";
import { importMessages } from "./graph/messages.ts";
import { createGraph } from "./graph/rule.ts";
import { createPipeline } from "./pipeline.ts";
import { compileOptional } from "./results.ts";
import { createSequence } from "./sequence.ts";
import { createToolLoop } from "./tool-loop.ts";

/**
 * Makes the orchestrator. Fails with `module_invalid` when the user's module or graph cannot be
 * used. `canFork` is false where a task may not go several ways at once.
 */
export async function createOrchestrator(
  config: OrchestratorConfig,
  loadModule: (path: string) => Promise<Record<string, unknown>>,
  roles: readonly string[],
  canFork = true,
): Promise<Orchestrator> {
  if ("pattern" in config) return createPattern(config);
  if ("graph" in config) return loadGraph(config, loadModule, roles, canFork);
  const exported = (await loadModule(config.module))["default"];
  const rule = await made(exported, config.with, config.module);
  if (isOrchestrator(rule)) return rule;
  throw new MatrixError("module_invalid", `${config.module} does not export an orchestrator`, {
    hint:
      'export default orchestrator({ start: (row) => to("role"), next: (state, result) => done() }), ' +
      "or a function of the settings that returns one",
  });
}

async function loadGraph(
  config: Extract<OrchestratorConfig, { graph: string }>,
  loadModule: (path: string) => Promise<Record<string, unknown>>,
  roles: readonly string[],
  canFork: boolean,
): Promise<Orchestrator> {
  const { module, name } = parseGraphPath(config.graph);
  const exported = (await loadModule(module))[name];
  const graph = await made(exported, config.with, config.graph);
  return createGraph(graph, {
    path: config.graph,
    roles,
    score: compileOptional(config.score),
    classes: await importMessages(),
    canFork,
  });
}

/**
 * An export, or the answer of an exported function to the settings in `orchestrator.with`. The
 * function may refuse them.
 */
async function made(exported: unknown, settings: unknown, path: string): Promise<unknown> {
  if (typeof exported !== "function") return exported;
  try {
    return await exported(settings);
  } catch (cause) {
    throw new MatrixError(
      "module_invalid",
      `${path} refuses orchestrator.with: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function createPattern(config: PatternConfig): Orchestrator {
  // The type of a state stays inside its pattern, which alone reads it.
  return PATTERNS[config.pattern](config as never) as unknown as Orchestrator;
}

const PATTERNS = {
  sequence: createSequence,
  pipeline: createPipeline,
  dialogue: createDialogue,
  "tool-loop": createToolLoop,
  "best-of-n": createBestOfN,
  "fan-out": createFanOut,
} as const;

function isOrchestrator(value: unknown): value is Orchestrator {
  if (typeof value !== "object" || value === null) return false;
  const { start, next } = value as Record<string, unknown>;
  return typeof start === "function" && typeof next === "function";
}
