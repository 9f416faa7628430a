// A run whose server, code, rows and prints repeat its secrets: none of them reaches a file.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { knowSecret } from "../../src/known-secrets.ts";
import { runRecipe } from "../../src/run/run-recipe.ts";
import { withFolder } from "../parts/folder.ts";
import { readRecords } from "../parts/records.ts";
import { prepareSmallRun } from "./small-run.ts";

const KEY = "sk-value-of-the-api-key";
const HEADER = "value-of-the-team-header";
const PASSWORD = "p%40ss-of-the-url";
const SECRETS = [KEY, HEADER, PASSWORD, "p@ss-of-the-url"];
const inBase64 = (text: string) => Buffer.from(text).toString("base64").slice(4, 24);

/** Repeats the headers of each request, and keeps its prompts. */
const prompts: string[] = [];
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: async (request) => {
    if (request.method === "GET") return Response.json({ data: [] });
    const { messages } = (await request.json()) as { messages: { content: string }[] };
    const prompt = messages.at(-1)?.content ?? "";
    prompts.push(prompt);
    const { headers } = request;
    const said = `${headers.get("authorization")} ${headers.get("x-team-key")}`;
    const encoded = Buffer.from(`${headers.get("authorization")}`).toString("base64");
    if (prompt.includes("refuse"))
      return Response.json({ error: { message: `no: ${said}` } }, { status: 400 });
    return Response.json({
      choices: [
        { finish_reason: "stop", message: { role: "assistant", content: `${said} ${encoded}` } },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    });
  },
});
afterAll(() => server.stop(true));

const forget: (() => void)[] = [];
beforeAll(() => void forget.push(knowSecret("123456789", "NUMBER")));
afterAll(() => {
  for (const one of forget) one();
});

const CODE = `export default ({ row, history }) => {
  console.warn("printed ${KEY}");
  if (row.n === 1) throw new Error("thrown ${KEY}");
  return { said: history[0].result.content, own: ["${HEADER}", 123456789, "no 123456789"] };
};
`;

test("what a server, code, rows and prints repeat is masked in records, logs, journal and manifest", () =>
  withFolder(async (folder) => {
    const row = (n: number, q: string) => `{"id":"row-${n}-${KEY}","n":${n},"q":"${q}"}\n`;
    const url = `http://user:${PASSWORD}@127.0.0.1:${server.port}/v1?api_key=${KEY}`;
    const plan = await prepareSmallRun(folder, {
      env: { URL: url, KEY, HEADER },
      overrides: [
        'dataset.id="id"',
        'models.m={ kind = "openai", model = "x", base_url = "${env:URL}", retries = 0 }',
        'models.m.api_key="${env:KEY}"',
        'models.m.headers={ X-Team-Key = "${env:HEADER}" }',
        'roles.student.prompt={ text = "{{ row.q }}" }',
        'roles.second={ agent = "llm", model = "m", prompt = { text = "{{ last.content }}" } }',
        'orchestrator.roles=["student", "second", "grader"]',
      ],
      files: {
        "grade.ts": CODE,
        "rows.jsonl": `${row(0, `it is ${KEY}`)}${row(1, "b")}${row(2, "refuse")}`,
      },
    });
    const directory = join(folder, "run");
    const summary = await runRecipe(plan, { directory }, { ownsProcess: true });
    expect(summary).toMatchObject({ expected: 3, ok: 1, failed: 2, lost: 0 });
    const records = await readRecords(directory);
    // Ids are how a continued run finds its records, so they stay.
    expect(records.map(({ id }) => id).sort()).toEqual([0, 1, 2].map((n) => `row-${n}-${KEY}`));
    const whole = records.find(({ status }) => status === "ok");
    expect(whole?.row).toEqual({ id: "row-0-[KEY]", n: 0, q: "it is [KEY]" });
    expect(whole?.history.at(-1)?.result).toMatchObject({
      own: ["[HEADER]", 123456789, "no [NUMBER]"],
      said: expect.stringMatching(/^Bearer \[KEY\] \[HEADER\] .*\[KEY\]/),
    });
    const errors = records.flatMap(({ error }) => (error === null ? [] : [error.message]));
    expect(errors.sort()).toEqual([expect.stringContaining("answered 400"), "thrown [KEY]"]);
    // The second model is not told what the first one repeated.
    expect(prompts.filter((prompt) => prompt.startsWith("Bearer ["))).not.toHaveLength(0);
    for (const prompt of prompts.filter((one) => !one.startsWith("it is")))
      expect(prompt).not.toContain(KEY);
    for (const path of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!path.isFile()) continue;
      const text = await readFile(join(path.parentPath, path.name), "utf8");
      // This file of the index has the ids, one after the other.
      const ids = path.name === "texts" ? [0, 1, 2].map((n) => `row-${n}-${KEY}`) : [];
      const rest = ids
        .reduce((left, id) => left.replace(id, ""), text)
        .replaceAll(/"id":"row-\d-[^"]*"/g, "")
        .replaceAll(/row[=:]"?row-\d-\S*/g, "");
      for (const secret of [...SECRETS, inBase64(`Bearer ${KEY}`)])
        expect({ file: path.name, leaks: rest.includes(secret) }).toEqual({
          file: path.name,
          leaks: false,
        });
    }
    expect(await readFile(join(directory, "logs/driver.log"), "utf8")).toContain("printed [KEY]");
  }));

test("a row without a secret is recorded byte for byte", () =>
  withFolder(async (folder) => {
    forget.push(knowSecret("grade-of-the-secret"));
    const plan = await prepareSmallRun(folder, {
      files: {
        "rows.jsonl": '{"n":0,"question":"é \\u00e9 \\"q\\"","big":12345678901234567890}\n',
      },
    });
    const directory = join(folder, "run");
    await runRecipe(plan, { directory });
    expect(await readFile(join(directory, "trajectories.jsonl"), "utf8")).toContain(
      '"row":{"n":0,"question":"é é \\"q\\"","big":12345678901234567890}',
    );
  }));
