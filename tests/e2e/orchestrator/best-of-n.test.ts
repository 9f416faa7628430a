// Rejection sampling through the binary: candidates differ, nothing is asked after the accepted
// one, and a run that is killed in the middle of its rows goes on to the same records.

import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { comparable, comparableAfterKill, readRecords } from "../../parts/records.ts";
import { until } from "../../parts/until.ts";

const RECIPE = `name = "rejection"
dataset.path = "rows.jsonl"
run.concurrency = 8
[models.guesser]
kind = "simulated"
replies = { text = "{{ (random() * 10) | int }}" }
latency = "15ms"
[roles.guess]
agent = "llm"
model = "guesser"
prompt = { text = "A number, please." }
[roles.judge]
agent = "judge.ts"
[orchestrator]
pattern = "best-of-n"
roles = ["guess", "judge"]
n = 6
accept = "score >= 0.8"
`;
const JUDGE = `import { agent } from "matrix";
export default agent(({ history }) => {
  const guess = Number((history.at(-1)?.result as { content: string }).content);
  return { guess, score: guess / 10 };
});
`;

interface Outcome {
  readonly guess: number;
  readonly chosen: number;
  readonly candidates: readonly { readonly score: number; readonly accepted: boolean }[];
}

test("a killed run of best-of-n goes on to the candidates of an undisturbed run", () =>
  withFolder(async (folder) => {
    const rows = Array.from({ length: 60 }, (_, n) => JSON.stringify({ n })).join("\n");
    for (const [name, text] of Object.entries({
      "recipe.toml": RECIPE,
      "judge.ts": JUDGE,
      "rows.jsonl": rows,
    }))
      await writeFile(join(folder, name), text);
    expect(
      (await matrix(["drive", "recipe.toml", "-q", "-o", "whole"], { cwd: folder })).code,
    ).toBe(0);
    const whole = await readRecords(join(folder, "whole"));
    expect(whole).toHaveLength(60);
    expect(new Set(whole.map(({ stop_reason }) => stop_reason))).toEqual(
      new Set(["completed", "max_turns"]),
    );
    for (const { outcome, score, usage, stop_reason } of whole) {
      const { guess, chosen, candidates } = outcome as unknown as Outcome;
      const scores = candidates.map((candidate) => candidate.score);
      expect(usage.requests).toBe(candidates.length);
      expect({ score, guess }).toEqual({
        score: Math.max(...scores),
        guess: (scores[chosen] ?? 0) * 10,
      });
      const accepted = scores.map((one) => one >= 0.8);
      expect(candidates.map((candidate) => candidate.accepted)).toEqual(accepted);
      if (stop_reason === "completed") expect(accepted.indexOf(true)).toBe(candidates.length - 1);
      else
        expect({ accepted: accepted.includes(true), tried: candidates.length }).toEqual({
          accepted: false,
          tried: 6,
        });
    }

    const killed = join(folder, "killed");
    const { child, finished } = spawnMatrix(["drive", "recipe.toml", "-q", "-o", "killed"], {
      cwd: folder,
    });
    const file = join(killed, "trajectories.jsonl");
    await until(() => existsSync(file) && statSync(file).size > 0, "the first record is written");
    child.kill("SIGKILL");
    await finished;
    expect((await readRecords(killed)).length).toBeLessThan(60);
    expect(
      (await matrix(["drive", "recipe.toml", "-q", "-o", "killed"], { cwd: folder })).code,
    ).toBe(0);
    expect(comparableAfterKill(await readRecords(killed))).toEqual(comparable(whole));
    expect((await matrix(["verify", "killed"], { cwd: folder })).code).toBe(0);
  }));
