// Asking an endpoint once before a run: what it refuses, and which key of the recipe is at fault.

import { expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type ProbeKind, probeModel } from "../../../src/model/replica/probe.ts";
import type { OpenaiModelConfig } from "../../../src/recipe/schema/model-schema.ts";
import { openaiConfig } from "../endpoint/config.ts";

type Answer = readonly [status: number, body: unknown];
interface Server {
  readonly get?: Answer;
  readonly post?: Answer;
}

const LIST: Answer = [200, { data: [{ id: "x" }, { id: "y" }] }];
const COMPLETION: Answer = [
  200,
  { choices: [{ message: { role: "assistant", content: "H" }, finish_reason: "length" }] },
];
const refusal = (status: number, message: string): Answer => [status, { error: { message } }];

/** Probes a server that answers so, with the requests that it got. */
async function probe(kind: ProbeKind, { get = LIST, post = COMPLETION }: Server, more = {}) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const [status, body] = request.method === "GET" ? get : post;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    request.resume().on("end", () => response.writeHead(status).end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const config: OpenaiModelConfig = openaiConfig({ base_url: url, ...more });
  const problems = await probeModel(config, kind, new AbortController().signal);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return {
    asked,
    said: problems.map(({ key, message }) => `${key}: ${message.replaceAll(url, "URL")}`),
  };
}

test("a server that lists the model, or has no list, passes with one request", async () => {
  for (const get of [LIST, [404, ""], [405, ""], [500, "{}"], [200, "no json"], [200, {}]] as const)
    expect(await probe("list", { get })).toEqual({ asked: ["GET /v1/models"], said: [] });
  expect((await probe("list", { get: [200, { data: [] }] })).said).toEqual([]);
});

test("a list without the model is a problem of the model's name, and shows ten names", async () => {
  expect((await probe("list", {}, { model: "z" })).said).toEqual([
    'model: URL does not list the model "z"; it lists x, y (set the name of a model that this endpoint has)',
  ]);
  const data = Array.from({ length: 11 }, (_, id) => ({ id }));
  expect((await probe("list", { get: [200, { data }] })).said[0]).toContain(
    "it lists 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (",
  );
  expect((await probe("list", { get: [200, { data: data.slice(1) }] })).said[0]).toContain(
    "8, 9, 10 (",
  );
});

test.each([401, 402, 403])(
  "a list that is refused with %i is a problem of the key",
  async (status) => {
    expect((await probe("list", { get: refusal(status, "no") })).said).toEqual([
      `api_key: URL answered ${status}: no (set a key that this endpoint takes)`,
    ]);
  },
);

test("one token is asked for, and an answer or an error of this one request passes", async () => {
  const passing: Answer[] = [
    COMPLETION,
    refusal(400, "max_tokens is not supported"),
    refusal(429, "slow down"),
    [200, { choices: [{ message: { content: null }, finish_reason: "stop" }] }],
  ];
  for (const post of passing)
    expect(await probe("ask", { post })).toEqual({
      asked: ["POST /v1/chat/completions"],
      said: [],
    });
});

test("a refused key, an unknown model and a failing server are told apart", async () => {
  expect((await probe("ask", { post: refusal(401, "bad key") })).said).toEqual([
    "api_key: URL answered 401: bad key (set a key that this endpoint takes)",
  ]);
  const unknown = { post: refusal(404, "nope") };
  expect(await probe("ask", unknown, { model: "z" })).toEqual({
    asked: ["POST /v1/chat/completions", "GET /v1/models"],
    said: [
      "model: URL answered 404: nope; it lists x, y (set the name of a model that this endpoint has)",
    ],
  });
  expect((await probe("ask", { ...unknown, get: [404, ""] })).said[0]).toStartWith(
    "model: URL answered 404: nope (set",
  );
  expect((await probe("ask", { post: refusal(500, "oh") })).said[0]).toStartWith(
    "base_url: URL answered 500: oh (start the server or correct the address",
  );
});

test("each address is asked, and one without a server is a problem of base_url", async () => {
  const base_url = ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"];
  for (const kind of ["list", "ask"] as const) {
    const { said } = await probe(kind, {}, { base_url });
    expect(said.map((text) => text.slice(0, 50))).toEqual([
      "base_url: no connection to http://127.0.0.1:1/v1: ",
      "base_url: no connection to http://127.0.0.1:2/v1: ",
    ]);
  }
});

test("an aborted probe fails with the signal's reason", async () => {
  const reason = new Error("the run is over");
  const config = openaiConfig({ base_url: "http://127.0.0.1:1/v1" });
  await expect(probeModel(config, "list", AbortSignal.abort(reason))).rejects.toBe(reason);
});
