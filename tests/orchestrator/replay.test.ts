// Rules are pure, so that any host can evaluate them: a recorded history that is replayed through
// start and next takes the same route to the same end.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadUserModule } from "../../src/agent/user-module.ts";
import type { Rule } from "../../src/orchestrator/advance.ts";
import { createOrchestrator } from "../../src/orchestrator/create.ts";
import { provideSdk } from "../../src/platform.ts";
import { loadRecipe } from "../../src/recipe/load.ts";
import * as sdk from "../../src/sdk.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import type { Message } from "../../src/task/task.ts";
import { nextMessage, startTask } from "../parts/at-once.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { readRecords } from "../parts/records.ts";
import { CORAL, ROOT } from "../parts/repository.ts";

/** The message that the rule gives after a recorded history. Fails at a hop of another role. */
function replay(rule: Rule, { id, trial, row, seed, attempt, history }: TrajectoryRecord): Message {
  let message = startTask(rule, {
    rowId: id,
    trial,
    row,
    seed,
    attempt,
    admittedAt: 0,
    trace: null,
  });
  for (const hop of history) {
    if (message.kind !== "step")
      throw new Error(`the rule ends at hop ${hop.hop}, the record went on`);
    expect(message.task.role).toBe(hop.role);
    // Tasks travel as JSON, so the state must survive it.
    message = nextMessage(rule, JSON.parse(JSON.stringify(message.task)), hop);
  }
  return message;
}

const MODULE = `import { done, orchestrator, to } from "matrix";
export default orchestrator<{ left: number }>({
  start: (_, { seed }) => to("student", { left: 1 + (seed % 3) }),
  next: ({ left }, result, { role }) => {
    if (role === "student") return to("teacher", { left });
    if (role === "teacher" && left > 1) return to("student", { left: left - 1 });
    if (role === "teacher") return to("extractor", { left: 0 });
    if (role === "extractor") return to("matcher", { left: 0 });
    return done({ outcome: result as { agreed: boolean } });
  },
});
`;

test("a recorded history takes the same route again through a pattern, a module and a graph", () =>
  withFolder(async (folder) => {
    provideSdk(sdk);
    await writeFile(join(folder, "route.ts"), MODULE);
    const fast = [
      'models.speaker.latency="1ms"',
      "models.speaker.tokens_per_second=1000000",
      "models.speaker.errors.server_error=0.05",
      "models.speaker.retries=0",
      "models.speaker.deadline=0s",
    ];
    const graph = join(ROOT, "recipes/coral/graph.ts#build");
    for (const [name, more] of [
      ["pattern", []],
      ["module", [`orchestrator.module=${join(folder, "route.ts")}`]],
      ["graph", [`orchestrator={graph="${graph}", with={max_turns=8}}`]],
    ] as const) {
      await matrix(["drive", CORAL, "-o", name, "--trials", "3", ...fast, ...more], {
        cwd: folder,
      });
      const { recipe } = await loadRecipe(CORAL, { env: {}, cwd: folder, overrides: more });
      const orchestrator = await createOrchestrator(
        recipe.orchestrator,
        loadUserModule,
        Object.keys(recipe.roles),
      );
      const rule = {
        orchestrator,
        roles: new Set(Object.keys(recipe.roles)),
        maxHops: recipe.run.max_hops,
      };
      const records = await readRecords(join(folder, name));
      expect(records).toHaveLength(120);
      for (const record of records) {
        const message = replay(rule, record);
        if (record.status === "failed") expect(message.kind).toBe("step");
        else
          expect(message).toMatchObject({
            kind: "end",
            ending: {
              stopReason: record.stop_reason,
              score: record.score,
              outcome: record.outcome,
            },
          });
      }
    }
  }));
