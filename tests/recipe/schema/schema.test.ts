// The defaults of every table, and the limits that a table sets beyond the kinds of its values.

import { expect, test } from "bun:test";
import * as v from "valibot";
import {
  EXPECTED,
  isEndpointUrl,
  PLAIN_SIMULATION,
} from "../../../src/recipe/schema/model-schema.ts";
import { isImagePath, PLAIN_PROCESSES } from "../../../src/recipe/schema/sandbox-schema.ts";
import { recipeSchema } from "../../../src/recipe/schema/schema.ts";
import type { JsonObject } from "../../../src/task/json.ts";

const RECIPE = {
  name: "r",
  dataset: { path: "/d" },
  models: { m: { kind: "simulated" } },
  roles: { a: { agent: "llm" } },
  orchestrator: { pattern: "sequence", roles: ["a"] },
};
const parse = (tables: JsonObject = {}) => v.parse(recipeSchema, { ...RECIPE, ...tables });
const takes = (tables: JsonObject) => v.safeParse(recipeSchema, { ...RECIPE, ...tables }).success;

test("a run has these defaults", () => {
  expect(parse().run).toEqual({
    concurrency: 100,
    trials: 1,
    seed: 0,
    delivery: "retry",
    max_attempts: 3,
    timeout: 3_600_000,
    max_hops: 200,
    fail_above: 0.05,
    stop_after: 20,
    grace: 20_000,
    compress: false,
  });
  expect(parse().store).toEqual({ enabled: true, above: 512, memory: 67_108_864 });
  expect(parse().dataset).toEqual({ path: "/d", shuffle: false });
});

test("a role has these defaults", () => {
  expect(parse().roles["a"]).toEqual({
    agent: "llm",
    files: [],
    history: true,
    with: {},
    sampling: {},
    accepts: [],
    concurrency: 1000,
    timeout: 900_000,
    retries: 0,
  });
});

test("an endpoint has these defaults", () => {
  const m = { kind: "openai", base_url: "http://localhost:1/v1", model: "x" };
  expect(parse({ models: { m } }).models["m"]).toEqual({
    kind: "openai",
    base_url: "http://localhost:1/v1",
    model: "x",
    headers: {},
    extra_body: {},
    seed: true,
    connect_timeout: 10_000,
    timeout: 600_000,
    retries: 5,
    deadline: 600_000,
    concurrency: 1000,
  });
});

test("an endpoint takes names of headers, and a certificate only with its key", () => {
  const endpoint = (more: JsonObject) =>
    takes({
      models: { m: { kind: "openai", base_url: "http://a/v1", model: "x", ...more } },
    });
  for (const affinity_header of ["X-Session-ID", "x_session", "a"])
    expect(endpoint({ affinity_header })).toBe(true);
  for (const affinity_header of ["", "X Session", "x:y", "ż", 5])
    expect(endpoint({ affinity_header })).toBe(false);
  for (const tls of [
    {},
    { ca: "/a" },
    { cert: "/a", key: "/b" },
    { ca: "/a", cert: "/a", key: "/b" },
  ])
    expect(endpoint({ tls })).toBe(true);
  for (const tls of [{ cert: "/a" }, { key: "/b" }, { ca: 5 }, { other: "/a" }])
    expect(endpoint({ tls })).toBe(false);
  expect(endpoint({ seed: "false" })).toBe(false);
});

test("a simulated model, a scripted model and an expectation have these defaults", () => {
  expect(PLAIN_SIMULATION).toEqual({
    kind: "simulated",
    with: {},
    latency: { kind: "constant", value: 0 },
    output_tokens: { kind: "constant", value: 32 },
    errors: {
      rate_limited: 0,
      server_error: 0,
      timeout: 0,
      malformed: 0,
      lost: 0,
      stalled: 0,
      context_length: 0,
      refused: 0,
      content_filtered: 0,
    },
    retry_after: 1000,
    timeout: 600_000,
    retries: 5,
    deadline: 600_000,
    concurrency: 100_000,
  });
  const script = { kind: "scripted", replies: "/r" };
  expect(parse({ models: { m: script } }).models["m"]).toEqual({
    kind: "scripted",
    replies: "/r",
    latency: { kind: "constant", value: 0 },
    concurrency: 100_000,
  });
  expect(EXPECTED).toEqual({
    output_tokens: { kind: "uniform", min: 1, max: 512 },
    latency: { kind: "constant", value: 1000 },
    tokens_per_second: 50,
  });
});

