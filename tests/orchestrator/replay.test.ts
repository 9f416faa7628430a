// Rules are pure, so that any host can evaluate them: a recorded history that is replayed through
// start and next takes the same route to the same end.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nextMessage, type Rule, startTask } from "../../src/orchestrator/advance.ts";
import { prepare } from "../../src/run/prepare.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import type { Message } from "../../src/task/task.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { readRecords } from "../parts/records.ts";
import { CORAL, ROOT } from "../parts/repository.ts";

/** The message that the rule gives after a recorded history. Fails at a hop of another role. */
async function replay(
  rule: Rule,
  { id, trial, row, seed, attempt, history }: TrajectoryRecord,
): Promise<Message> {
  let message = await startTask(rule, {
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
    message = await nextMessage(rule, JSON.parse(JSON.stringify(message.task)), hop);
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

test("a recorded history takes the same route again through a pattern, a module, a graph and a rule in Python", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "route.ts"), MODULE);
    const fast = [
      'models.speaker.latency="1ms"',
      "models.speaker.tokens_per_second=1000000",
      "models.speaker.errors.server_error=0.05",
      "models.speaker.retries=0",
      "models.speaker.deadline=0s",
    ];
    const graph = join(ROOT, "recipes/coral/graph.ts#build");
    const python = join(ROOT, "recipes/coral/rule.py");
    for (const [name, more] of [
      ["pattern", []],
      ["module", [`orchestrator.module=${join(folder, "route.ts")}`]],
      ["graph", [`orchestrator={graph="${graph}", with={max_turns=8}}`]],
      ["python", [`orchestrator={module="${python}", with={max_turns=8}}`]],
    ] as const) {
      await matrix(["drive", CORAL, "-o", name, "--trials", "3", ...fast, ...more], {
        cwd: folder,
      });
      const options = { env: {}, cwd: folder, overrides: more, watchesAll: true };
      const { rule } = await prepare(CORAL, options);
      const records = await readRecords(join(folder, name));
      expect(records).toHaveLength(120);
      for (const record of records) {
        const message = await replay(rule, record);
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
