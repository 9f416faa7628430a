// Tasks that fork, on hosts in separate processes that are killed meanwhile.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import type { Finished } from "../../parts/finished.ts";
import { withFolder } from "../../parts/folder.ts";
import { comparable, readRecords } from "../../parts/records.ts";
import { until } from "../../parts/until.ts";

const RECIPE = `name = "branches"
dataset.path = "rows.jsonl"
run.concurrency = 40
[models.speaker]
kind = "simulated"
latency = { kind = "exponential", mean = "60ms" }
[roles.left]
agent = "llm"
model = "speaker"
prompt = { text = "{{ row.n }} from the left" }
[roles.right]
agent = "llm"
model = "speaker"
prompt = { text = "{{ row.n }} from the right" }
[roles.judge]
agent = "judge.ts"
[orchestrator]
pattern = "fan-out"
roles = ["left", "right"]
after = ["judge"]
`;
const JUDGE = `import { agent } from "matrix";
export default agent(({ history }) => ({ heard: history.map(({ role, branch }) => role + " " + branch), score: history.length / 2 }));
`;
const BEST = [
  'orchestrator={ pattern = "best-of-n", roles = ["left", "judge"], n = 3, parallel = true, accept = "score > 10" }',
  "roles.right.agent=judge.ts",
];

async function write(folder: string, rows: number): Promise<void> {
  const lines = Array.from({ length: rows }, (_, n) => JSON.stringify({ n })).join("\n");
  for (const [name, text] of Object.entries({
    "recipe.toml": RECIPE,
    "judge.ts": JUDGE,
    "rows.jsonl": lines,
  }))
    await writeFile(join(folder, name), text);
}

async function workersOf(run: string): Promise<readonly { readonly pid: number }[]> {
  const path = join(run, "driver.json");
  if (!existsSync(path)) return [];
  return JSON.parse(await readFile(path, "utf8")).workers ?? [];
}

test("branches make the same records in one process, on hosts of all roles and on hosts of one role", () =>
  withFolder(async (folder) => {
    await write(folder, 60);
    const expectWhole = ({ code, stdout }: Finished) => {
      expect(stdout).toContain("expected 60 = ok 60 + failed 0 + lost 0");
      expect(code).toBe(0);
    };
    expectWhole(await matrix(["drive", "recipe.toml", "-q", "-o", "one"], { cwd: folder }));
    expectWhole(
      await matrix(["drive", "recipe.toml", "-q", "-o", "workers", "--workers", "3"], {
        cwd: folder,
      }),
    );
    const driver = spawnMatrix(
      ["drive", "recipe.toml", "-q", "-o", "apart", "--listen", "127.0.0.1:0"],
      { cwd: folder },
    );
    const agents = ["left", "right", "judge"].map((role) =>
      spawnMatrix(["agent", "--role", role, "--join", join(folder, "apart/driver.json")], {
        cwd: folder,
      }),
    );
    expectWhole(await driver.finished);
    for (const { finished } of agents) await finished;
    const one = await readRecords(join(folder, "one"));
    for (const { outcome, score, usage } of one) {
      expect(outcome).toEqual({ heard: ["left 0", "right 1"], score: 1 });
      expect({ score, requests: usage.requests }).toEqual({ score: 1, requests: 2 });
    }
    for (const name of ["workers", "apart"])
      expect(comparable(await readRecords(join(folder, name)))).toEqual(comparable(one));
    const apart = await readRecords(join(folder, "apart"));
    expect(new Set(apart.flatMap(({ history }) => history.map(({ host }) => host))).size).toBe(3);
  }));

test("no row is lost or doubled while hosts that hold branches are killed", () =>
  withFolder(async (folder) => {
    await write(folder, 400);
    const run = join(folder, "run");
    const { finished } = spawnMatrix(
      ["drive", "recipe.toml", "-q", "-o", "run", "--workers", "4"],
      { cwd: folder },
    );
    const killed = new Set<number>();
    for (let round = 0; round < 3; round++) {
      const alive = async () => (await workersOf(run)).filter(({ pid }) => !killed.has(pid));
      const records = async () =>
        existsSync(join(run, "trajectories.jsonl")) ? (await readRecords(run)).length : 0;
      await until(
        async () => (await alive()).length >= 2 && (await records()) > 60 * round,
        "there is something to kill",
      );
      // Two at once: what only they had is found and done again.
      for (const { pid } of (await alive()).slice(0, 2)) {
        killed.add(pid);
        process.kill(pid, "SIGKILL");
      }
    }
    const { code, stdout } = await finished;
    expect(stdout).toContain("expected 400 = ok 400 + failed 0 + lost 0");
    expect(code).toBe(0);
    expect(killed.size).toBe(6);
    const records = await readRecords(run);
    expect(new Set(records.map(({ id }) => id)).size).toBe(400);
    for (const { history } of records)
      expect(history.map(({ hop, role }) => `${hop} ${role}`)).toEqual([
        "0 left",
        "1 right",
        "2 judge",
      ]);
    expect((await matrix(["verify", "run"], { cwd: folder })).code).toBe(0);
  }));

test("branches are refused with at-most-once delivery", () =>
  withFolder(async (folder) => {
    await write(folder, 1);
    const refused = await matrix(["check", "recipe.toml", "run.delivery=at-most-once"], {
      cwd: folder,
    });
    expect({ code: refused.code, stderr: refused.stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining('needs delivery = "retry"'),
    });
    const best = await matrix(["check", "recipe.toml", ...BEST], { cwd: folder });
    expect(best.stderr).toContain("roles.right: no task reaches this role");
  }));
