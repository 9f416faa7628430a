// Composing: environment references, secrets, paths and kinds, on plain tables.

import { describe, expect, test } from "bun:test";
import {
  fillSecrets,
  leafProblems,
  mapLeaves,
  mergeTables,
  referencesIn,
  resolveLayer,
  secretNames,
} from "../../src/recipe/compose.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";

const resolve = (table: JsonObject, env: Record<string, string> = {}) =>
  resolveLayer({ table, folder: "/here", origin: { override: "" } }, env);

describe("references", () => {
  test("a reference is replaced anywhere in a text, by the variable before the default", () => {
    const table = {
      dataset: { id: "${env:A}-${env:B:-b}-${env:_C9:-}", columns: ["${env:A}", 7] },
    };
    expect(resolve(table, { A: "x", _C9: "" })).toEqual({
      dataset: { id: "x-b-", columns: ["x", 7] },
    });
    expect(resolve(table, { A: "x", B: "y", _C9: "z" })).toMatchObject({
      dataset: { id: "x-y-z" },
    });
  });

  test("a variable that is set to nothing wins over the default", () => {
    const table = { dataset: { id: "a${env:B:-b}" } };
    expect(resolve(table, { B: "" })).toEqual({ dataset: { id: "a" } });
  });

  test("a reference to a variable that is not set stays as it is", () => {
    expect(resolve({ dataset: { format: "${env:A}", id: "${env:B:-:-x y}" } })).toEqual({
      dataset: { format: "${env:A}", id: ":-x y" },
    });
    expect(resolve({ dataset: { id: "${env:9A:-x} ${ENV:A:-x}" } })).toEqual({
      dataset: { id: "${env:9A:-x} ${ENV:A:-x}" },
    });
  });

  test.each([
    ["name", { name: "${env:A}" }],
    ["dataset.filter", { dataset: { filter: "row.x == '${env:A}'" } }],
    ["models.m.extra_body.user", { models: { m: { extra_body: { user: "${env:A:-}" } } } }],
    ["models.m.replies.text", { models: { m: { replies: { text: "${env:A}" } } } }],
    ["models.m.with.x", { models: { m: { with: { x: "${env:A}" } } } }],
    ["roles.r.prompt.text", { roles: { r: { prompt: { text: "say ${env:A}" } } } }],
    ["roles.r.system.text", { roles: { r: { system: { text: "${env:A}" } } } }],
    ["roles.r.with.deep.0", { roles: { r: { with: { deep: ["${env:A}"] } } } }],
    ["roles.r.sampling.user", { roles: { r: { sampling: { user: "${env:A}" } } } }],
    ["roles.r.schema.title", { roles: { r: { schema: { title: "${env:A}" } } } }],
    ["orchestrator.score", { orchestrator: { score: "${env:A}" } }],
    ["orchestrator.with.x", { orchestrator: { with: { x: "${env:A}" } } }],
  ] as const)("a variable is refused in %s, and its value is not filled in", (key, table) => {
    const resolved = resolve(table as JsonObject, { A: "value-of-a" });
    expect(JSON.stringify(resolved)).not.toContain("value-of-a");
    expect(fillSecrets(resolved, { A: "value-of-a" })).toEqual(resolved);
    expect(leafProblems(resolved, { A: "value-of-a" })).toEqual([
      { key, message: expect.stringContaining("a variable of the environment cannot stand here") },
    ]);
    expect(referencesIn(table as JsonObject, {})).toEqual([]);
  });

  test.each([
    ["run.output", { run: { output: "/${env:A}" } }],
    ["run.budget.money", { run: { budget: { money: "${env:A}" } } }],
    ["models.m.model", { models: { m: { model: "${env:A}" } } }],
    ["models.m.timeout", { models: { m: { timeout: "${env:A}" } } }],
    ["models.m.tls.ca", { models: { m: { tls: { ca: "/${env:A}" } } } }],
    ["sandboxes.s.image", { sandboxes: { s: { image: "${env:A}" } } }],
    ["sandboxes.s.mounts.0.source", { sandboxes: { s: { mounts: [{ source: "/${env:A}" }] } } }],
    ["roles.r.command.0", { roles: { r: { command: ["${env:A}"] } } }],
    ["roles.r.agent", { roles: { r: { agent: "/${env:A}" } } }],
    ["orchestrator.module", { orchestrator: { module: "/${env:A}" } }],
  ] as const)("a variable may stand in %s, in plain text", (key, table) => {
    const resolved = resolve(table as JsonObject, { A: "value-of-a" });
    expect(JSON.stringify(resolved)).toContain("value-of-a");
    expect(leafProblems(resolved, {})).toEqual([]);
    expect(referencesIn(table as JsonObject, {})).toEqual([
      { variable: "A", key, isSecret: false },
    ]);
  });

  test("variables of a sandbox stay references, beside others in plain text", () => {
    const table = { sandboxes: { s: { env: { TOKEN: "t-${env:A}", LANG: "C" } } } };
    const resolved = resolve(table, { A: "value-of-a" });
    expect(resolved).toEqual(table);
    expect(leafProblems(resolved, { A: "a" })).toEqual([]);
    expect(fillSecrets(resolved, { A: "a" })).toEqual({
      sandboxes: { s: { env: { TOKEN: "t-a", LANG: "C" } } },
    });
    expect(secretNames(resolved)).toEqual(["A"]);
    expect(referencesIn(table, {})).toEqual([
      { variable: "A", key: "sandboxes.s.env.TOKEN", isSecret: true },
    ]);
  });

  test("a reference in a URL is a secret when the URL has credentials", () => {
    const table = { models: { m: { base_url: "${env:A}" } } };
    const isSecret = (A: string) => referencesIn(table, { A }).map((one) => one.isSecret);
    expect(isSecret("http://a/v1")).toEqual([false]);
    expect(isSecret("http://user:password@a/v1")).toEqual([true]);
  });

  test("secrets stay references until they are filled in", () => {
    const table = {
      models: {
        m: { model: "${env:A}", api_key: "${env:A}", headers: { X: "Bearer ${env:B}" } },
      },
    };
    const resolved = resolve(table, { A: "a", B: "b" });
    expect(resolved).toEqual({
      models: { m: { model: "a", api_key: "${env:A}", headers: { X: "Bearer ${env:B}" } } },
    });
    expect(fillSecrets(resolved, { A: "a", B: "b" })).toEqual({
      models: { m: { model: "a", api_key: "a", headers: { X: "Bearer b" } } },
    });
    expect(fillSecrets({ name: "${env:A}" }, { A: "a" })).toEqual({ name: "${env:A}" });
    expect(secretNames(resolved)).toEqual(["A", "B"]);
    expect(secretNames({ name: "${env:A}" })).toEqual([]);
  });
});