test("a sandbox is locked up unless the recipe says otherwise", () => {
  expect(parse({ sandboxes: { s: { image: "i" } } }).sandboxes["s"]).toEqual({
    image: "i",
    engine: "auto",
    serves: "many",
    stateful: true,
    count: 1,
    warm: 0,
    memory: 2 * 2 ** 30,
    cpus: 1,
    pids: 256,
    timeout: 600_000,
    network: "none",
    read_only: true,
    user: "caller",
    mounts: [],
    env: {},
    workdir: "/work",
  });
  const mounts = [{ source: "/a", target: "/b" }];
  expect(parse({ sandboxes: { s: { mounts } } }).sandboxes["s"]?.mounts).toEqual([
    { source: "/a", target: "/b", writable: false },
  ]);
});

test("the sandbox of a program role is a plain process without state", () => {
  expect(PLAIN_PROCESSES).toMatchObject({
    engine: "process",
    stateful: false,
    serves: "many",
    count: 1,
    warm: 0,
  });
});

test("patterns have these defaults", () => {
  const ruleOf = (orchestrator: JsonObject) => parse({ orchestrator }).orchestrator as unknown;
  expect(ruleOf({ pattern: "dialogue", speakers: ["a"] })).toEqual({
    pattern: "dialogue",
    speakers: ["a"],
    between: [],
    max_turns: 8,
  });
  expect(ruleOf({ pattern: "tool-loop", speaker: "a", tools: "b" })).toEqual({
    pattern: "tool-loop",
    speaker: "a",
    tools: "b",
    max_turns: 50,
  });
  expect(ruleOf({ pattern: "best-of-n", roles: ["a"], n: 2 })).toEqual({
    pattern: "best-of-n",
    roles: ["a"],
    n: 2,
    parallel: false,
  });
  expect(ruleOf({ pattern: "fan-out", roles: ["a"] })).toEqual({
    pattern: "fan-out",
    roles: ["a"],
    after: [],
  });
  expect(ruleOf({ module: "/m" })).toEqual({ module: "/m", with: {} });
  expect(ruleOf({ graph: "/g" })).toEqual({ graph: "/g", with: {} });
});

test("a module wins over a graph, and either over a pattern", () => {
  expect(takes({ orchestrator: { module: "/m", graph: "/g" } })).toBe(false);
  expect(takes({ orchestrator: { module: "/m", pattern: "sequence" } })).toBe(false);
  expect(takes({ orchestrator: { graph: "/g", pattern: "sequence" } })).toBe(false);
  expect(takes({ orchestrator: {} })).toBe(false);
});

test("a shard is read into its index and its count", () => {
  expect(parse({ dataset: { path: "/d", shard: "1/4" } }).dataset.shard).toEqual({
    index: 1,
    count: 4,
  });
});

test("a price may be zero but not less, and a budget must be above zero", () => {
  const priced = (prompt: number, completion: number) =>
    takes({ models: { m: { kind: "simulated", price: { prompt, completion } } } });
  expect([priced(0, 0), priced(-1, 0), priced(0, -1)]).toEqual([true, false, false]);
  expect(takes({ run: { budget: { money: 0.01 } } })).toBe(true);
  expect(takes({ run: { budget: { tokens: 1 } } })).toBe(true);
  expect(takes({ run: { budget: { money: 0 } } })).toBe(false);
  expect(takes({ run: { budget: { tokens: 0 } } })).toBe(false);
  expect(takes({ run: { budget: {} } })).toBe(false);
});

