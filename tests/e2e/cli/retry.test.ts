// `matrix drive --retry`: exactly the failed rows are asked again, on any number of hosts, and a
// kill at any moment loses and doubles nothing.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { until } from "../../parts/until.ts";

const CODE = `name = "mend"
dataset.path = "rows.jsonl"
run.fail_above = 1
[roles.a]
agent = "a.ts"
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;
const AGENT = `import { existsSync } from "node:fs";
export default ({ row }) => {
  if (row.n % 2 === 1 && !existsSync("fixed")) throw new Error("backend down");
  return { answer: row.n };
};
`;

async function writeRows(folder: string, rows: number, filler = ""): Promise<void> {
  const row = (n: number) => `${JSON.stringify({ n, filler })}\n`;
  await writeFile(
    join(folder, "rows.jsonl"),
    Array.from({ length: rows }, (_, n) => row(n)).join(""),
  );
}

async function verified(folder: string): Promise<{ code: number | null; text: string }> {
  const { code, stdout } = await matrix(["verify", "run"], { cwd: folder });
  return { code, text: stdout };
}

const sizeOf = async (path: string) => (await stat(path).catch(() => null))?.size ?? 0;

for (const compress of [false, true]) {
  const ending = compress ? "jsonl.zst" : "jsonl";
  test(`a retry that is killed again and again loses and doubles no record in a .${ending} file`, () =>
    withFolder(async (folder) => {
      const rows = 4000;
      await writeFile(join(folder, "recipe.toml"), CODE);
      await writeFile(join(folder, "a.ts"), AGENT);
      await writeRows(folder, rows, "x".repeat(4000));
      const drive = ["drive", "recipe.toml", "-q", "-o", "run", `run.compress=${compress}`];
      await matrix(drive, { cwd: folder });
      await writeFile(join(folder, "fixed"), "");
      const at = (name: string) => join(folder, "run", name);
      const moments: readonly (() => Promise<boolean> | boolean)[] = [
        () => existsSync(at(`trajectories.${ending}.next`)),
        () => existsSync(at("retry.json")),
        async () => (await sizeOf(at(`superseded.${ending}`))) > 0,
        async () => (await sizeOf(at(`superseded.${ending}`))) > 0 && !existsSync(at("retry.json")),
      ];
      for (const isThere of moments) {
        const { child, finished } = spawnMatrix([...drive, "--retry", "failed"], { cwd: folder });
        // A moment may be over before it was seen. Then the retry comes to its end.
        await until(
          async () => child.exitCode !== null || (await isThere()),
          "the moment is there",
        );
        child.kill("SIGKILL");
        await finished;
        const { code, text } = await verified(folder);
        expect(text).not.toContain("wrong:");
        expect([0, 3]).toContain(code as number);
      }
      await matrix([...drive, "--retry", "failed"], { cwd: folder });
      const { stdout } = await matrix(["verify", "run", "--json"], { cwd: folder });
      expect(JSON.parse(stdout)).toMatchObject({
        ...{ state: "complete", expected: rows, ok: rows, failed: 0 },
        ...{ superseded: rows / 2, verified: true },
      });
    }));
}

const ASKING = `name = "mend"
dataset.path = "rows.jsonl"
run.fail_above = 1
run.stop_after = 0
[models.m]
kind = "openai"
base_url = "\${env:ENDPOINT}"
model = "real"
retries = 0
[roles.a]
agent = "llm"
model = "m"
prompt = { text = "row {{ row.n }}" }
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;

/** An endpoint whose odd rows fail until it is mended. It counts the requests for each row. */
function openEndpoint() {
  const state = { isBroken: true, asked: new Map<number, number>() };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      if (request.method === "GET") return new Response("", { status: 404 });
      const n = Number(/row (\d+)/.exec(await request.text())?.[1]);
      state.asked.set(n, (state.asked.get(n) ?? 0) + 1);
      if (state.isBroken && n % 2 === 1) return new Response("down", { status: 500 });
      return Response.json({
        choices: [{ finish_reason: "stop", message: { role: "assistant", content: `said ${n}` } }],
        usage: { prompt_tokens: 10, completion_tokens: 5 },
      });
    },
  });
  return { state, url: `http://127.0.0.1:${server.port}/v1`, stop: () => server.stop(true) };
}

for (const how of [[], ["--workers", "2"], ["--listen", "127.0.0.1:0"]] as const) {
  test(`after a server was down, exactly the failed rows are asked again: drive ${how.join(" ")}`, () =>
    withFolder(async (folder) => {
      const { state, url, stop } = openEndpoint();
      try {
        await writeFile(join(folder, "recipe.toml"), ASKING);
        await writeRows(folder, 200);
        const env = { ENDPOINT: url, MATRIX_TOKEN: "0123456789abcdef0123" };
        const play = async (...more: string[]) => {
          const drive = ["drive", "recipe.toml", "-q", "-o", "run", ...how, ...more];
          const { child, finished } = spawnMatrix(drive, { cwd: folder, env });
          if (how[0] !== "--listen") return finished;
          const driverFile = () => existsSync(join(folder, "run", "driver.json"));
          await until(() => child.exitCode !== null || driverFile(), "the driver listens");
          const agent = spawnMatrix(["agent", "--join", "run", "--role", "a"], {
            cwd: folder,
            env,
          });
          const { code, stdout, stderr } = await finished;
          await agent.finished;
          return { code, stdout, stderr };
        };
        const first = await play();
        expect(first.stdout).toContain("expected 200 = ok 100 + failed 100 + lost 0");
        const complete = await play();
        expect(complete.stdout).toContain("was complete already, but 100 failed: model_failed 100");
        expect(complete.stdout).toContain("the same command with --retry failed");
        expect(state.asked.size).toBe(200);
        state.asked.clear();
        state.isBroken = false;
        const again = await play("--retry", "failed");
        expect(again.stdout).toContain("expected 200 = ok 200 + failed 0 + lost 0");
        expect(again.stdout).toContain("run again: 100;");
        expect(again.code).toBe(0);
        expect([...state.asked.keys()].every((n) => n % 2 === 1)).toBe(true);
        expect([...state.asked.values()]).toEqual(Array<number>(100).fill(1));
        expect((await verified(folder)).code).toBe(0);
        expect(await readRecords(join(folder, "run"))).toHaveLength(200);
        const manifest = JSON.parse(await readFile(join(folder, "run/manifest.json"), "utf8"));
        expect(manifest).toMatchObject({ superseded: 100, spent: { requests: 200 } });
      } finally {
        await stop();
      }
    }));
}
