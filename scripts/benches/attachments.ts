// Memory of a run whose rows have images of 20 MB, with many requests in flight. Usage:
// scripts/bench attachments [--rows N] [--bytes N] [--same].

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const SAMPLE_MS = 100;
const THINK_MS = 2000;
const ANSWER = JSON.stringify({
  choices: [{ message: { role: "assistant", content: "a cat" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 1 },
});

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "100" },
    bytes: { type: "string", default: "20000000" },
    same: { type: "boolean", default: false },
  },
});
const rows = Number(values.rows);
const folder = await mkdtemp(join(tmpdir(), "matrix-bench-"));
const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => setTimeout(() => response.end(ANSWER), THINK_MS));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as { port: number };

for (let row = 0; row < (values.same ? 1 : rows); row++) {
  const image = Buffer.alloc(Number(values.bytes), row);
  image.write("\x89PNG\r\n\x1a\n", "latin1");
  await writeFile(join(folder, `${row}.png`), image);
}
const lines = Array.from({ length: rows }, (_, row) =>
  JSON.stringify({ image: `${values.same ? 0 : row}.png` }),
);
await writeFile(join(folder, "rows.jsonl"), `${lines.join("\n")}\n`);
await writeFile(
  join(folder, "recipe.toml"),
  `name = "attachments"
dataset.path = "rows.jsonl"
models.m = { kind = "openai", base_url = "http://127.0.0.1:${port}/v1", model = "m" }
roles.a = { agent = "llm", model = "m", prompt = { text = "?" }, attachments = ["row.image"], attachment_folder = "." }
orchestrator = { pattern = "sequence", roles = ["a"] }
run.concurrency = ${rows}
`,
);
const began = performance.now();
const child = Bun.spawn(
  ["dist/matrix", "drive", join(folder, "recipe.toml"), "-o", `${folder}/run`],
  {
    stderr: "ignore",
    stdout: "ignore",
  },
);
let most = 0;
const sampling = setInterval(async () => {
  const status = await Bun.file(`/proc/${child.pid}/status`)
    .text()
    .catch(() => "");
  most = Math.max(most, Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0));
}, SAMPLE_MS);
const code = await child.exited;
clearInterval(sampling);
server.close();
await rm(folder, { recursive: true });
const seconds = (performance.now() - began) / 1000;
console.log(`${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${new Date().toISOString()}`);
console.log("| rows | bytes each | images | exit | seconds | most memory, MB |");
console.log("| --- | --- | --- | --- | --- | --- |");
const images = values.same ? "one" : "all differ";
console.log(
  `| ${rows} | ${values.bytes} | ${images} | ${code} | ${seconds.toFixed(1)} | ${Math.round(most / 1024)} |`,
);