describe("paths", () => {
  test("a path is resolved from the folder of its layer, also in lists and below names", () => {
    const table = {
      dataset: { path: ["a.jsonl", "/b.jsonl"] },
      run: { output: "out", cache: "../cache" },
      models: { "gpt-4.1": { replies: "r.ts", base_url: { file: "urls" } } },
      roles: { a: { system: "s.md", schema: "s.json", request: "q.ts", attachment_folder: "img" } },
      sandboxes: { s: { mounts: [{ source: "data", target: "/data" }] } },
      orchestrator: { graph: "g.ts#build" },
    };
    expect(resolve(table)).toEqual({
      dataset: { path: ["/here/a.jsonl", "/b.jsonl"] },
      run: { output: "/here/out", cache: "/cache" },
      models: { "gpt-4.1": { replies: "/here/r.ts", base_url: { file: "/here/urls" } } },
      roles: {
        a: {
          system: "/here/s.md",
          schema: "/here/s.json",
          request: "/here/q.ts",
          attachment_folder: "/here/img",
        },
      },
      sandboxes: { s: { mounts: [{ source: "/here/data", target: "/data" }] } },
      orchestrator: { graph: "/here/g.ts#build" },
    });
  });

  test("addresses, built-in agents, Docker references and empty texts are not paths", () => {
    const table = {
      name: "a",
      dataset: { path: ["hf://a/b", "s3://a/b"], id: "id" },
      roles: {
        a: { agent: "llm", system: "" },
        b: { agent: "exec" },
        c: { agent: "language" },
        d: { agent: "process" },
      },
      sandboxes: { s: { image: "python:3.12" } },
      orchestrator: { with: { module: "x" } },
    };
    expect(resolve(table)).toEqual(table);
  });

  test("agents that are files and images that are paths are resolved", () => {
    const image = (path: string) => resolve({ sandboxes: { s: { image: path } } });
    expect(resolve({ roles: { a: { agent: "a.ts" } } })).toEqual({
      roles: { a: { agent: "/here/a.ts" } },
    });
    expect(image("./i")).toEqual({ sandboxes: { s: { image: "/here/i" } } });
    expect(image("../i")).toEqual({ sandboxes: { s: { image: "/i" } } });
    expect(image("i.sif")).toEqual({ sandboxes: { s: { image: "/here/i.sif" } } });
  });
});

