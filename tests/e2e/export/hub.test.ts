// The compiled binary pushes to a hub that the test plays: it goes on after SIGKILL, and the hub's
// own Python clients read what it pushed.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { matrix, spawnMatrix } from "../../parts/binary.ts";
import { FakeHub, READ_TOKEN, WRITE_TOKEN } from "../../parts/fake-hub.ts";
import { withFolder } from "../../parts/folder.ts";
import { DIALOGUE, type Made, said, writeRun } from "../../parts/run-directory.ts";
import { until } from "../../parts/until.ts";
import { PYTHON } from "./python.ts";

const ROWS = 3000;

function* talks(): Generator<Made> {
  for (let i = 0; i < ROWS; i++)
    yield { id: String(i), score: i % 2, history: [["student", said(`Answer ${i}`)]] };
}

const ARGS = [
  ...["export", "run", "--to", "hf", "-o", "hf://acme/set"],
  ...["--split", "train=0.9,test=0.1", "--license", "mit"],
];

async function withRun(use: (hub: FakeHub, folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    await using hub = new FakeHub({ partBytes: 40_000 });
    await writeRun(join(folder, "run"), DIALOGUE, talks());
    await use(hub, folder);
  });
}

test("a push that was killed goes on with the same command and uploads only what is missing", () =>
  withRun(async (hub, folder) => {
    const options = { cwd: folder, env: { HF_ENDPOINT: hub.url, HF_TOKEN: WRITE_TOKEN } };
    let parts = 0;
    // The test split is one part. Of the other file, the second part never gets an answer.
    hub.fault = async ({ path }) => {
      if (!/\/upload\/\w+\/2$/.test(path)) return null;
      parts++;
      return new Promise<null>(() => undefined);
    };
    const { child, finished } = spawnMatrix(ARGS, options);
    await until(() => hub.uploads === 1 && parts === 1, "one file is uploaded and one is not");
    child.kill("SIGKILL");
    expect((await finished).code).toBeNull();
    expect(hub.head("acme/set").title).toBe("initial commit");

    hub.fault = () => null;
    const before = hub.requests.length;
    const { code, stdout } = await matrix(ARGS, options);
    expect(code).toBe(0);
    const uploads = hub.requests.slice(before).filter(({ method }) => method === "PUT");
    expect(new Set(uploads.map(({ path }) => path.split("/")[2])).size).toBe(1);
    expect(stdout).toContain(`commit ${hub.head("acme/set").sha}, `);
  }));

interface ReadBack {
  readonly files: readonly string[];
  readonly private: boolean;
  readonly sha: string;
  readonly splits: Readonly<Record<string, number>>;
  readonly ids: readonly string[];
  readonly messages: readonly { readonly content: string }[];
  readonly tags: readonly string[];
  readonly license: string;
}

test("datasets and huggingface_hub read a pushed dataset, and matrix reads it, too", () =>
  withRun(async (hub, folder) => {
    const env = { HF_ENDPOINT: hub.url, HF_TOKEN: WRITE_TOKEN, XDG_CACHE_HOME: folder };
    const pushed = await matrix(ARGS, { cwd: folder, env });
    expect({ code: pushed.code, stderr: pushed.stderr }).toEqual({ code: 0, stderr: "" });
    await Bun.write(
      join(folder, "r.toml"),
      `name = "again"
dataset = { path = "hf://acme/set/test", id = "id" }
models.m.kind = "simulated"
roles.a = { agent = "llm", model = "m", prompt = { text = "{{ row.id }}" } }
orchestrator = { pattern = "sequence", roles = ["a"] }
`,
    );
    const again = await matrix(["drive", "r.toml", "-q", "--json"], {
      cwd: folder,
      env: { ...env, HF_TOKEN: READ_TOKEN },
    });
    const { expected } = JSON.parse(again.stdout) as { expected: number };
    expect(Math.abs(expected - ROWS / 10)).toBeLessThan(100);

    if (!existsSync(PYTHON)) {
      console.log("skipped: no Python environment: run scripts/python-env");
      return;
    }
    const script = join(import.meta.dir, "hub.py");
    const child = Bun.spawn([PYTHON, script, "acme/set", join(folder, "cache")], {
      env: { ...process.env, ...env, HF_HOME: join(folder, "home"), HF_TOKEN: READ_TOKEN },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect({ code: await child.exited, stderr: stderr.slice(-2000) }).toMatchObject({ code: 0 });
    const read = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as ReadBack;
    expect(read).toMatchObject({
      files: [".gitattributes", "README.md", "test.parquet", "train.parquet"],
      private: true,
      sha: hub.head("acme/set").sha,
      splits: { test: expected, train: ROWS - expected },
      ids: Array.from({ length: ROWS }, (_, i) => String(i)).sort(),
      tags: ["synthetic", "matrix", "simulated"],
      license: "mit",
    });
    expect(read.messages.at(-1)?.content).toMatch(/^Answer \d+$/);
  }));
