// A driver that goes on with other secrets: its hosts work with them, too.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../../parts/folder.ts";
import { readRecords } from "../../parts/records.ts";
import { until } from "../../parts/until.ts";
import { Cluster } from "./cluster.ts";

/** A model server that knows one key. */
function serve(key: string) {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      if (request.headers.get("authorization") !== `Bearer ${key}`)
        return Response.json({ error: { message: "wrong key" } }, { status: 401 });
      const message = { role: "assistant", content: "yes" };
      return Response.json({
        id: "1",
        object: "chat.completion",
        model: "m",
        choices: [{ index: 0, message, finish_reason: "stop" }],
        usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
      });
    },
  });
}

test("hosts that wait for the next driver work with its key after the first key was refused", () =>
  withFolder(async (folder) => {
    await using cluster = new Cluster(folder);
    const server = serve("good-key-of-the-test");
    const recipe = join(folder, "asks.toml");
    const rows = Array.from({ length: 30 }, (_, n) => JSON.stringify({ question: `${n}?` }));
    await writeFile(join(folder, "rows.jsonl"), rows.join("\n"));
    await writeFile(
      recipe,
      `name = "asks"
dataset.path = "rows.jsonl"
models.m = { kind = "openai", base_url = "${server.url}v1", model = "m", api_key = "\${env:ASKS_KEY}" }
roles.solver = { agent = "llm", model = "m", prompt = { text = "{{ row.question }}" } }
orchestrator = { pattern = "sequence", roles = ["solver"] }
`,
    );
    const drive = (key: string) =>
      cluster.drive(recipe, ["--listen", "127.0.0.1:0"], { env: { ASKS_KEY: key } });
    const first = drive("stale-key-of-the-test");
    const agent = cluster.agent("solver", ["--name", "host"]);
    expect(await first.ended).toBe(3);
    expect(first.stderr()).toContain("model_denied");
    await until(() => agent.stderr().includes("the host keeps its tasks"), "the host waits");
    expect(await drive("good-key-of-the-test").ended).toBe(0);
    expect(await agent.ended).toBe(0);
    await server.stop(true);
    const records = await readRecords(cluster.directory);
    expect(records.map(({ status }) => status)).toEqual(rows.map(() => "ok"));
    expect(agent.stderr()).toContain("joining anew");
  }));