describe("layers", () => {
  test("tables merge at every depth, and lists and single values are replaced", () => {
    const below = { run: { seed: 1, trials: 2 }, list: [1, 2], deep: { a: { b: 1, c: 2 } } };
    const above = { run: { seed: 3 }, list: [9], deep: { a: { b: 7 } }, more: true };
    expect(mergeTables(below, above)).toEqual({
      run: { seed: 3, trials: 2 },
      list: [9],
      deep: { a: { b: 7, c: 2 } },
      more: true,
    });
    expect(mergeTables({ a: { b: 1 } }, { a: 2 })).toEqual({ a: 2 });
    expect(mergeTables({ a: 2 }, { a: { b: 1 } })).toEqual({ a: { b: 1 } });
  });

  test("a table of another kind is replaced as a whole", () => {
    const merged = (below: JsonObject, above: JsonObject, table: string) =>
      mergeTables({ [table]: below }, { [table]: above })[table];
    expect(
      merged({ m: { kind: "openai", model: "x" } }, { m: { kind: "simulated" } }, "models"),
    ).toEqual({ m: { kind: "simulated" } });
    expect(merged({ a: { agent: "llm", model: "x" } }, { a: { agent: "a.ts" } }, "roles")).toEqual({
      a: { agent: "a.ts" },
    });
    expect(merged({ a: { agent: "llm", model: "x" } }, { a: { agent: "exec" } }, "roles")).toEqual({
      a: { agent: "exec" },
    });
    const rule = { pattern: "sequence", roles: ["a"] };
    for (const other of [{ module: "m.ts" }, { graph: "g.ts" }, { pattern: "pipeline" }])
      expect(merged(rule, other, "orchestrator")).toEqual(other);
    expect(merged({ graph: "g.ts", with: {} }, { module: "m.ts" }, "orchestrator")).toEqual({
      module: "m.ts",
    });
  });

  test("a table of the same kind, or one that states no kind, is merged", () => {
    const merged = (table: string, below: JsonObject, above: JsonObject) =>
      mergeTables({ [table]: { x: below } }, { [table]: { x: above } });
    expect(merged("models", { kind: "openai", model: "x" }, { model: "y" })).toEqual({
      models: { x: { kind: "openai", model: "y" } },
    });
    expect(merged("models", { model: "x" }, { kind: "openai" })).toEqual({
      models: { x: { model: "x", kind: "openai" } },
    });
    // Two modules are of one kind, so settings stay.
    expect(merged("roles", { agent: "a.ts", with: { n: 1 } }, { agent: "b.ts" })).toEqual({
      roles: { x: { agent: "b.ts", with: { n: 1 } } },
    });
    expect(
      mergeTables(
        { orchestrator: { module: "a.ts", with: { n: 1 } } },
        { orchestrator: { module: "b.ts" } },
      ),
    ).toEqual({ orchestrator: { module: "b.ts", with: { n: 1 } } });
  });

  test("every text of a table is mapped with its key path, and dates become texts", () => {
    const seen: string[] = [];
    const table = {
      a: { "x.y": "1" },
      list: ["2", { b: "3" }],
      n: 4,
      when: new Date(0) as unknown as string,
    };
    const mapped = mapLeaves(table, "top", (text, key) => {
      seen.push(key);
      return `${text}!`;
    });
    expect(seen).toEqual(['top.a."x.y"', "top.list.0", "top.list.1.b"]);
    expect(mapped).toEqual({
      a: { "x.y": "1!" },
      list: ["2!", { b: "3!" }],
      n: 4,
      when: "1970-01-01T00:00:00.000Z",
    });
  });
});

