// A rehearsal takes some tasks of a run all the way by its real rule and code, with stand-ins for
// its models. A role in a sandbox is not started, and neither is one whose code was left out: a
// task that reaches it ends there. Nothing is written and no endpoint is asked.

import type { Agent } from "../../agent/contract.ts";
import { openDataset } from "../../dataset/open.ts";
import { MatrixError } from "../../error.ts";
import { Host } from "../../host/host.ts";
import { Role } from "../../host/role.ts";
import { NO_RUN } from "../../model/context.ts";
import { countTime } from "../../model/stand-in.ts";
import { startTask } from "../../orchestrator/advance.ts";
import { MemoryTransport } from "../../peer/memory-transport.ts";
import { systemClock } from "../../task/clock.ts";
import { createRandom, deriveSeed } from "../../task/seed.ts";
import type { Hop, Message } from "../../task/task.ts";
import { limitAgent } from "../create-host.ts";
import type { Plan } from "../plan.ts";
import type { Scanned } from "../scan-rows.ts";

/** Most tasks that are rehearsed, and the longest time of the rehearsal. */
const TASKS_MAX = 100;
const REHEARSAL_MS = 30_000;

export interface Rehearsed {
  readonly history: readonly Hop[];
  /** The role at which the task stopped; null when it came to its end. */
  readonly stoppedAt: string | null;
}

/** Rehearses up to TASKS_MAX tasks. Tasks that take too long are left out. */
export async function rehearse(plan: Plan, scanned: Scanned): Promise<readonly Rehearsed[]> {
  return rehearseTasks(plan, await drawTasks(plan, scanned));
}

/** Rehearses the tasks of these messages. */
export async function rehearseTasks(
  plan: Plan,
  first: readonly Message[],
): Promise<readonly Rehearsed[]> {
  const ended: Rehearsed[] = [];
  const over = Promise.withResolvers<void>();
  if (first.length === 0) return [];
  const transport = new MemoryTransport();
  const host = new Host({
    id: "rehearsal",
    roles: rolesOf(plan),
    rule: plan.rule,
    taskTimeoutMs: Number.POSITIVE_INFINITY,
    transport,
    clock: systemClock,
    tracing: null,
  });
  transport.start(host, {
    receive: (ends) => {
      ended.push(...ends.map(rehearsedOf));
      if (ended.length === first.length) over.resolve();
    },
  });
  for (const message of first) transport.submit(message);
  const timer = setTimeout(over.resolve, REHEARSAL_MS);
  await over.promise;
  clearTimeout(timer);
  host.stop();
  return ended;
}

function rehearsedOf(end: Message): Rehearsed {
  const error = end.kind === "end" ? end.ending.error : null;
  return {
    history: end.task.history,
    stoppedAt: error?.message === NOT_STARTED ? error.role : null,
  };
}

/** First messages of the tasks that the run's seed chooses. */
async function drawTasks({ recipe, rule }: Plan, { source, scan }: Scanned): Promise<Message[]> {
  const { seed, trials } = recipe.run;
  const wanted = choose(scan.rows * trials, createRandom(deriveSeed(seed, "rehearsal")));
  const messages: Message[] = [];
  const rows = await openDataset(source, scan.rows);
  try {
    for (let number = 0; messages.length < wanted.size; number++) {
      const row = await rows.next();
      if (row === null) break;
      for (let trial = 0; trial < trials; trial++) {
        if (!wanted.has(number * trials + trial)) continue;
        const drawn = {
          rowId: row.id,
          trial,
          row: row.row,
          seed: deriveSeed(seed, row.id, trial),
          attempt: 1,
        };
        messages.push(await startTask(rule, { ...drawn, admittedAt: systemClock(), trace: null }));
      }
    }
  } finally {
    await rows.close();
  }
  return messages;
}

/** Different numbers below `total`. */
function choose(total: number, random: () => number): ReadonlySet<number> {
  const chosen = new Set<number>();
  if (total <= TASKS_MAX) for (let number = 0; number < total; number++) chosen.add(number);
  else while (chosen.size < TASKS_MAX) chosen.add(Math.floor(random() * total));
  return chosen;
}

const NOT_STARTED = "not started: it runs in a sandbox, or its code was left out";

function rolesOf({ recipe, agents, models }: Plan): Role[] {
  const standIns = new Map([...models].map(([name, model]) => [name, model.open(NO_RUN)]));
  const pool = (name: string): never => {
    throw new Error(`bug: a rehearsal opened sandbox ${name}`);
  };
  return Object.entries(recipe.roles).map(([name, { sandbox, model }]) => {
    const plan = agents.get(name);
    const isCode = plan === undefined || (model !== undefined && !standIns.has(model));
    const agent =
      isCode || sandbox !== undefined
        ? absent
        : limitAgent(recipe, name, plan.open({ models: standIns, pool }));
    return new Role({
      name,
      agent: plan?.render == null ? agent : timed(agent),
      concurrency: TASKS_MAX,
      timeoutMs: REHEARSAL_MS,
      retries: 0,
    });
  });
}

const absent: Agent = {
  run: () => {
    throw new MatrixError("sandbox_unavailable", NOT_STARTED);
  },
};

/** The same agent, whose hops have the time that its model would have taken. */
function timed(agent: Agent): Agent {
  return {
    run: async (task, context) => {
      const { value, ms } = await countTime(() => agent.run(task, context));
      const answer = { ...value, run_ms: ms };
      return answer;
    },
  };
}
