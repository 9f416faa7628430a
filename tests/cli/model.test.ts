// `matrix model serve`: which model it serves, where, and until when.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFolder } from "../parts/folder.ts";
import { matrix, startMatrix } from "../parts/program.ts";
import { until } from "../parts/until.ts";

const recipe = (models: string) => `name = "r"
dataset.path = "d.jsonl"
${models}
[roles.a]
agent = "llm"
model = "m"
prompt = { text = "{{ row.q }}" }
[orchestrator]
pattern = "sequence"
roles = ["a"]
`;

/** Serves, asks for the list of models and ends the server with a signal. */
async function servedBy(
  args: readonly string[],
  folder: string,
  signal: "SIGINT" | "SIGTERM" = "SIGTERM",
) {
  const all = ["model", "serve", "--listen", "127.0.0.1:0", ...args];
  const { output, finished } = startMatrix(all, { cwd: folder });
  await until(() => output.stderr.includes("stop with"), "the server listens");
  const url = output.stdout.trim();
  const { data } = (await (await fetch(`${url}/models`)).json()) as { data: { id: string }[] };
  const listening = process.listenerCount(signal);
  process.emit(signal);
  const { code, stderr } = await finished;
  expect(process.listenerCount(signal)).toBe(listening - 1);
  expect(stderr).toContain(` at ${url}; stop with Ctrl-C`);
  return { code, url, ids: data.map(({ id }) => id), stderr };
}

test.each(["SIGINT", "SIGTERM"] as const)("a model is served at a free port until %s", (signal) =>
  withFolder(async (folder) => {
    const { code, url, ids, stderr } = await servedBy(["latency=1ms"], folder, signal);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/);
    expect(ids).toEqual(["simulated"]);
    expect(stderr).toStartWith('simulated model "simulated" at ');
    expect(code).toBe(0);
  }),
);

test("the only simulated model of a recipe is served, or the one that --model names", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "one.toml"), recipe('models.m.kind = "simulated"'));
    await writeFile(
      join(folder, "two.toml"),
      recipe('models.m.kind = "simulated"\nmodels.n.kind = "simulated"'),
    );
    expect((await servedBy(["--recipe", "one.toml"], folder)).ids).toEqual(["m"]);
    const named = ["--recipe", "two.toml", "--model", "n", "latency=1ms"];
    expect((await servedBy(named, folder)).ids).toEqual(["n"]);
  }));

test("settings belong to the only simulated model of a recipe, also without --model", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "one.toml"), recipe('models.m.kind = "simulated"'));
    const args = ["--listen", "127.0.0.1:0", "--recipe", "one.toml", "errors.server_error=1"];
    const { output, finished } = startMatrix(["model", "serve", ...args], { cwd: folder });
    await until(() => output.stderr.includes("stop with"), "the server listens");
    const body = JSON.stringify({ messages: [{ role: "user", content: "hi" }] });
    const url = `${output.stdout.trim()}/chat/completions`;
    expect((await fetch(url, { method: "POST", body })).status).toBe(500);
    process.emit("SIGTERM");
    expect((await finished).code).toBe(0);
  }));

test("a choice that is not clear is refused with the models that there are", () =>
  withFolder(async (folder) => {
    const two = 'models.m.kind = "simulated"\nmodels.n.kind = "simulated"';
    const openai =
      'models.m = { kind = "openai", base_url = "http://127.0.0.1:1/v1", model = "x" }';
    await writeFile(join(folder, "two.toml"), recipe(two));
    await writeFile(join(folder, "none.toml"), recipe(openai));
    const refused = async (...args: string[]) => {
      const { code, stdout, stderr } = await matrix(["model", "serve", ...args], { cwd: folder });
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      return stderr;
    };
    expect(await refused("--recipe", "two.toml")).toBe(
      "error: two.toml has 2 simulated models\nhint: name one with --model: m, n\n",
    );
    expect(await refused("--recipe", "two.toml", "--model", "m2")).toBe(
      'error: two.toml has no simulated model "m2"\nhint: name one with --model: m, n\n',
    );
    expect(await refused("--recipe", "none.toml")).toBe(
      "error: none.toml has 0 simulated models\nhint: name a recipe that has a simulated model, or leave out --recipe\n",
    );
    expect(await refused("latencies=1ms")).toContain("latencies");
    await writeFile(join(folder, "one.toml"), recipe('models.m.kind = "simulated"'));
    expect(await refused("--recipe", "one.toml", "latencies=1ms")).toContain("latencies");
    expect(await refused("--listen", "a:b:c")).toContain('"a:b:c" is not an address');
  }));

test("an address that is taken is refused, and port 0 is the way out", () =>
  withFolder(async (folder) => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const { port } = server;
    const { code, stderr } = await matrix(["model", "serve", "--listen", `127.0.0.1:${port}`], {
      cwd: folder,
    });
    await server.stop(true);
    expect(stderr).toBe(
      `error: cannot listen on 127.0.0.1:${port}\nhint: another program may hold the port; --listen 127.0.0.1:0 takes a free one\n`,
    );
    expect(code).toBe(2);
  }));