describe("problems before the schema", () => {
  const secret = 'a secret must come from the environment: "${env:NAME}"';

  test.each([
    ["a plain secret", "sk-1", [secret]],
    ["a reference with a plain default", "${env:KEY:-sk-1}", [secret]],
    ["two references, one with a plain default", "${env:KEY:-}${env:KEY:-sk-1}", [secret]],
    ["a reference with text after it", "${env:KEY}x", [secret]],
    ["a reference with text that is not a scheme", "a b ${env:KEY}", [secret]],
    ["a scheme without a reference", "Bearer ", [secret]],
    ["a reference", "${env:KEY}", []],
    ["a reference with an empty default", "${env:NONE:-}", []],
    ["a scheme and a reference", "Bearer ${env:KEY}", []],
    ["an empty text", "", []],
  ])(
    "as an API key, %s is accepted only when it holds no plain secret",
    (_what, value, messages) => {
      const table = { models: { m: { api_key: value } } };
      expect(leafProblems(table, { KEY: "k" })).toEqual(
        messages.map((message) => ({ key: "models.m.api_key", message })),
      );
    },
  );

  test("a plain text is accepted under a key that holds no secret", () => {
    expect(leafProblems({ models: { m: { model: "sk-1" } } }, {})).toEqual([]);
  });

  test("a header may be plain text unless its name or its value is that of a secret", () => {
    const problems = (name: string, value: string) =>
      leafProblems({ models: { m: { headers: { [name]: value } } } }, {});
    for (const name of ["X-Team", "OpenAI-Organization", "x-session-id"])
      expect(problems(name, "research")).toEqual([]);
    for (const name of ["Authorization", "X-API-Key", "x-auth", "Cookie", "my_token", "X-Secret"])
      expect(problems(name, "research")).toEqual([
        { key: `models.m.headers.${name}`, message: secret },
      ]);
    for (const value of ["sk-1", "Bearer x", "basic x", "Token x"])
      expect(problems("X-Team", value)).toHaveLength(1);
  });

  const urls: readonly (readonly [url: string, isSecret: boolean])[] = [
    ["http://a/v1", false],
    ["http://a/v1?api-version=2024", false],
    ["http://user:pw@a/v1", true],
    ["http://token@a/v1", true],
    ["http://:pw@a/v1", true],
    ["http://a/v1?key=k", true],
    ["http://a/v1?x=1&access_token=k", true],
    ["http://user:${env:PW}@a/v1", false],
    ["http://a/v1?key=${env:PW}", false],
    ["${env:URL}", false],
    ["${env:URL:-http://user:pw@a/v1}", true],
    ["http://user:${env:PW:-pw}@a/v1", true],
  ];
  test.each(urls)("as a base_url, %s holds a plain secret: %p", (url, isSecret) => {
    const env = { PW: "p", URL: "http://user:pw@a/v1" };
    for (const [base_url, key] of [
      [url, "base_url"],
      [[url], "base_url.0"],
      [{ dns: url }, "base_url.dns"],
    ] as const)
      expect(leafProblems({ models: { m: { base_url: base_url as Json } } }, env)).toEqual(
        isSecret ? [{ key: `models.m.${key}`, message: secret }] : [],
      );
  });

  test("a URL with credentials stays a reference until secrets are filled in", () => {
    const env = { PLAIN: "http://b/v1", SECRET: "http://u:p@a/v1", PW: "p" };
    const base_url = ["${env:PLAIN}", "${env:SECRET}", "http://u:${env:PW}@c/v1"];
    const resolved = resolveLayer(
      { table: { models: { m: { base_url } } }, folder: "/", origin: { override: "" } },
      env,
    );
    expect(resolved).toEqual({
      models: { m: { base_url: ["http://b/v1", "${env:SECRET}", "http://u:${env:PW}@c/v1"] } },
    });
    expect(secretNames(resolved)).toEqual(["SECRET", "PW"]);
    expect(fillSecrets(resolved, env)).toEqual({
      models: { m: { base_url: ["http://b/v1", "http://u:p@a/v1", "http://u:p@c/v1"] } },
    });
  });

  test("a reference to a variable that is not set is reported once for each variable", () => {
    const table = { dataset: { columns: ["${env:A} ${env:B:-b} ${env:C}"] } };
    expect(leafProblems(table, { C: "" })).toEqual([
      {
        key: "dataset.columns.0",
        message: "the variable A is not set; set it or write ${env:A:-default}",
      },
    ]);
  });

  test("a number that JSON does not have is reported", () => {
    expect(leafProblems({ a: [1, Number.POSITIVE_INFINITY], b: Number.NaN }, {})).toEqual([
      { key: "a.1", message: "found Infinity; allowed: a finite number" },
      { key: "b", message: "found NaN; allowed: a finite number" },
    ]);
  });
});

test("the program of an interpreter is a path when it has a slash, and else a name", () => {
  const table = {
    python: { command: [".venv/bin/python", "-c/x"] },
    roles: { a: { python: ["python3.12", "a/b"] }, b: { python: ["${env:V}/bin/python"] } },
  };
  expect(resolve(table, { V: "/v" })).toEqual({
    python: { command: ["/here/.venv/bin/python", "-c/x"] },
    roles: { a: { python: ["python3.12", "a/b"] }, b: { python: ["/v/bin/python"] } },
  });
});
