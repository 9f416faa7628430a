// A finished turn is not paid for twice: a run is killed while its dialogues are in the middle, started again with the same
// command, and the endpoint counts what it is asked.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { matrix, readRecords, spawnMatrix, until, withFolder } from "../matrix.ts";
import { Endpoint } from "./endpoint.ts";

const ROWS = 12;
const TURNS = 6;
/** Turns that are answered before the gate. */
const FREE = 3;
const RECIPE = `name = "talk"
dataset.path = "rows.jsonl"
[models.speaker]
kind = "openai"
base_url = "\${env:ENDPOINT}"
model = "real"
retries = 0
price = { prompt = 1000, completion = 1000 }
[roles.left]
agent = "llm"
model = "speaker"
system = { text = "left" }
prompt = { text = "{{ row.n }}" }
sampling = { temperature = 1, top_p = 0.9 }
[roles.right]
agent = "llm"
model = "speaker"
system = { text = "right" }
prompt = { text = "{{ row.n }}" }
[roles.note]
agent = "note.ts"
[orchestrator]
pattern = "dialogue"
speakers = ["left", "right"]
between = ["note"]
max_turns = ${TURNS}
`;
const NOTE = `import { agent } from "matrix";
export default agent(({ history }) => ({ hops: history.length }));
`;

async function withRecipe(use: (folder: string, endpoint: Endpoint) => Promise<void>): Promise<void> {
  const endpoint = new Endpoint(FREE);
  try {
    await withFolder(async (folder) => {
      await writeFile(join(folder, "recipe.toml"), RECIPE);
      await writeFile(join(folder, "note.ts"), NOTE);
      await writeFile(join(folder, "rows.jsonl"), Array.from({ length: ROWS }, (_, n) => `{"n":"row ${n}"}\n`).join(""));
      await use(folder, endpoint);
    });
  } finally {
    await endpoint.stop();
  }
}

const drive = ["drive", "recipe.toml", "-q", "-o", "run"];
const optionsOf = (cwd: string, endpoint: Endpoint) => ({ cwd, env: { ENDPOINT: endpoint.url } });
/** Every dialogue is at the gate, once more than before. */
const atGate = (endpoint: Endpoint, times: number) => until(() => endpoint.callsOf(FREE) === times * ROWS, `all rows wait, ${times}`);

async function workersOf(run: string): Promise<readonly { readonly pid: number }[]> {
  return JSON.parse(await readFile(join(run, "driver.json"), "utf8")).workers;
}

function expectPaidOnce(endpoint: Endpoint): void {
  for (let turn = 0; turn < TURNS; turn++) {
    expect(`turn ${turn}: ${endpoint.requestsOf(turn)} requests`).toBe(`turn ${turn}: ${ROWS} requests`);
    if (turn !== FREE) expect(`turn ${turn}: ${endpoint.callsOf(turn)} calls`).toBe(`turn ${turn}: ${ROWS} calls`);
  }
}

describe("a finished turn", () => {
  for (const more of [[], ["run.compress=true"]])
    test(`is not paid for twice when the only process is killed ${more}`, () =>
      withRecipe(async (folder, endpoint) => {
        const options = optionsOf(folder, endpoint);
        for (const time of [1, 2]) {
          const { child, finished } = spawnMatrix([...drive, ...more], options);
          await atGate(endpoint, time);
          child.kill("SIGKILL");
          await finished;
        }
        endpoint.open();
        const { code, stdout, stderr } = await matrix([...drive, ...more], options);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        expect(stdout).toContain(`expected ${ROWS} = ok ${ROWS} + failed 0 + lost 0`);
        // What was paid for before the kill stands in the records like the rest.
        expect(stdout).toContain(`model: ${ROWS * TURNS} requests, ${ROWS * TURNS * 10} tokens in, ${ROWS * TURNS * 5} out, cost 1.0800`);
        expectPaidOnce(endpoint);
        expect((await matrix(["verify", "run"], options)).code).toBe(0);
        // Nothing is kept of what is recorded.
        expect(existsSync(join(folder, "run/journal"))).toBe(false);
      }));

  test("is not paid for twice when a worker is killed, and then the driver, and then all", () =>
    withRecipe(async (folder, endpoint) => {
      const options = optionsOf(folder, endpoint);
      const workers = [...drive, "--workers", "2"];
      const first = spawnMatrix(workers, options);
      await atGate(endpoint, 1);
      const [one] = await workersOf(join(folder, "run"));
      process.kill(one?.pid ?? 0, "SIGKILL");
      await until(async () => endpoint.callsOf(FREE) > ROWS && !(await workersOf(join(folder, "run"))).some(({ pid }) => pid === one?.pid), "others go on");
      first.child.kill("SIGKILL");
      await first.finished;
      const second = spawnMatrix(workers, options);
      await until(async () => (await workersOf(join(folder, "run"))).length === 2, "the run goes on");
      const alive = await workersOf(join(folder, "run"));
      second.child.kill("SIGKILL");
      await second.finished;
      for (const { pid } of alive) process.kill(pid, "SIGKILL");
      endpoint.open();
      const { code, stdout } = await matrix(workers, options);
      expect(stdout).toContain(`expected ${ROWS} = ok ${ROWS} + failed 0 + lost 0`);
      expect(code).toBe(0);
      expectPaidOnce(endpoint);
      expect(existsSync(join(folder, "run/journal"))).toBe(false);
    }));
});