test("retries may be zero, and rates and concurrency may not", () => {
  const endpoint = { kind: "openai", base_url: "http://localhost:1/v1", model: "x" };
  const withKey = (key: JsonObject) => takes({ models: { m: { ...endpoint, ...key } } });
  expect(withKey({ retries: 0 })).toBe(true);
  for (const key of ["rpm", "tpm", "concurrency"]) {
    expect(withKey({ [key]: 1 })).toBe(true);
    expect(withKey({ [key]: 0 })).toBe(false);
  }
});

test("an endpoint is a URL by http or https, a list of them, a file or a name", () => {
  const withUrl = (base_url: unknown) =>
    takes({ models: { m: { kind: "openai", model: "x", base_url: base_url as string } } });
  const good = [
    "http://a/v1",
    "HTTPS://a/v1",
    ["http://a/v1", "http://b/v1"],
    { file: "/f" },
    { dns: "http://a/v1" },
  ];
  const bad = [
    "ftp://a",
    "a/v1",
    "http://",
    [],
    ["a"],
    { dns: "a" },
    {},
    { file: "/f", dns: "http://a" },
  ];
  expect([...good, ...bad].filter(withUrl)).toEqual(good);
  expect(isEndpointUrl("xhttp://a")).toBe(false);
});

test("a list must not be empty where nothing could be done with an empty one", () => {
  const lists: JsonObject[] = [
    { dataset: { path: [] } },
    { dataset: { path: "/d", columns: [] } },
    { roles: { a: { agent: "llm", command: [] } } },
    { roles: { a: { agent: "llm", attachments: [] } } },
    { orchestrator: { pattern: "pipeline", stages: [] } },
    { orchestrator: { pattern: "sequence", roles: [] } },
    { roles: {} },
  ];
  expect(lists.filter(takes)).toEqual([]);
  const single: JsonObject[] = [
    { dataset: { path: ["/d"] } },
    { dataset: { path: "/d", columns: ["a"] } },
    { roles: { a: { agent: "llm", command: ["x"] } } },
    { roles: { a: { agent: "llm", attachments: ["row.a"] } } },
    { orchestrator: { pattern: "pipeline", stages: [{ role: "a" }] } },
  ];
  expect(single.filter(takes)).toEqual(single);
});

test("paths in a sandbox are absolute", () => {
  const box = (keys: JsonObject) => takes({ sandboxes: { s: { image: "i", ...keys } } });
  expect(box({ workdir: "/w" })).toBe(true);
  expect(box({ workdir: "w" })).toBe(false);
  expect(box({ mounts: [{ source: "/a", target: "b" }] })).toBe(false);
  expect(box({ image: "" })).toBe(false);
});

test("an image is a path, or a reference that every engine can read", () => {
  const box = (image: string) => takes({ sandboxes: { s: { image } } });
  const digest = `sha256:${"0f".repeat(32)}`;
  const good = [
    ...["python:3.12-slim", "a/b/c", "registry:5000/a", "localhost/a:V1.0_x", "GHCR.io/a__b/c-d.e"],
    ...[
      `a@${digest}`,
      `a:1@${digest}`,
      digest,
      "./My Folder",
      "/My Images/x.sif",
      `a:${"t".repeat(128)}`,
    ],
  ];
  expect(good.filter((image) => !box(image))).toEqual([]);
  const bad = [
    ...["my image", "Python:3.12", "a b", "a:", "a:-1", "a//b", "-a", "a_", "a@sha256:12", "a:1:2"],
    ...["http://a/b", "a\nb", "ü", `a:${"t".repeat(129)}`],
  ];
  expect(bad.filter(box)).toEqual([]);
});

test("an image is a path when it begins with a dot or a slash, or ends in .sif", () => {
  const paths = ["/a", "./a", "../a", "a.sif", "a/b.sif"];
  const references = ["a", "a/b", "a.b/c:1", ".../a", "a.sif.x", "registry:5000/a"];
  expect([...paths, ...references].filter(isImagePath)).toEqual(paths);
});
