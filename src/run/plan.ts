// A recipe that passed every check that costs nothing. Nothing runs yet: `open` makes the live
// parts (kept answers, models, sandboxes, agents) for the roles of one process.

import type { Agent } from "../agent/contract.ts";
import type { AgentPlan } from "../agent/create.ts";
import { filesIn } from "../agent/role-files.ts";
import { watchedSandboxes } from "../agent/sandboxed.ts";
import type { ModelContext } from "../model/context.ts";
import type { Replicated } from "../model/contract.ts";
import type { ModelPlan } from "../model/create.ts";
import type { Rule } from "../orchestrator/advance.ts";
import type { LoadedRecipe } from "../recipe/load.ts";
import type { Recipe } from "../recipe/schema/schema.ts";
import { SandboxSite } from "../sandbox/site.ts";
import type { Log } from "../telemetry/log.ts";
import { type AnswerPlace, type KeptAnswers, openAnswers } from "./answers.ts";

export interface PlanParts {
  readonly loaded: LoadedRecipe;
  readonly models: ReadonlyMap<string, ModelPlan>;
  readonly agents: ReadonlyMap<string, AgentPlan>;
  readonly rule: Rule;
  /** sha256 of every prompt, module, tool list and schema, by path, or by `built-in:`. */
  readonly hashes: Readonly<Record<string, string>>;
}

export interface OpenContext extends Pick<ModelContext, "permits" | "spend" | "recorder"> {
  /** Name of this process in records and logs. */
  readonly host: string;
  /** Roles that this process serves. */
  readonly roles: readonly string[];
  /** The place of kept model answers; null for a process that asks no model. */
  readonly answers: AnswerPlace | null;
  readonly log: Log;
  /** Ends the opening, which may pull an image for minutes. */
  readonly signal?: AbortSignal;
}

export class Plan {
  readonly loaded: LoadedRecipe;
  readonly models: ReadonlyMap<string, ModelPlan>;
  readonly agents: ReadonlyMap<string, AgentPlan>;
  readonly rule: Rule;
  readonly hashes: PlanParts["hashes"];

  constructor({ loaded, models, agents, rule, hashes }: PlanParts) {
    this.loaded = loaded;
    this.models = models;
    this.agents = agents;
    this.rule = rule;
    this.hashes = hashes;
  }

  get recipe(): Recipe {
    return this.loaded.recipe;
  }

  /** True when a model that a role asks is known to be simulated. */
  get simulated(): boolean {
    const used = new Set(Object.values(this.recipe.roles).map(({ model }) => model));
    return [...this.models].some(([name, { simulated }]) => simulated && used.has(name));
  }

  /** The same plan with other agents, under the same roles. */
  withAgents(agents: PlanParts["agents"]): Plan {
    return new Plan({ ...this, agents });
  }

  /**
   * Makes the live parts. Fails with `sandbox_invalid` or `sandbox_unavailable` before any task has
   * come; what was opened by then is stopped again.
   */
  async open(context: OpenContext): Promise<LivePlan> {
    const { log, permits, spend, recorder } = context;
    const sandboxes = await this.#openSandboxes(context);
    const answers = await openAnswers(this.recipe, context.answers, log);
    const { journal, cache, windows } = answers;
    const say: ModelContext["say"] = (level, what) => log.write(level, what);
    const models = new Map(
      [...this.models].map(([name, model]) => [
        name,
        model.open({ permits, journal, cache, windows, say, spend, recorder }),
      ]),
    );
    const pool = (name: string) => sandboxes.pool(name);
    const agents = new Map(
      context.roles.flatMap((role) => {
        const agent = this.agents.get(role);
        return agent === undefined ? [] : [[role, agent.open({ models, pool })] as const];
      }),
    );
    const replicated = [...models.values()].flatMap(({ replicas }) => replicas ?? []);
    return new LivePlan(agents, replicated, sandboxes, answers);
  }

  async #openSandboxes({ host, roles, log, signal }: OpenContext): Promise<SandboxSite> {
    const { name, run, sandboxes, roles: configs } = this.recipe;
    const watched = watchedSandboxes(this.recipe);
    const site = new SandboxSite({
      ...{ run: name, host, log, taskMs: run.timeout, configs: sandboxes, watched },
      filesOf: (sandbox) => filesIn(this.recipe, sandbox),
    });
    try {
      await site.begin(new Set(roles.flatMap((role) => configs[role]?.sandbox ?? [])), signal);
      return site;
    } catch (thrown) {
      await site.stop();
      throw thrown;
    }
  }
}

/** The live parts of one process. */
export class LivePlan {
  readonly agents: ReadonlyMap<string, Agent>;
  /** Models with replicas, for metrics. */
  readonly replicated: readonly Replicated[];
  readonly sandboxes: SandboxSite;
  readonly answers: KeptAnswers;

  constructor(
    agents: LivePlan["agents"],
    replicated: LivePlan["replicated"],
    sandboxes: SandboxSite,
    answers: KeptAnswers,
  ) {
    this.agents = agents;
    this.replicated = replicated;
    this.sandboxes = sandboxes;
    this.answers = answers;
  }

  async stop(): Promise<void> {
    await Promise.all([this.sandboxes.stop(), this.answers.close()]);
  }
}
