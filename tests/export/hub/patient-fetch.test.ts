// The fetch of a push: its pauses, and the servers that receive the token.

import { expect, test } from "bun:test";
import { createPatientFetch } from "../../../src/export/hub/patient-fetch.ts";

/** The pauses of a request that gets these answers, and its last answer. */
async function ask(
  answers: readonly Response[],
  init: RequestInit = {},
): Promise<{ waits: number[]; status: number; uploaded: number; tokens: (string | null)[] }> {
  const left = [...answers];
  const tokens: (string | null)[] = [];
  await using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ headers }) => {
      tokens.push(headers.get("authorization"));
      return left.shift() ?? new Response("ok");
    },
  });
  const waits: number[] = [];
  let uploaded = 0;
  const patient = createPatientFetch({
    endpoint: server.url.origin,
    token: "secret",
    wait: async (ms) => {
      waits.push(ms);
    },
    onUploaded: (bytes) => {
      uploaded += bytes;
    },
  });
  const { status } = await patient(`${server.url.origin}/x`, init);
  return { waits, status, uploaded, tokens };
}

const answer = (status: number, headers: Record<string, string> = {}) =>
  new Response("", { status, headers });

test.each<[headers: Record<string, string>, pause: number]>([
  [{ "retry-after": "0" }, 0],
  [{ "retry-after": "1.5" }, 1500],
  [{ "retry-after": "Thu, 01 Jan 1970 00:00:00 GMT" }, 0],
  [{ "retry-after": "soon" }, 1000],
  [{ "retry-after": "" }, 1000],
  [{ "retry-after": "3", ratelimit: '"api";r=0;t=9' }, 3000],
  [{ ratelimit: '"api";r=0;t=9' }, 9000],
  [{ ratelimit: "r=0" }, 1000],
  [{}, 1000],
])("an answer 429 with %j is waited for %p ms", async (headers, pause) => {
  expect(await ask([answer(429, headers)])).toMatchObject({ waits: [pause], status: 200 });
});

test("a pause of five minutes is waited for, and a longer one is not", async () => {
  expect(await ask([answer(429, { "retry-after": "300" })])).toMatchObject({ waits: [300_000] });
  expect(await ask([answer(429, { "retry-after": "301" })])).toMatchObject({
    waits: [],
    status: 429,
  });
});

test.each([500, 502, 503, 504])("an answer %p is asked for again", async (status) => {
  expect(await ask([answer(status), answer(status)])).toMatchObject({
    waits: [1000, 2000],
    status: 200,
  });
});

test.each([400, 401, 404, 409, 412, 499])("an answer %p is the last one", async (status) => {
  expect(await ask([answer(status)])).toMatchObject({ waits: [], status });
});

test("the sixth answer is the last one", async () => {
  const busy = () => answer(500);
  const six = await ask([busy(), busy(), busy(), busy(), busy(), busy()]);
  expect(six).toMatchObject({ waits: [1000, 2000, 4000, 8000, 16_000], status: 500 });
  const five = await ask([busy(), busy(), busy(), busy(), busy()]);
  expect(five).toMatchObject({ status: 200 });
});

test("uploads that were taken are counted once, and other requests are not", async () => {
  const body = new Blob(["12345"]);
  expect((await ask([answer(500)], { method: "PUT", body })).uploaded).toBe(5);
  expect((await ask([answer(400)], { method: "PUT", body })).uploaded).toBe(0);
  expect((await ask([], { method: "POST", body })).uploaded).toBe(0);
});

test("the hub receives the user's token in place of any other, at each try", async () => {
  const { tokens } = await ask([answer(500)], { headers: { Authorization: "Bearer hf_" } });
  expect(tokens).toEqual(["Bearer secret", "Bearer secret"]);
});

test("a request that was aborted is not made again", async () => {
  const waits: number[] = [];
  const patient = createPatientFetch({
    endpoint: "http://127.0.0.1:9",
    token: null,
    wait: async (ms) => {
      waits.push(ms);
    },
    onUploaded: () => undefined,
  });
  const signal = AbortSignal.abort();
  await expect(patient("http://127.0.0.1:9/x", { signal })).rejects.toMatchObject({
    name: "AbortError",
  });
  expect(waits).toEqual([]);
  await expect(patient("http://127.0.0.1:9/x")).rejects.toThrow();
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000]);
});
